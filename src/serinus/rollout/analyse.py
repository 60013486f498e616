"""The analysis: step by step, as long as every check passes."""

from collections.abc import Generator

from serinus.analysis.threshold import OutOfBounds, Pass, judge
from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.api.canary import Canary, CanaryStatus, Metric, Webhook
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    Effect,
    Failed,
    Measure,
    Outcome,
    Record,
    RunHook,
    SaveStatus,
    ScaleTargetUp,
    SetWeights,
)
from serinus.rollout.promotion import start_promotion
from serinus.rollout.rest import keep
from serinus.rollout.restart import describe_anew, restart
from serinus.rollout.revision import superseded
from serinus.rollout.rollback import finish_rollback, roll_back
from serinus.rollout.tick import ALL_TO_PRIMARY, Tick, must, weights_of
from serinus.rollout.world import World

Check = Generator[Effect, Outcome, bool]
"""A check yields effects like a tick and returns whether it passed."""


def analyse(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Bring the rollout one step on, hold it, or end it."""
    assert world.target is not None
    if statuses.is_rolling_back(status):
        yield from finish_rollback(canary, world, status)
        return
    if superseded(status, world.target):
        yield from restart(canary, world, status)
        return
    status = yield from describe_anew(world, status)
    yield from keep()
    if world.target.replicas == 0:
        yield from must(SetWeights(ALL_TO_PRIMARY))
        yield from must(ScaleTargetUp())
        return
    if not world.target.readiness.ready:
        yield from _wait_for_target(canary, world, status)
        return
    outcome = yield SetWeights(weights_of(status.canary_weight))
    if isinstance(outcome, Failed):
        # Traffic is not where the analysis needs it, so measuring would judge something else.
        yield Record("Warning", messages.failed(canary, "SetWeights", outcome.why), lasting=True)
        if world.due:
            yield from _count_failure(canary, world, status)
        return
    if world.primary is None or not world.primary.readiness.ready:
        why = world.primary.readiness.why if world.primary else "to be created"
        yield Record("Warning", messages.waiting_for_primary(canary, why), lasting=True)
        return
    if not world.due:
        return
    passed = yield from _checks(canary, status)
    if passed:
        yield from _next_step(canary, world, status)
    else:
        yield from _count_failure(canary, world, status)


def _wait_for_target(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    assert world.target is not None
    readiness = world.target.readiness
    if readiness.hopeless:
        message = messages.deadline_exceeded(canary, readiness.why)
        yield from roll_back(canary, world, status, message)
    elif world.target.available == 0 and status.canary_weight > 0:
        yield Record("Warning", messages.no_pods(canary, readiness.why))
        yield from _count_failure(canary, world, statuses.weighing(status, 0, world.now))
        yield from must(SetWeights(ALL_TO_PRIMARY))
    else:
        yield from must(SetWeights(weights_of(status.canary_weight)))
        yield Record("Warning", messages.waiting_for_target(canary, readiness.why), lasting=True)


def _next_step(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    analysis = canary.spec.analysis
    if status.canary_weight >= analysis.max_weight_or_default:
        yield from start_promotion(canary, world, status)
        return
    weight = min(100, status.canary_weight + (analysis.step_weight or 0))
    yield from must(SaveStatus(statuses.weighing(status, weight, world.now)))
    yield from must(SetWeights(weights_of(weight)))
    yield Record("Normal", messages.advanced(canary, weight))


def _count_failure(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    status = statuses.check_failed(status, world.now)
    if status.failed_checks >= canary.spec.analysis.threshold_or_default:
        message = messages.threshold_reached(canary, status.failed_checks)
        yield from roll_back(canary, world, status, message)
    else:
        yield from must(SaveStatus(status))


def _checks(canary: Canary, status: CanaryStatus) -> Check:
    """Before any traffic the pre-rollout hooks, later the rollout hooks and the metrics."""
    if status.canary_weight == 0:
        yield Record("Normal", messages.starting(canary))
        return (yield from _pre_rollout(canary))
    return (yield from _rollout_hooks(canary)) and (yield from _metrics(canary))


def _hooks(canary: Canary, kind: str) -> tuple[Webhook, ...]:
    return tuple(hook for hook in canary.spec.analysis.webhooks if hook.kind == kind)


def _pre_rollout(canary: Canary) -> Check:
    for hook in _hooks(canary, "pre-rollout"):
        outcome = yield RunHook(hook, "Progressing")
        if isinstance(outcome, Failed):
            message = messages.pre_rollout_failed(canary, hook.name, outcome.why)
            yield Record("Warning", message)
            return False
        yield Record("Normal", messages.pre_rollout_passed(hook.name))
    return True


def _rollout_hooks(canary: Canary) -> Check:
    for hook in _hooks(canary, "rollout"):
        outcome = yield RunHook(hook, "Progressing")
        if isinstance(outcome, Failed):
            message = messages.rollout_hook_failed(canary, hook.name, outcome.why)
            yield Record("Warning", message)
            return False
    return True


def _metrics(canary: Canary) -> Check:
    for metric in canary.spec.analysis.metrics:
        outcome = yield Measure(metric)
        complaint = _complaint(canary, metric, outcome)
        if complaint is not None:
            yield Record("Warning", complaint)
            return False
    return True


def _complaint(canary: Canary, metric: Metric, outcome: Outcome) -> str | None:
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
