"""How a tick speaks with its driver: an effect that must hold, or the tick is over."""

from collections.abc import Generator

from serinus.rollout.effects import Effect, Failed, Outcome

Tick = Generator[Effect, Outcome, None]

Check = Generator[Effect, Outcome, bool]
"""A part of a tick that finds out whether something is as it should be."""


class TickStoppedError(Exception):
    """An effect did not hold, so nothing after it may happen in this tick."""

    def __init__(self, effect: Effect, why: str) -> None:
        super().__init__(why)
        self.effect = effect
        self.why = why


def must(effect: Effect) -> Tick:
    """Yield the effect; end the tick when it does not hold.

    Raises:
        TickStoppedError: the driver answered `Failed`.
    """
    outcome = yield effect
    if isinstance(outcome, Failed):
        raise TickStoppedError(effect, outcome.why)
