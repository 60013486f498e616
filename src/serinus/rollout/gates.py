"""Gates: points of a rollout that a hook has to open.

A closed gate is told once, by an event, an alert and the `Stalled` condition (whose
lastUpdateTime says since when); then it is asked again at each interval, without failing anything.
"""

from dataclasses import dataclass

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import hooks, messages
from serinus.rollout import status as statuses
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import Alert, Record, SaveStatus
from serinus.rollout.tick import Check, Tick, must
from serinus.rollout.world import World


@dataclass(frozen=True, slots=True)
class Gate:
    """``kind`` is the webhook's type; ``what`` is what it approves, in the event's words."""

    kind: str
    reason: Stalled
    what: str
    alert: str


ROLLOUT = Gate(
    "confirm-rollout", Stalled.ROLLOUT_GATE, "approval", "Canary is waiting for approval."
)
TRAFFIC = Gate(
    "confirm-traffic-increase",
    Stalled.TRAFFIC_GATE,
    "traffic increase approval",
    "Canary traffic increase is waiting for approval.",
)
PROMOTION = Gate(
    "confirm-promotion",
    Stalled.PROMOTION_GATE,
    "promotion approval",
    "Canary promotion is waiting for approval.",
)


def passed(canary: Canary, world: World, status: CanaryStatus, gate: Gate) -> Check:
    """Whether all hooks of the gate say yes.

    ``status`` is saved, stalled, when one says no for the first time: the caller puts into it what
    else it wants to be remembered while the gate is closed.
    """
    # As Flagger: this one hook is told the phase in which it is asked.
    phase = canary.status.phase if gate is ROLLOUT else Phase.PROGRESSING
    refusal = yield from hooks.ask(canary, gate.kind, phase)
    if refusal is None:
        return True
    hook, _ = refusal
    if not stalled_for(status, gate.reason):
        yield from _tell(canary, world, status, gate, hook.name, mute=hook.mute_alert)
    return False


def _tell(
    canary: Canary, world: World, status: CanaryStatus, gate: Gate, hook: str, *, mute: bool
) -> Tick:
    message = messages.waiting_for_approval(canary, hook, gate.what)
    yield from must(SaveStatus(statuses.stalled(status, gate.reason, message, world.now)))
    yield Record("Warning", message)
    if not mute:
        yield Alert("warn", gate.alert)
