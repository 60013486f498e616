"""Which router a canary gets: its `spec.provider` says, or else the operator's setting."""

from collections.abc import Callable

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.kubernetes import KubernetesRouter
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.router import Ability, Router, RoutingError

KUMA = "kuma"
KUBERNETES = "kubernetes"
PROVIDERS = (KUMA, KUBERNETES)
"""Those of Flagger's providers that Serinus has a router for."""


class Routers:
    """A `Router` that leaves each canary to the router of its provider.

    ``default`` is the provider of canaries that name none.
    """

    def __init__(self, kuma: KumaRouter, default: str) -> None:
        self.kuma = kuma
        self._kubernetes = KubernetesRouter()
        self._default = default

    def provider(self, canary: Canary) -> str:
        """The provider's name, whether or not Serinus has a router for it."""
        return canary.spec.provider or self._default

    def for_canary(self, canary: Canary) -> Router | Problem:
        """The canary's router, or why there is none."""
        match self.provider(canary):
            case "kuma":
                return self.kuma
            case "kubernetes":
                return self._kubernetes
            case other:
                return Problem(
                    "spec.provider",
                    f'provider "{other}" is another mesh\'s; use "{KUMA}" or "{KUBERNETES}"',
                )

    def splits(self, canary: Canary) -> bool:
        """Whether the canary's provider can share traffic out between primary and canary."""
        return self.provider(canary) != KUBERNETES

    def abilities(self, canary: Canary) -> frozenset[Ability]:
        router = self.for_canary(canary)
        return frozenset() if isinstance(router, Problem) else router.abilities(canary)

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        router = self.for_canary(canary)
        return (router,) if isinstance(router, Problem) else router.problems(canary)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        router = self.for_canary(canary)
        return () if isinstance(router, Problem) else router.drift(canary)

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        router = self.for_canary(canary)
        if isinstance(router, Problem):
            raise RoutingError(str(router))
        wrote = await router.reconcile(canary, traffic)
        if router is not self.kuma:
            # A canary that was Kuma's before must not leave a route behind that shifts traffic.
            await self.kuma.finalize(canary)
        return wrote

    async def finalize(self, canary: Canary) -> None:
        await self.kuma.finalize(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await self.kuma.collect(exists)
