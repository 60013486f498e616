"""Promotion: the primary becomes the canary's revision, then takes all traffic back."""

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    AwaitRoute,
    Promote,
    ReconcileAutoscaler,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetWeights,
)
from serinus.rollout.rest import keep
from serinus.rollout.restart import describe_anew, restart
from serinus.rollout.revision import origin_of, superseded
from serinus.rollout.tick import ALL_TO_PRIMARY, Tick, must, weights_of
from serinus.rollout.world import World


def start_promotion(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """The analysis is complete: copy the revision that passed it to the primary."""
    status = statuses.enter(canary, status, Phase.PROMOTING, world.now)
    yield from must(SaveStatus(status))
    yield Record("Normal", messages.copying(canary))
    yield from _copy(status)


def promote(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Wait until the primary serves the promoted revision, then route back to it."""
    assert world.target is not None
    yield from keep()
    yield from _hold_weights(world, status)
    if not _copied(world, status):
        if superseded(status, world.target):
            # What passed the analysis is gone, and what took its place has not been judged.
            yield from restart(canary, world, status)
        else:
            yield from _copy((yield from describe_anew(world, status)))
        return
    assert world.primary is not None
    yield from must(ReconcileAutoscaler(follow=True))
    if not world.primary.readiness.ready:
        why = world.primary.readiness.why
        yield Record("Warning", messages.waiting_for_primary(canary, why), lasting=True)
        return
    status = statuses.weighing(status, 0, world.now)
    yield from must(SaveStatus(statuses.enter(canary, status, Phase.FINALISING, world.now)))
    yield Record("Normal", messages.routing_to_primary())
    yield from must(SetWeights(ALL_TO_PRIMARY))


def finalise(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """All traffic is the primary's: take the canary's pods away and call it done."""
    yield from keep()
    yield from must(SetWeights(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())
    status = msgspec.structs.replace(status, last_promoted_spec=status.last_applied_spec)
    yield from must(SaveStatus(statuses.enter(canary, status, Phase.SUCCEEDED, world.now)))
    yield Record("Normal", messages.promoted(canary))


def _copied(world: World, status: CanaryStatus) -> bool:
    """Whether the primary has been made from the revision that passed the analysis."""
    return world.primary is not None and world.primary.origin == origin_of(status.last_applied_spec)


def _copy(status: CanaryStatus) -> Tick:
    yield from must(Promote(status.last_applied_spec))
    yield from must(ReconcileAutoscaler(follow=True))


def _hold_weights(world: World, status: CanaryStatus) -> Tick:
    """Keep the split while the primary rolls, unless no canary pod is left to serve it."""
    assert world.target is not None
    if world.target.available == 0 and status.canary_weight > 0:
        yield from must(SetWeights(ALL_TO_PRIMARY))
    else:
        yield from must(SetWeights(weights_of(status.canary_weight)))
