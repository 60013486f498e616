"""The analysis: step by step, as long as every check passes."""

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import gates, hooks, messages
from serinus.rollout import status as statuses
from serinus.rollout.checks import check
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import (
    Alert,
    CheckProviders,
    Failed,
    Record,
    SaveStatus,
    ScaleTargetUp,
    SetTraffic,
)
from serinus.rollout.promotion import start_promotion
from serinus.rollout.rest import keep
from serinus.rollout.restart import describe_anew, restart
from serinus.rollout.revision import superseded
from serinus.rollout.rollback import finish_rollback, roll_back
from serinus.rollout.strategy import (
    ALL_TO_PRIMARY,
    Strategy,
    iterations_of,
    next_weight,
    strategy_of,
    traffic_of,
)
from serinus.rollout.tick import Check, Tick, must
from serinus.rollout.verbs import is_forced, is_promotion_asked
from serinus.rollout.world import World


def analyse(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Bring the rollout one step on, hold it, or end it."""
    assert world.target is not None
    if statuses.is_rolling_back(status):
        yield from finish_rollback(canary, world, status)
        return
    if superseded(status, world.target):
        yield from restart(canary, world, status)
        return
    status = statuses.noting((yield from describe_anew(world, status)), world.target)
    yield from keep()
    if world.target.replicas == 0:
        yield from must(SetTraffic(ALL_TO_PRIMARY))
        yield from must(ScaleTargetUp())
        return
    if not world.target.readiness.ready:
        yield from _wait_for_target(canary, world, status)
        return
    if (yield from _carried(canary, world, status)):
        yield from _judge(canary, world, status)


def _judge(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """The canary's pods are ready and have their traffic: what becomes of them."""
    if canary.spec.skip_analysis and not statuses.is_paused(status):
        yield from start_promotion(canary, world, status)
        return
    if world.primary is not None and is_promotion_asked(status):
        # A primary that has failed is repaired by it.
        if is_forced(status) or world.due:
            yield from _promote(canary, world, status)
        return
    if world.primary is None or not world.primary.readiness.ready:
        yield from _wait_for_primary(canary, world, status)
        return
    if statuses.is_paused(status):
        if world.unprepared:
            message = messages.unprepared(canary, world.unprepared)
            yield Record("Warning", message, lasting=True)
        return
    if world.due and (yield from hooks.rollback_asked(canary, status.phase)):
        message = messages.rollback_hook_invoked(canary)
        alert = Alert("warn", "Rolling back manual webhook invoked")
        yield from roll_back(canary, world, status, message, alert)
        return
    yield from _go_on(canary, world, status)


def _go_on(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Nobody wants it to end or to hold still: the next check and the next step, when the mesh is
    prepared for it."""
    if world.unprepared:
        yield from _wait_for_mesh(canary, world, status)
        return
    if stalled_for(status, Stalled.ROUTE_NOT_PREPARED):
        status = statuses.prepared(status, world.now)
        yield from must(SaveStatus(status))
        if not statuses.is_untouched(status):
            # Requests only begin to come again: there is nothing to judge yet.
            return
    if not world.due or (yield from _blind(canary, world, status)):
        return
    if stalled_for(status, Stalled.METRICS_NOT_READY):
        status = statuses.moving(status, world.now)
    complaint = yield from check(canary, status)
    if complaint is None:
        yield from _step(canary, world, status)
    else:
        yield from _count_failure(canary, world, status, complaint)


def _blind(canary: Canary, world: World, status: CanaryStatus) -> Check:
    """Whether the canary would get its first request with nobody to see what becomes of it. That
    is not its fault either: it waits. Later each metric without an answer is a failed check."""
    asked = stalled_for(status, Stalled.TRAFFIC_GATE)
    if asked or not statuses.is_untouched(status) or not canary.spec.analysis.metrics:
        return False
    outcome = yield CheckProviders()
    if not isinstance(outcome, Failed):
        return False
    held = statuses.stalled(status, Stalled.METRICS_NOT_READY, outcome.why, world.now)
    if held != status:
        yield from must(SaveStatus(held))
        yield Record("Warning", messages.unmeasurable(canary, outcome.why))
    return True


def _carried(canary: Canary, world: World, status: CanaryStatus) -> Check:
    """Whether the traffic is where the analysis needs it: else it would judge something else."""
    outcome = yield SetTraffic(traffic_of(canary, status, splits=world.may_split))
    if not isinstance(outcome, Failed):
        return True
    message = messages.failed(canary, "SetTraffic", outcome.why)
    yield Record("Warning", message, lasting=True)
    if world.due and not world.unprepared:
        yield from _count_failure(canary, world, status, message)
    return False


def _wait_for_target(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    assert world.target is not None
    readiness = world.target.readiness
    if readiness.hopeless:
        message = messages.deadline_exceeded(canary, readiness.why)
        alert = Alert("error", f"Progress deadline exceeded {readiness.why}")
        yield from roll_back(canary, world, status, message, alert)
    elif world.target.available == 0 and traffic_of(canary, status).reaches_canary:
        message = messages.no_pods(canary, readiness.why)
        yield Record("Warning", message)
        weighed = statuses.weighing(status, 0, world.now)
        yield from _count_failure(canary, world, weighed, message)
        yield from must(SetTraffic(ALL_TO_PRIMARY))
    else:
        yield from must(SetTraffic(traffic_of(canary, status, splits=world.may_split)))
        message = messages.waiting_for_target(canary, readiness.why)
        yield Record("Warning", message, lasting=True)


def _wait_for_primary(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """A primary that fails is not the canary's fault: hold, count nothing, and say so."""
    if world.primary is None:
        yield Record("Warning", messages.waiting_for_primary_to_appear(canary), lasting=True)
        return
    readiness = world.primary.readiness
    if not readiness.hopeless:
        message = messages.waiting_for_primary(canary, readiness.why)
        yield Record("Warning", message, lasting=True)
    elif not stalled_for(status, Stalled.PRIMARY_NOT_READY):
        message = messages.primary_failing(canary, readiness.why)
        stalled = statuses.stalled(status, Stalled.PRIMARY_NOT_READY, message, world.now)
        yield from must(SaveStatus(stalled))
        yield Record("Warning", message)
        yield Alert("error", message)


def _wait_for_mesh(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """What the mesh lacks is not the canary's fault: hold, count nothing, and say it once. All
    traffic is with the primary meanwhile (`_carried`), and comes back to where it was."""
    held = statuses.unprepared(status, world.unprepared, world.now)
    if held != status:
        yield from must(SaveStatus(held))
        yield Record("Warning", messages.unprepared(canary, world.unprepared))


def _step(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """One step on, in the way of the canary's strategy."""
    match strategy_of(canary, splits=world.splits):
        case Strategy.WEIGHTED:
            yield from _add_weight(canary, world, status)
        case Strategy.AB_TESTING:
            yield from _test_matching(canary, world, status)
        case Strategy.BLUE_GREEN:
            yield from _test_beside(canary, world, status)


def _add_weight(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    if status.canary_weight >= canary.spec.analysis.max_weight_or_default:
        yield from _promote(canary, world, status)
        return
    if not (yield from gates.passed(canary, world, status, gates.TRAFFIC)):
        return
    if canary.spec.analysis.mirror and statuses.is_untouched(status):
        # One interval of copied requests before the first real one.
        yield from _move(canary, world, statuses.iterated(status, 0, world.now))
        return
    weight = next_weight(canary, status.canary_weight)
    yield from _move(canary, world, statuses.weighing(status, weight, world.now))
    yield Record("Normal", messages.advanced(canary, weight))


def _test_matching(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    if status.iterations >= iterations_of(canary):
        yield from _promote(canary, world, status)
        return
    yield from _iterate(canary, world, status, weight=100)


def _test_beside(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    iterations = iterations_of(canary)
    if status.iterations < iterations:
        if status.iterations == 0 and canary.spec.analysis.iterations is None:
            yield Record("Warning", messages.weights_unsupported(iterations))
        yield from _iterate(canary, world, status, weight=0)
    elif status.iterations == iterations and world.splits:
        if not (yield from _approved(canary, world, status)):
            return
        yield from _move(canary, world, statuses.iterated(status, 100, world.now))
        mirrored = canary.spec.analysis.mirror
        yield Record("Normal", messages.routing_to_canary(mirrored=mirrored))
    else:
        yield from _promote(canary, world, status)


def _iterate(canary: Canary, world: World, status: CanaryStatus, *, weight: int) -> Tick:
    status = statuses.iterated(status, weight, world.now)
    yield from _move(canary, world, status)
    message = messages.iterated(canary, status.iterations, iterations_of(canary))
    yield Record("Normal", message)


def _move(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Decide where the traffic goes next, and let it go there."""
    yield from must(SaveStatus(status))
    yield from must(SetTraffic(traffic_of(canary, status, splits=world.splits)))


def _promote(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    if is_forced(status) or (yield from _approved(canary, world, status)):
        yield from start_promotion(canary, world, status)


def _approved(canary: Canary, world: World, status: CanaryStatus) -> Check:
    waiting = status
    if status.phase is not Phase.WAITING_PROMOTION:
        waiting = statuses.enter(canary, status, Phase.WAITING_PROMOTION, world.now)
    return (yield from gates.passed(canary, world, waiting, gates.PROMOTION))


def _count_failure(canary: Canary, world: World, status: CanaryStatus, why: str) -> Tick:
    status = statuses.check_failed(status, why, world.now)
    if status.failed_checks >= canary.spec.analysis.threshold_or_default:
        failed = status.failed_checks
        message = messages.threshold_reached(canary, failed)
        alert = Alert("error", f"Failed checks threshold reached {failed}")
        yield from roll_back(canary, world, status, message, alert)
    else:
        yield from must(SaveStatus(status))
