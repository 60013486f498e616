"""How many replicas an autoscaler wants. Pure; CPU in millicores throughout."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from serinus.lab.controllers.view import Object

TOLERANCE = 0.1
"""Use within this share of the target changes nothing."""
STABILIZATION = 300
"""Seconds for which a lower recommendation must have held before it is followed."""
SCALE_UP_PODS = 4
"""Per period a target may grow by so many pods, or double, whichever is more."""

Direction = Literal["", "up", "down"]


class NoMetrics(Exception):
    """The pods' use cannot be judged; the text is for a person."""


@dataclass(frozen=True, slots=True)
class PodUse:
    """``used`` is None while nothing has been measured of the pod."""

    name: str
    requested: int | None
    used: int | None
    ready: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """``replicas`` wanted; the average use per pod, and (with requests) as a percentage."""

    replicas: int
    average: int
    utilization: int | None


def millicores(quantity: str | int | float) -> int:
    """A CPU quantity (``250m``, ``1.5``, ``2``, ``100000n``, ``1k``), rounded up.

    Raises ValueError for what is none.
    """
    text = str(quantity)
    for suffix, factor in (("m", 1.0), ("u", 1e-3), ("n", 1e-6), ("k", 1e6)):
        if text.endswith(suffix):
            return math.ceil(round(float(text[:-1]) * factor, 6))
    return math.ceil(round(float(text) * 1000, 6))


def by_cpu(current: int, target: Object, pods: list[PodUse]) -> Proposal:
    """The replicas that bring the pods' CPU use to the metric's ``target`` (averageUtilization,
    in percent of requests, or averageValue).

    Pods without figures are thought to use all of the target when that argues for fewer, and
    nothing when it argues for more; so doubt never scales. Raises NoMetrics.
    """
    if not pods:
        raise NoMetrics("no pods returned by selector while calculating replica count")
    measured = [pod for pod in pods if pod.used is not None and pod.ready]
    if not measured:
        raise NoMetrics("did not receive metrics for targeted pods (pods might be unready)")
    percent = target.get("averageUtilization")
    wanted = millicores(target["averageValue"]) if percent is None else int(percent)
    used = sum(pod.used or 0 for pod in measured)
    average = used // len(measured)
    if percent is None:
        utilization, ratio = None, average / wanted
    else:
        requested = _requested(measured)
        utilization = int(used * 100 / requested)
        ratio = used * 100 / requested / wanted
    unmeasured = [pod for pod in pods if pod not in measured]
    if not unmeasured or abs(ratio - 1) <= TOLERANCE:
        replicas = current if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * len(measured))
        return Proposal(replicas, average, utilization)
    return Proposal(_doubtful(current, wanted, percent, ratio, pods), average, utilization)


def _doubtful(
    current: int, wanted: int, percent: int | None, ratio: float, pods: list[PodUse]
) -> int:
    def assumed(pod: PodUse) -> float:
        if pod.used is not None and pod.ready:
            return pod.used
        if ratio > 1 or not pod.ready:
            return 0.0
        return wanted if percent is None else (pod.requested or 0) * max(100, percent) / 100

    counted = pods if ratio > 1 else [p for p in pods if p.ready]
    used = sum(map(assumed, counted))
    base = len(counted) if percent is None else _requested(counted) / 100
    again = used / base / wanted
    replicas = math.ceil(again * len(counted))
    turned = (ratio < 1 < again) or (again < 1 < ratio)
    backwards = (again < 1 and replicas > current) or (again > 1 and replicas < current)
    if abs(again - 1) <= TOLERANCE or turned or backwards:
        return current
    return replicas


def _requested(pods: list[PodUse]) -> int:
    for pod in pods:
        if not pod.requested:
            raise NoMetrics(f"missing request for cpu in a container of Pod {pod.name}")
    return sum(pod.requested or 0 for pod in pods)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was wanted when."""

    at: datetime
    replicas: int


def stabilized(
    current: int, wanted: int, history: list[Recommendation], behavior: Object, now: datetime
) -> int:
    """The proposal held back by the stabilization windows: down to the highest, up to the lowest
    recommendation within them."""

    def within(seconds: int) -> list[int]:
        since = now - timedelta(seconds=seconds)
        return [wanted, *(entry.replicas for entry in history if entry.at > since)]

    down = (behavior.get("scaleDown") or {}).get("stabilizationWindowSeconds")
    up = (behavior.get("scaleUp") or {}).get("stabilizationWindowSeconds")
    lowest = min(within(up or 0))
    highest = max(within(STABILIZATION if down is None else down))
    return min(max(current, lowest), highest)


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number of replicas within bounds, and the ScalingLimited condition that it gives."""

    replicas: int
    limited: bool
    reason: str
    message: str


def bounded(current: int, wanted: int, minimum: int, maximum: int) -> Bounded:
    """Within the autoscaler's bounds and no faster than the default pace."""
    if wanted < minimum:
        return Bounded(
            minimum, True, "TooFewReplicas",
            "the desired replica count is less than the minimum replica count",
        )  # fmt: skip
    fastest = max(2 * current, current + SCALE_UP_PODS)
    if fastest < min(wanted, maximum):
        return Bounded(
            fastest, True, "ScaleUpLimit",
            "the desired replica count is increasing faster than the maximum scale rate",
        )  # fmt: skip
    if wanted > maximum:
        return Bounded(
            maximum, True, "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
        )  # fmt: skip
    return Bounded(
        wanted, False, "DesiredWithinRange",
        "the desired count is within the acceptable range",
    )  # fmt: skip
