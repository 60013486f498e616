"""The first phase: from a bare target to a primary that serves the apex.

Traffic moves from the target to the primary only when the primary is ready, and the target's
pods go only when nothing selects them any more.
"""

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import (
    Alert,
    AwaitRoute,
    CheckProviders,
    Failed,
    ReconcileApex,
    ReconcileAutoscaler,
    ReconcilePrimary,
    ReconcileServices,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetTraffic,
)
from serinus.rollout.revision import origin_of
from serinus.rollout.strategy import ALL_TO_PRIMARY
from serinus.rollout.tick import Tick, must
from serinus.rollout.world import World


def initialise(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Make the generated objects, wait for the primary, give it the traffic."""
    if status.phase is not Phase.INITIALIZING:
        status = statuses.enter(canary, status, Phase.INITIALIZING, world.now)
        yield from must(SaveStatus(status))
        yield from _check_providers(canary)
    yield from must(ReconcileServices())
    yield from must(ReconcilePrimary())
    yield from must(ReconcileAutoscaler(follow=False))
    if world.primary is None:
        return
    if not world.primary.readiness.ready:
        yield from _wait_for_primary(canary, world, status)
        return
    yield from must(ReconcileApex())
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())
    yield from must(SaveStatus(_initialized(canary, world, status)))
    yield Record("Normal", messages.initialized(canary))
    kind = canary.spec.target_ref.kind
    yield Alert("info", f"New {kind} detected, initialization completed.", described=True)


def _check_providers(canary: Canary) -> Tick:
    """Tell early that a metrics provider is away; it may be back before it is needed."""
    if canary.spec.skip_analysis or not canary.spec.analysis.metrics:
        return
    outcome = yield CheckProviders()
    if isinstance(outcome, Failed):
        yield Record("Warning", messages.providers_unavailable(outcome.why))
    else:
        yield Record("Normal", messages.providers_available())


def _wait_for_primary(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    assert world.primary is not None
    readiness = world.primary.readiness
    message = messages.waiting_for_primary(canary, readiness.why)
    if readiness.hopeless and not stalled_for(status, Stalled.PRIMARY_NOT_READY):
        stalled = statuses.stalled(status, Stalled.PRIMARY_NOT_READY, message, world.now)
        yield from must(SaveStatus(stalled))
    yield Record("Warning", message, lasting=True)


def _initialized(canary: Canary, world: World, status: CanaryStatus) -> CanaryStatus:
    """The primary's content counts as rolled out, also when the target has moved on since."""
    assert world.target is not None and world.primary is not None
    target = world.target
    current = world.in_primary or world.primary.origin == origin_of(target.revision, target.configs)
    revision = target.revision if current else world.primary.revision
    status = msgspec.structs.replace(
        status,
        canary_weight=0,
        failed_checks=0,
        iterations=0,
        last_applied_spec=revision,
        last_applied_generation=target.generation if current else None,
        last_promoted_spec=revision,
        tracked_configs=target.configs,
    )
    return statuses.enter(canary, status, Phase.INITIALIZED, world.now)
