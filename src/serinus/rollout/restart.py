"""When the target is no longer what the analysis began with: in content, or in name only."""

from collections.abc import Generator

from serinus.api.canary import Canary, CanaryStatus
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    AwaitRoute,
    Effect,
    Outcome,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetTraffic,
)
from serinus.rollout.revision import superseded
from serinus.rollout.strategy import ALL_TO_PRIMARY
from serinus.rollout.tick import Tick, must
from serinus.rollout.world import World


def restart(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Take the traffic off the canary's pods, which are being replaced, and start from zero; or
    end the analysis, when the target is back at what the primary runs."""
    assert world.target is not None
    if world.in_primary:
        yield from _return(canary, world, status)
        return
    if world.target.revision == status.last_applied_spec:
        yield from _renew_pods()
    yield from must(SaveStatus(statuses.begin(canary, status, world.target, world.now)))
    yield Record("Normal", messages.restarting(canary))
    yield from must(SetTraffic(ALL_TO_PRIMARY))


def _renew_pods() -> Tick:
    """Only a ConfigMap or Secret has changed: the pods that run would go on with what they read
    when they started, and be judged in the place of pods with the new content."""
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    yield from must(AwaitRoute())
    yield from must(ScaleTargetToZero())


def _return(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """There is nothing to judge and nothing to copy: only the canary's pods are to go."""
    assert world.target is not None
    message = messages.returned(canary)
    yield from must(SaveStatus(statuses.returned(canary, status, world.target, message, world.now)))
    yield Record("Normal", message)
    yield from must(SetTraffic(ALL_TO_PRIMARY))


def describe_anew(world: World, status: CanaryStatus) -> Generator[Effect, Outcome, CanaryStatus]:
    """Know the revision in analysis by the hash that its target has today.

    The hash of an unchanged object moves when a release of Kubernetes or of Serinus describes it
    differently; what passed its analysis under the old name is then promoted under the new one.
    """
    assert world.target is not None
    if world.target.revision == status.last_applied_spec or superseded(status, world.target):
        return status
    status = statuses.known_as(status, world.target)
    yield from must(SaveStatus(status))
    return status
