"""Going back: all traffic to the primary, then the canary's pods away.

The decision is saved before anything else happens (`RollingBack`), so a rollback that has begun
is finished by whichever tick comes next.
"""

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import hooks, messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import (
    Alert,
    AwaitRoute,
    ReconcileApex,
    Record,
    SaveStatus,
    ScaleTargetToZero,
    SetTraffic,
)
from serinus.rollout.strategy import ALL_TO_PRIMARY
from serinus.rollout.tick import Tick, must
from serinus.rollout.world import World


def roll_back(
    canary: Canary, world: World, status: CanaryStatus, message: str, alert: Alert | None = None
) -> Tick:
    """Decide to go back, for the reason that ``message`` gives, and do it.

    Every rollback is alerted (Flagger alerts only those of failed checks); ``alert`` is what to
    say in the place of the message.
    """
    if not statuses.is_rolling_back(status):
        status = statuses.rolling_back(canary, status, message, world.now)
        yield from must(SaveStatus(status))
        yield Record("Warning", message)
        yield alert or Alert("error", message)
    yield from finish_rollback(canary, world, status)


def finish_rollback(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Do what is still to be done of a rollback."""
    yield from must(SetTraffic(ALL_TO_PRIMARY))
    yield from must(ReconcileApex())
    yield from must(AwaitRoute())
    yield Record("Warning", messages.rolled_back(canary))
    yield from must(ScaleTargetToZero())
    yield from must(SaveStatus(statuses.rolled_back(canary, status, world.now)))
    yield from hooks.after_rollout(canary, Phase.FAILED)
