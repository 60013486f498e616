"""How a tick speaks with its driver: an effect that must hold, or the tick is over."""

from collections.abc import Generator

from serinus.rollout.effects import Effect, Failed, Outcome, Weights

Tick = Generator[Effect, Outcome, None]

ALL_TO_PRIMARY = Weights(primary=100, canary=0)


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


def weights_of(canary_weight: int) -> Weights:
    """The route's weights for a status' ``canaryWeight``."""
    return Weights(primary=100 - canary_weight, canary=canary_weight)
