"""One check of an analysis: the hooks that go with it, then every metric."""

from collections.abc import Generator

from serinus.analysis.threshold import OutOfBounds, Pass, judge
from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.api.canary import Canary, CanaryStatus, Metric
from serinus.rollout import hooks, messages
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import Effect, Measure, Outcome, Record
from serinus.rollout.status import is_untouched

Complaint = Generator[Effect, Outcome, str | None]
"""Finds out what is wrong, in words; None when nothing is."""


def check(canary: Canary, status: CanaryStatus) -> Complaint:
    """Before any traffic the pre-rollout hooks, later the rollout hooks and the metrics."""
    if not is_untouched(status):
        return (yield from _external(canary)) or (yield from _metrics(canary))
    if stalled_for(status, Stalled.TRAFFIC_GATE):
        # They have passed: only the gate after them is still closed.
        return None
    yield Record("Normal", messages.starting(canary))
    return (yield from _pre_rollout(canary))


def _pre_rollout(canary: Canary) -> Complaint:
    refusal = yield from hooks.ask(canary, "pre-rollout")
    if refusal is None:
        return None
    hook, why = refusal
    return (yield from _told(messages.pre_rollout_failed(canary, hook.name, why)))


def _external(canary: Canary) -> Complaint:
    refusal = yield from hooks.ask(canary, "rollout")
    if refusal is None:
        return None
    hook, why = refusal
    return (yield from _told(messages.rollout_hook_failed(canary, hook.name, why)))


def _metrics(canary: Canary) -> Complaint:
    for metric in canary.spec.analysis.metrics:
        outcome = yield Measure(metric)
        complaint = _judged(canary, metric, outcome)
        if complaint is not None:
            return (yield from _told(complaint))
    return None


def _told(complaint: str) -> Complaint:
    yield Record("Warning", complaint)
    return complaint


def _judged(canary: Canary, metric: Metric, outcome: Outcome) -> str | None:
    """What is wrong with the metric, in words; None when it is within its bounds."""
    if not isinstance(outcome, Value | NoData | Unavailable):
        raise TypeError(f"a measurement was asked for, not {outcome!r}")
    match judge(metric, outcome):
        case Pass():
            return None
        case OutOfBounds() as verdict:
            return messages.out_of_bounds(canary, metric, verdict)
        case NoData() as nothing:
            return messages.no_values(canary, metric, nothing)
        case Unavailable() as silent:
            return messages.query_failed(metric, silent)
