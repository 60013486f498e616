"""The end of a Canary that promised to put back what it changed (`revertOnDeletion`).

A finalizer holds the deletion until the target has its pods again and the apex leads to them. The
route stays until the mesh knows that, and the primary until callers know that there is no route:
only then does the garbage collector take it.
"""

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    AwaitRoute,
    GiveBack,
    HoldDeletion,
    Record,
    ReleaseDeletion,
    RemoveRoute,
    SaveStatus,
    ScaleTargetUp,
)
from serinus.rollout.tick import Tick, must
from serinus.rollout.world import World

FINALIZER = "finalizer.flagger.app"
"""Flagger's, so that a canary can be handed over with it on."""


def promise(canary: Canary) -> Tick:
    """Have the finalizer exactly when the spec asks for it."""
    held = FINALIZER in canary.metadata.finalizers
    if canary.spec.revert_on_deletion and not held:
        yield from must(HoldDeletion())
    elif held and not canary.spec.revert_on_deletion:
        yield from must(ReleaseDeletion())


def terminate(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Give the traffic back to the target, then let the Canary go."""
    if FINALIZER not in canary.metadata.finalizers:
        return
    if status.phase is not Phase.TERMINATING:
        status = statuses.enter(canary, status, Phase.TERMINATING, world.now)
        yield from must(SaveStatus(status))
        yield Record("Normal", messages.terminating(canary))
    if world.target is not None:
        yield from must(ScaleTargetUp())
        if not world.target.readiness.ready:
            why = world.target.readiness.why
            yield Record("Warning", messages.waiting_for_target(canary, why), lasting=True)
            return
        yield from must(GiveBack())
        # Without the route callers go by the apex alone. Kuma learns pod by pod whom that leads to,
        # and in between it may lead to nobody.
        yield from must(AwaitRoute())
    yield from must(RemoveRoute())
    yield from must(AwaitRoute())
    yield Record("Normal", messages.given_back(canary))
    yield from must(ReleaseDeletion())
