"""Flagger's rule: a metric's value against the bounds that the Canary gives.

`thresholdRange` is inclusive at both ends; the deprecated `threshold` is a minimum for the
success rate and a maximum for everything else (Flagger 1.44).
"""

from dataclasses import dataclass
from typing import Literal

from serinus.analysis.verdict import Measurement, NoData, Unavailable
from serinus.api.canary import Metric


@dataclass(frozen=True, slots=True)
class Pass:
    """The value is within its bounds."""

    value: float


@dataclass(frozen=True, slots=True)
class OutOfBounds:
    """The value is on the wrong side of ``bound``; ``view`` is the measurement's."""

    value: float
    bound: float
    side: Literal["<", ">"]
    view: str = ""


Verdict = Pass | OutOfBounds | NoData | Unavailable


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values that a metric may take, both ends included."""

    minimum: float | None
    maximum: float | None


def bounds(metric: Metric) -> Bounds:
    """What the Canary asks of this metric, in the metric's own unit."""
    if metric.threshold_range is not None:
        return Bounds(metric.threshold_range.min, metric.threshold_range.max)
    threshold = metric.threshold or 0.0
    if metric.name == "request-success-rate":
        return Bounds(minimum=threshold, maximum=None)
    return Bounds(minimum=None, maximum=threshold)


def judge(metric: Metric, measurement: Measurement) -> Verdict:
    """The verdict on one measurement; without a value it is the measurement's own word."""
    if isinstance(measurement, NoData | Unavailable):
        return measurement
    allowed = bounds(metric)
    value = measurement.value
    if allowed.minimum is not None and value < allowed.minimum:
        return OutOfBounds(value, allowed.minimum, "<", measurement.view)
    if allowed.maximum is not None and value > allowed.maximum:
        return OutOfBounds(value, allowed.maximum, ">", measurement.view)
    return Pass(value)
