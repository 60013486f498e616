"""Between rollouts: keep the generated objects, and wait for a new revision."""

from serinus.api.canary import Canary, CanaryStatus
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    ReconcileApex,
    ReconcileAutoscaler,
    ReconcilePrimary,
    ReconcileServices,
    Record,
    SaveStatus,
    ScaleTargetUp,
    SetWeights,
)
from serinus.rollout.revision import Change, change
from serinus.rollout.tick import ALL_TO_PRIMARY, Tick, must
from serinus.rollout.world import World


def keep() -> Tick:
    """Have the generated objects, whatever happened to them."""
    yield from must(ReconcileServices())
    yield from must(ReconcilePrimary())
    yield from must(ReconcileAutoscaler(follow=False))
    yield from must(ReconcileApex())


def rest(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Have all traffic on the primary; start a rollout when the target is a new revision."""
    assert world.target is not None
    yield from keep()
    yield from must(SetWeights(ALL_TO_PRIMARY))
    match change(status, world.target, in_primary=world.in_primary):
        case Change.NONE:
            return
        case Change.REBASE:
            yield from must(SaveStatus(statuses.rebased(status, world.target)))
        case Change.NEW:
            yield from _start(canary, world, status)


def _start(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    assert world.target is not None
    if world.primary is None:
        yield Record("Warning", messages.waiting_for_primary_to_appear(canary), lasting=True)
        return
    if not world.primary.readiness.ready:
        why = world.primary.readiness.why
        yield Record("Warning", messages.waiting_for_primary(canary, why), lasting=True)
        return
    yield from must(SaveStatus(statuses.begin(canary, status, world.target, world.now)))
    yield Record("Normal", messages.new_revision(canary))
    yield from must(ScaleTargetUp())
