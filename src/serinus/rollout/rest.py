"""Between rollouts: keep the generated objects, and wait for a new revision."""

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import gates, hooks, messages
from serinus.rollout import status as statuses
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import (
    Alert,
    ReconcileApex,
    ReconcileAutoscaler,
    ReconcilePrimary,
    ReconcileServices,
    Record,
    SaveStatus,
    ScaleTargetUp,
    SetTraffic,
)
from serinus.rollout.revision import Change, change
from serinus.rollout.rollback import roll_back
from serinus.rollout.strategy import ALL_TO_PRIMARY
from serinus.rollout.tick import Check, Tick, must
from serinus.rollout.verbs import is_forced
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
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    match change(status, world.target, in_primary=world.in_primary):
        case Change.NEW:
            yield from _let_in(canary, world, status)
            return
        case Change.REBASE:
            status = statuses.known_as(status, world.target)
            if world.in_primary:
                status = msgspec.structs.replace(status, last_promoted_spec=world.target.revision)
        case Change.NONE:
            pass
    if stalled_for(status, Stalled.PRIMARY_NOT_READY):
        # No revision waits for the primary any more.
        status = statuses.moving(status, world.now)
    if status.phase is Phase.WAITING:
        status = _stood_down(canary, world, status)
        yield Record("Normal", messages.stood_down(canary))
    shown = _with_preparation(world, status)
    if shown != canary.status:
        yield from must(SaveStatus(shown))
    if shown != status and world.unprepared:
        yield Record("Warning", messages.unprepared(canary, world.unprepared))


def _with_preparation(world: World, status: CanaryStatus) -> CanaryStatus:
    """The status that tells, before there is a revision to wait, whether one would have to."""
    if world.unprepared and (stalled_for(status, Stalled.NOT) or _unprepared(status)):
        return statuses.unprepared(status, world.unprepared, world.now)
    if not world.unprepared and _unprepared(status):
        return statuses.moving(status, world.now)
    return status


def _unprepared(status: CanaryStatus) -> bool:
    return stalled_for(status, Stalled.ROUTE_NOT_PREPARED)


def _stood_down(canary: Canary, world: World, status: CanaryStatus) -> CanaryStatus:
    """The end of a wait whose revision has been taken back."""
    assert world.target is not None
    promoted = world.in_primary or world.target.revision == status.last_promoted_spec
    phase = Phase.SUCCEEDED if promoted else Phase.FAILED
    return statuses.enter(canary, status, phase, world.now)


def _let_in(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Start the rollout of a new revision, when nothing and nobody says no."""
    if statuses.is_paused(status) or (status.phase is Phase.WAITING and not world.due):
        return
    if not canary.spec.skip_analysis and not (yield from _has_primary(canary, world, status)):
        return
    if status.phase is Phase.WAITING and (yield from hooks.rollback_asked(canary, Phase.WAITING)):
        assert world.target is not None
        status = statuses.known_as(status, world.target)
        message = messages.rollback_hook_invoked(canary)
        alert = Alert("warn", "Rolling back manual webhook invoked")
        yield from roll_back(canary, world, status, message, alert)
        return
    if not _passes_over(world, status):
        waiting = status
        if status.phase is not Phase.WAITING:
            waiting = statuses.enter(canary, status, Phase.WAITING, world.now)
        if not (yield from gates.passed(canary, world, waiting, gates.ROLLOUT)):
            return
    yield from _start(canary, world, status)


def _passes_over(world: World, status: CanaryStatus) -> bool:
    """Whether somebody has asked to promote the waiting revision whatever the gate says."""
    assert world.target is not None
    asked = msgspec.structs.replace(status, last_applied_spec=world.target.revision)
    return is_forced(asked)


def _has_primary(canary: Canary, world: World, status: CanaryStatus) -> Check:
    """Whether the primary serves, so that there is something to go back to."""
    if world.primary is None:
        yield Record("Warning", messages.waiting_for_primary_to_appear(canary), lasting=True)
        return False
    if not world.primary.readiness.ready:
        readiness = world.primary.readiness
        message = messages.waiting_for_primary(canary, readiness.why)
        if readiness.hopeless and not stalled_for(status, Stalled.PRIMARY_NOT_READY):
            stalled = statuses.stalled(status, Stalled.PRIMARY_NOT_READY, message, world.now)
            yield from must(SaveStatus(stalled))
        yield Record("Warning", message, lasting=True)
        return False
    return True


def _start(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    assert world.target is not None
    yield from must(SaveStatus(statuses.begin(canary, status, world.target, world.now)))
    yield Record("Normal", messages.new_revision(canary))
    yield Alert("info", "New revision detected, progressing canary analysis.", described=True)
    yield from must(ScaleTargetUp())
