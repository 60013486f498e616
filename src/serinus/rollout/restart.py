"""Beginning the analysis anew, with the revision that took the analysed one's place."""

from serinus.api.canary import Canary, CanaryStatus
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import Record, SaveStatus, SetWeights
from serinus.rollout.tick import ALL_TO_PRIMARY, Tick, must
from serinus.rollout.world import World


def restart(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    """Take the traffic off the canary's pods, which are being replaced, and start from zero."""
    assert world.target is not None
    yield from must(SaveStatus(statuses.begin(canary, status, world.target, world.now)))
    yield Record("Normal", messages.restarting(canary))
    yield from must(SetWeights(ALL_TO_PRIMARY))
