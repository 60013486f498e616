"""The router of plain Kubernetes: there is no route, the Services alone lead callers.

The apex Service selects the primary's pods, so all requests go there until a promotion brings the
new revision to those pods. That is enough for a blue/green rollout.
"""

from collections.abc import Callable

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.asked import beyond
from serinus.routing.router import Ability, RoutingError

ABILITIES: frozenset[Ability] = frozenset()

_MESH = "remove it, or use provider kuma"
_INSTEAD = dict.fromkeys(frozenset(Ability) - {Ability.WEIGHTS}, _MESH)

_TO_PRIMARY = Traffic(Weights(primary=100, canary=0))


class KubernetesRouter:
    """The `Router` that writes nothing."""

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        return ABILITIES

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        # As Flagger: a canary that asks for weights is rolled out by iterations here.
        return beyond(canary, ABILITIES | {Ability.WEIGHTS}, "provider kubernetes", _INSTEAD)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:  # noqa: ARG002 (Router's)
        return ()

    def drift(self, canary: Canary) -> tuple[str, ...]:  # noqa: ARG002 (Router's)
        return ()

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic != _TO_PRIMARY:
            raise RoutingError(
                f"provider kubernetes leads all requests for {canary.apex_name}."
                f"{canary.namespace} to the primary; it cannot send any to the canary"
            )
        return []

    async def finalize(self, canary: Canary) -> None:  # noqa: ARG002 (Router's)
        return

    async def collect(self, exists: Callable[[str, str], bool]) -> None:  # noqa: ARG002 (Router's)
        return
