"""How many replicas the autoscaler wants."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.lab.controllers.autoscaling import (
    NoMetrics,
    PodUse,
    Recommendation,
    bounded,
    by_cpu,
    millicores,
    stabilized,
)

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("100m", 100), ("1", 1000), ("0.5", 500), (2, 2000), ("250000n", 1), ("1500u", 2),
        ("1k", 10**6),
    ],
)  # fmt: skip
def test_quantities(quantity: Any, expected: int) -> None:
    assert millicores(quantity) == expected


def pods(*used: int | None, requested: int | None = 100, ready: bool = True) -> list[PodUse]:
    return [PodUse(f"p{i}", requested, value, ready) for i, value in enumerate(used)]


HALF = {"type": "Utilization", "averageUtilization": 50}
UNREADY = PodUse("new", 100, None, False)
UNKNOWN = PodUse("silent", 100, None, True)


@pytest.mark.parametrize(
    ("current", "target", "uses", "replicas"),
    [
        (2, HALF, pods(50, 50), 2),
        (2, HALF, pods(54, 54), 2),  # within the tolerance
        (2, HALF, pods(56, 56), 3),
        (2, HALF, pods(100, 100), 4),
        (4, HALF, pods(10, 10, 10, 10), 1),
        (2, {"averageValue": "200m"}, pods(300, 300, requested=None), 3),
        (2, {"averageValue": "200m"}, pods(200, 205, requested=None), 2),
        # Growth counts pods that are not there yet as idle; so it does not overshoot.
        (2, HALF, [*pods(100), UNREADY], 2),
        (2, HALF, [*pods(200), UNREADY], 4),
        # Shrinking counts pods without figures as busy.
        (3, HALF, [*pods(10, 10), UNKNOWN], 3),
        (8, HALF, [*pods(1, 1, 1, 1, 1, 1, 1), UNKNOWN], 3),
    ],
)
def test_by_cpu(current: int, target: dict[str, Any], uses: list[PodUse], replicas: int) -> None:
    assert by_cpu(current, target, uses).replicas == replicas


def test_what_it_measured() -> None:
    proposal = by_cpu(2, HALF, pods(3, 4))
    assert (proposal.utilization, proposal.average) == (3, 3)


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        ([], "no pods returned by selector"),
        ([UNREADY], "did not receive metrics"),
        (pods(5, requested=None), "missing request for cpu in a container of Pod p0"),
    ],
)
def test_what_cannot_be_judged(uses: list[PodUse], words: str) -> None:
    with pytest.raises(NoMetrics, match=words):
        by_cpu(1, HALF, uses)


def test_shrinking_waits_growing_does_not() -> None:
    recent = [Recommendation(NOW - timedelta(seconds=200), 4)]
    assert stabilized(4, 2, recent, {}, NOW) == 4
    assert stabilized(4, 2, recent, {"scaleDown": {"stabilizationWindowSeconds": 60}}, NOW) == 2
    assert stabilized(4, 2, [Recommendation(NOW - timedelta(seconds=301), 4)], {}, NOW) == 2
    assert stabilized(2, 4, [Recommendation(NOW, 2)], {}, NOW) == 4
    patient = {"scaleUp": {"stabilizationWindowSeconds": 60}}
    assert stabilized(2, 4, [Recommendation(NOW - timedelta(seconds=5), 2)], patient, NOW) == 2


@pytest.mark.parametrize(
    ("current", "wanted", "replicas", "reason"),
    [
        (2, 3, 3, "DesiredWithinRange"),
        (2, 1, 2, "TooFewReplicas"),
        (4, 9, 8, "TooManyReplicas"),
        (2, 20, 6, "ScaleUpLimit"),
    ],
)
def test_bounds(current: int, wanted: int, replicas: int, reason: str) -> None:
    result = bounded(current, wanted, 2, 8)
    assert (result.replicas, result.reason) == (replicas, reason)
    assert result.limited == (reason != "DesiredWithinRange")
