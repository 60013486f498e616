"""A revision is the content of a pod template, and nothing but the content."""

import json
import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serinus.rollout.revision import PREFIX
from serinus.workload.revision import VERSION, revision

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
TEMPLATES = st.dictionaries(st.text(max_size=6), JSON, min_size=1)


def shuffled(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        source.shuffle(keys)
        return {key: shuffled(value[key], source) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, source) for item in value]
    return value


def floated(value: Any) -> Any:
    """The value with its whole numbers written as floats."""
    if isinstance(value, dict):
        return {key: floated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floated(item) for item in value]
    return float(value) if type(value) is int else value


def encode(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


@given(TEMPLATES, st.randoms(use_true_random=False))
def test_order_of_keys_and_spacing_do_not_matter(template: Any, source: random.Random) -> None:
    other = encode(shuffled(template, source), indent=3)
    assert revision(encode(template)) == revision(other)


@given(TEMPLATES)
def test_the_way_a_number_is_written_does_not_matter(template: Any) -> None:
    assert revision(encode(template)) == revision(encode(floated(template)))


@given(TEMPLATES, TEMPLATES)
def test_any_change_matters(template: Any, other: Any) -> None:
    # Their JSON texts, because Python's True == 1.
    assume(encode(template, sort_keys=True) != encode(other, sort_keys=True))
    assert revision(encode(template)) != revision(encode(other))


@given(TEMPLATES, st.text(min_size=7, max_size=9), LEAVES)
def test_one_more_field_matters(template: Any, key: str, value: Any) -> None:
    assert revision(encode(template)) != revision(encode({**template, key: value}))


@pytest.mark.parametrize(
    ("text", "same"), [(b'{"a":1e2}', b'{"a":100}'), (b'{"a":0.5}', b'{"a":5e-1}')]
)
def test_exponents(text: bytes, same: bytes) -> None:
    assert revision(text) == revision(same)


def test_it_carries_the_version_that_the_rollout_knows() -> None:
    assert f"{VERSION}:" == PREFIX
    assert revision(b"{}").startswith(PREFIX)
    assert len(revision(b"{}")) >= len(PREFIX) + 16
