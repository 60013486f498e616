"""The first phase: from a bare target to a primary that serves the apex.

Traffic moves from the target to the primary only when the primary is ready, and the target's
pods go only when nothing selects them any more.
"""

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    AwaitRoute,
    ReconcileApex,
    ReconcileAutoscaler,
    ReconcilePrimary,
    ReconcileServices,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetWeights,
)
from serinus.rollout.revision import origin_of
from serinus.rollout.tick import ALL_TO_PRIMARY, Tick, must
from serinus.rollout.world import World


def initialise(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Make the generated objects, wait for the primary, give it the traffic."""
    if status.phase is not Phase.INITIALIZING:
        status = statuses.enter(canary, status, Phase.INITIALIZING, world.now)
        yield from must(SaveStatus(status))
    yield from must(ReconcileServices())
    yield from must(ReconcilePrimary())
    yield from must(ReconcileAutoscaler(follow=False))
    if world.primary is None:
        return
    if not world.primary.readiness.ready:
        why = world.primary.readiness.why
        yield Record("Warning", messages.waiting_for_primary(canary, why), lasting=True)
        return
    yield from must(ReconcileApex())
    yield from must(SetWeights(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())
    yield from must(SaveStatus(_initialized(canary, world, status)))
    yield Record("Normal", messages.initialized(canary))


def _initialized(canary: Canary, world: World, status: CanaryStatus) -> CanaryStatus:
    """The primary's content counts as rolled out, also when the target has moved on since."""
    assert world.target is not None and world.primary is not None
    current = world.in_primary or world.primary.origin == origin_of(world.target.revision)
    revision = world.target.revision if current else world.primary.revision
    status = msgspec.structs.replace(
        status,
        canary_weight=0,
        failed_checks=0,
        iterations=0,
        last_applied_spec=revision,
        last_applied_generation=world.target.generation if current else None,
        last_promoted_spec=revision,
    )
    return statuses.enter(canary, status, Phase.INITIALIZED, world.now)
