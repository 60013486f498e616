"""Promotion: the primary becomes the canary's revision, then takes all traffic back."""

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import gates, hooks, messages
from serinus.rollout import status as statuses
from serinus.rollout.conditions import Analyzing, analyzes
from serinus.rollout.effects import (
    Alert,
    AwaitRoute,
    Promote,
    ReconcileAutoscaler,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetTraffic,
)
from serinus.rollout.rest import keep
from serinus.rollout.restart import describe_anew, restart
from serinus.rollout.revision import origin_of, superseded
from serinus.rollout.strategy import ALL_TO_PRIMARY, Strategy, strategy_of, traffic_of
from serinus.rollout.tick import Check, Tick, must
from serinus.rollout.verbs import is_forced, is_promotion_asked
from serinus.rollout.world import World


def start_promotion(
    canary: Canary, world: World, status: CanaryStatus, *, stands_in: bool = False
) -> Tick:
    """The analysis is complete, or was not wanted: copy the revision to the primary.

    ``stands_in`` tells that the canary's pods serve everybody meanwhile.
    """
    status = statuses.enter(canary, status, Phase.PROMOTING, world.now)
    if stands_in:
        message = "The canary serves while the primary is being repaired."
        status = statuses.standing_in(status, message, world.now)
    yield from must(SaveStatus(status))
    yield Record("Normal", messages.copying(canary))
    yield from _copy(status)


def promote(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Wait until the primary serves the promoted revision, then route back to it."""
    assert world.target is not None
    yield from keep()
    yield from _hold_traffic(canary, world, status)
    if not _copied(world, status):
        if superseded(status, world.target):
            # What passed the analysis is gone, and what took its place has not been judged.
            yield from restart(canary, world, status)
        else:
            yield from _copy((yield from describe_anew(world, status)))
        return
    assert world.primary is not None
    yield from must(ReconcileAutoscaler(follow=True))
    readiness = world.primary.readiness
    if readiness.hopeless:
        yield from _give_up(canary, world, status, readiness.why)
    elif not readiness.ready:
        message = messages.waiting_for_primary(canary, readiness.why)
        yield Record("Warning", message, lasting=True)
    elif _returns_by_steps(canary, world, status):
        yield from _return_step(canary, world, status)
    else:
        yield from _return(canary, world, status)


def finalise(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """All traffic is the primary's: take the canary's pods away and call it done."""
    yield from keep()
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())
    returned = analyzes(status, Analyzing.RETURNING)
    status = msgspec.structs.replace(status, last_promoted_spec=status.last_applied_spec)
    yield from must(SaveStatus(statuses.enter(canary, status, Phase.SUCCEEDED, world.now)))
    if returned:
        yield Record("Normal", messages.scaled_down_after_return(canary))
        return
    yield from hooks.after_rollout(canary, Phase.SUCCEEDED)
    if canary.spec.skip_analysis:
        yield Record("Normal", messages.promoted_unanalysed(canary))
        yield Alert("info", "Canary analysis was skipped, promotion finished.")
    else:
        yield Record("Normal", messages.promoted(canary))
        yield Alert("info", "Canary analysis completed successfully, promotion finished.")


def recover(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """After a failed promotion: the canary's pods serve until the primary can again."""
    assert world.target is not None
    yield from keep()
    yield from _hold_traffic(canary, world, status)
    if (yield from _repair_vouched_for(canary, world, status)):
        asked = statuses.known_as(status, world.target)
        yield from start_promotion(canary, world, asked, stands_in=True)
    elif world.primary is None or not world.primary.readiness.ready:
        return
    elif _copied(world, status) and not superseded(status, world.target):
        yield from _return(canary, world, status)
    else:
        # The target has moved on: the primary takes over with what it runs, then the new
        # revision is judged like any other.
        yield from _take_over(canary, world, status)


def _repair_vouched_for(canary: Canary, world: World, status: CanaryStatus) -> Check:
    """Whether somebody has put a repair into the target and asked that it be promoted, and no
    gate is closed to it."""
    assert world.target is not None
    asked = statuses.known_as(status, world.target)
    if not (is_promotion_asked(asked) and superseded(status, world.target)):
        return False
    if not world.target.readiness.ready:
        return False
    if is_forced(asked):
        return True
    return world.due and (yield from gates.passed(canary, world, status, gates.PROMOTION))


def _take_over(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """End the stand-in of a canary whose revision nobody wants any more, as a rollback ends."""
    if status.canary_weight > 0:
        status = msgspec.structs.replace(status, canary_weight=0)
        yield from must(SaveStatus(status))
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())
    yield from must(SaveStatus(statuses.enter(canary, status, Phase.FAILED, world.now)))


def _copied(world: World, status: CanaryStatus) -> bool:
    """Whether the primary has been made from the revision that passed the analysis."""
    origin = origin_of(status.last_applied_spec, status.tracked_configs)
    return world.primary is not None and world.primary.origin == origin


def _copy(status: CanaryStatus) -> Tick:
    yield from must(Promote(status.last_applied_spec, status.tracked_configs or {}))
    yield from must(ReconcileAutoscaler(follow=True))


def _hold_traffic(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Keep the split while the primary rolls, unless no canary pod is left to serve it, or the
    primary has pods as well and those that are left are of a revision that nobody has judged, or
    the mesh cannot lead requests to them."""
    assert world.target is not None
    wanted = traffic_of(canary, status, splits=world.splits)
    primary_serves = world.primary is not None and world.primary.available > 0
    unjudged = status.phase is Phase.PROMOTING and superseded(status, world.target)
    unfit = unjudged or bool(world.unprepared)
    if world.target.available == 0 or (unfit and primary_serves):
        wanted = ALL_TO_PRIMARY
    if wanted.reaches_canary and world.unprepared:
        # Nobody else can serve: what the mesh still does with the route is the best there is.
        return
    yield from must(SetTraffic(wanted))


def _returns_by_steps(canary: Canary, world: World, status: CanaryStatus) -> bool:
    """Whether the traffic goes back bit by bit, and some of it has still to."""
    if world.target is None or superseded(status, world.target):
        return False
    strategy = strategy_of(canary, splits=world.splits)
    step = canary.spec.analysis.step_weight_promotion
    return strategy is not Strategy.AB_TESTING and 0 < step < status.canary_weight


def _return_step(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    if not world.due or statuses.is_paused(status):
        return
    weight = status.canary_weight - canary.spec.analysis.step_weight_promotion
    status = statuses.returning(status, weight, world.target, world.now)
    yield from must(SaveStatus(status))
    yield from _hold_traffic(canary, world, status)
    yield Record("Normal", messages.primary_advanced(canary, 100 - weight))


def _return(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """The rest of the traffic, or all of it, back to the primary."""
    by_steps = canary.spec.analysis.step_weight_promotion > 0 and status.canary_weight > 0
    status = statuses.returning(status, 0, world.target, world.now)
    yield from must(SaveStatus(statuses.enter(canary, status, Phase.FINALISING, world.now)))
    if by_steps:
        yield Record("Normal", messages.primary_advanced(canary, 100))
    else:
        yield Record("Normal", messages.routing_to_primary())
    yield from must(SetTraffic(ALL_TO_PRIMARY))


def _give_up(canary: Canary, world: World, status: CanaryStatus, why: str) -> Tick:
    """The primary does not get ready: leave all traffic with pods of the same revision that do.

    Without any, the traffic stays the primary's: some of its old pods may still serve.
    """
    assert world.target is not None
    message = messages.promotion_failed(canary, why)
    serves = world.target.available > 0 and world.splits
    status = statuses.unpromotable(canary, status, 100 if serves else 0, message, world.now)
    yield from must(SaveStatus(status))
    yield Record("Warning", message)
    yield Alert("error", f"Promotion failed, primary not ready: {why}")
    yield from _hold_traffic(canary, world, status)
    yield from hooks.after_rollout(canary, Phase.FAILED)
