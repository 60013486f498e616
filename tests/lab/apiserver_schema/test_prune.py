"""Strict decoding, and what a built-in type drops."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.lab.apiserver.schema.prune import (
    decode_json_strict,
    prune,
    strict_decoding_message,
    unknown_fields,
)
from serinus.lab.apiserver.schema.registry import Registry

POD = Registry.builtin().by_kind("", "v1", "Pod")
assert POD is not None


def test_fields_that_occur_twice_are_named() -> None:
    body = b'{"a": {"b": 1, "c": [{}, {"d": 1, "d": 2, "d": 3}], "b": 2}, "e": 1}'
    value, duplicates = decode_json_strict(body)
    assert value == {"a": {"b": 2, "c": [{}, {"d": 3}]}, "e": 1}
    assert duplicates == ["a.b", "a.c[1].d"]


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_json_strict(body)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_reads_as_always(value: object) -> None:
    assert decode_json_strict(json.dumps({"x": value}).encode()) == ({"x": value}, [])


def test_a_pod_with_fields_that_are_none() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "labels": {"any": "thing"}, "creationTimestamp": None},
        "spec": {"containers": [{"name": "a", "imag": "b"}], "colour": "red"},
    }
    unknown = unknown_fields(POD.schema, pod)
    assert unknown == ["spec.containers[0].imag", "spec.colour"]
    assert prune(POD.schema, pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "labels": {"any": "thing"}},
        "spec": {"containers": [{"name": "a"}]},
    }
    assert strict_decoding_message(unknown, ["spec.x"]) == (
        'strict decoding error: duplicate field "spec.x", unknown field '
        '"spec.containers[0].imag", unknown field "spec.colour"'
    )
    assert strict_decoding_message([], []) == ""
