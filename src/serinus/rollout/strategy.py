"""What a canary's analysis does with traffic: which steps it takes, and what each looks like.

The status alone says how far a rollout is (`canaryWeight`, `iterations`); `traffic_of` turns that
into the route's content, so a route can be repaired at any moment without deciding anything.
"""

from enum import Enum

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout.conditions import Analyzing, analyzes
from serinus.rollout.effects import Affinity, Traffic, Weights

UNSPLIT_ITERATIONS = 10
"""Iterations of a canary that asks for weights where traffic cannot be shared out. As Flagger."""


class Strategy(Enum):
    """How a canary is tried, with the name that Flagger's metrics use."""

    WEIGHTED = "canary"
    """The canary gets a growing share of the traffic."""

    BLUE_GREEN = "blue-green"
    """The canary is tested beside the traffic, then gets all of it at once."""

    AB_TESTING = "ab-testing"
    """The canary gets the requests that match, and no others."""


def strategy_of(canary: Canary, *, splits: bool = True) -> Strategy:
    """The strategy that the canary asks for; ``splits`` as in `World`."""
    analysis = canary.spec.analysis
    if not splits:
        return Strategy.BLUE_GREEN
    if (analysis.iterations or 0) > 0:
        return Strategy.AB_TESTING if analysis.match else Strategy.BLUE_GREEN
    return Strategy.WEIGHTED


def iterations_of(canary: Canary) -> int:
    """Checks to pass, for the strategies that count them."""
    return canary.spec.analysis.iterations or UNSPLIT_ITERATIONS


def next_weight(canary: Canary, weight: int) -> int:
    """The canary's weight after ``weight``, at most 100.

    A step of `stepWeights` is the first one above ``weight``: so editing the list in the middle
    of a rollout neither jumps nor stops (Flagger 1.44 does both).
    """
    analysis = canary.spec.analysis
    if analysis.step_weights:
        above = (step for step in analysis.step_weights if step > weight)
        return min(100, next(above, analysis.max_weight_or_default))
    return min(100, weight + (analysis.step_weight or 0))


def traffic_of(canary: Canary, status: CanaryStatus, *, splits: bool = True) -> Traffic:
    """The traffic of a rollout that has come as far as the status says; ``splits`` tells whether
    it can be shared out now."""
    weight = status.canary_weight
    if not splits:
        return ALL_TO_PRIMARY
    if status.phase is Phase.FAILED or analyzes(status, Analyzing.STANDING_IN):
        # After a failed promotion the canary serves everybody, whatever it was tried with.
        return Traffic(weights_of(weight))
    match strategy_of(canary):
        case Strategy.AB_TESTING:
            return Traffic(weights_of(0), matched=weight > 0)
        case Strategy.BLUE_GREEN | Strategy.WEIGHTED:
            tried = weight == 0 and status.iterations > 0
            return Traffic(
                weights_of(weight),
                mirrored=canary.spec.analysis.mirror and tried,
                affinity=_affinity(canary, status) if weight > 0 else None,
            )


def weights_of(canary_weight: int) -> Weights:
    """The shares for a status' ``canaryWeight``."""
    return Weights(primary=100 - canary_weight, canary=canary_weight)


ALL_TO_PRIMARY = Traffic(weights_of(0))


def _affinity(canary: Canary, status: CanaryStatus) -> Affinity | None:
    if canary.spec.analysis.session_affinity is None or not status.session_affinity_cookie:
        return None
    return Affinity(status.session_affinity_cookie, status.primary_session_affinity_cookie)


def describe(canary: Canary, *, splits: bool = True) -> str:
    """The strategy in a few words, as alerts and `serinus explain` have it."""
    analysis = canary.spec.analysis
    match strategy_of(canary, splits=splits):
        case Strategy.AB_TESTING:
            return "A/B Testing"
        case Strategy.BLUE_GREEN:
            return "Blue/Green"
        case Strategy.WEIGHTED if analysis.step_weights:
            steps = ",".join(str(step) for step in analysis.step_weights)
            return f"Weight steps: {steps} max: {analysis.max_weight_or_default}"
        case Strategy.WEIGHTED:
            return f"Weight step: {analysis.step_weight} max: {analysis.max_weight_or_default}"
