"""Increments and quantiles, against plain references and the laws they must obey."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.metrics.counters import increase
from serinus.metrics.prometheus import Sample
from serinus.metrics.quantile import quantile

readings = st.lists(st.integers(0, 1000), max_size=20).map(
    lambda values: [Sample(float(at), float(value)) for at, value in enumerate(values)]
)
LES = [0.5, 1.0, 5.0, 10.0, 100.0, math.inf]


@given(readings, st.none() | st.floats(0, 1000))
def test_never_negative(samples: list[Sample], before: float | None) -> None:
    assert increase(samples, before) >= 0


@given(readings, st.integers(0, 20), st.none() | st.integers(0, 1000).map(float))
def test_windows_add_up(samples: list[Sample], cut: int, before: float | None) -> None:
    first, second = samples[:cut], samples[cut:]
    between = first[-1].value if first else before
    assert increase(samples, before) == increase(first, before) + increase(second, between)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_without_resets_it_is_the_difference(steps: list[int]) -> None:
    samples = [Sample(float(at), float(value)) for at, value in enumerate(accumulate(steps))]
    assert increase(samples, None) == sum(steps)
    assert increase(samples[1:], samples[0].value) == sum(steps[1:])


def test_resets_and_new_series() -> None:
    samples = [Sample(float(at), value) for at, value in enumerate([105.0, 3.0, 4.0])]
    assert increase(samples, 100.0) == 9.0
    assert increase([Sample(0.0, 2.0)], None) == 2.0


def reference(share: float, counts: list[int]) -> float | None:
    """Walk the observations one by one, each spread evenly inside its bucket."""
    total = sum(counts)
    if total == 0:
        return None
    rank, lower = share * total, 0.0
    for bound, count in zip(LES, counts, strict=True):
        if count and rank <= count:
            return lower if bound == math.inf else lower + (bound - lower) * rank / count
        rank -= count
        lower = bound if bound != math.inf else lower
    raise AssertionError


@given(
    st.sampled_from([0.5, 0.75, 0.9, 0.99]),
    st.lists(st.integers(0, 1000), min_size=len(LES), max_size=len(LES)),
)
def test_quantile(share: float, counts: list[int]) -> None:
    buckets = dict(zip(LES, map(float, accumulate(counts)), strict=True))
    expected = reference(share, counts)
    if expected is None:
        assert quantile(share, buckets) is None
    else:
        assert quantile(share, buckets) == pytest.approx(expected)


def test_quantile_of_strange_buckets() -> None:
    assert quantile(0.99, {}) is None
    assert quantile(0.99, {1.0: 5.0}) is None
    assert quantile(0.99, {math.inf: 5.0}) is None
    assert quantile(0.5, {1.0: 10.0, 2.0: 8.0, math.inf: 10.0}) == 0.5
