"""Which router a canary gets: its `spec.provider` says, or else the operator's setting."""

from collections.abc import Callable, Iterator

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.support import GATEWAY_PROVIDERS, PROVIDERS
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.gateway import parents
from serinus.routing.gateway.httproute import CRD, HTTPRouteRouter
from serinus.routing.kubernetes import KubernetesRouter
from serinus.routing.kuma.dialect import Dialect
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.router import Ability, Router, RoutingError

KUMA = "kuma"
KUBERNETES = "kubernetes"


class Routers:
    """A `Router` that leaves each canary to the router of its provider.

    ``default`` is the provider of canaries that name none. ``gateway`` is None where the cluster
    has no HTTPRoutes.
    """

    def __init__(
        self, kuma: KumaRouter, default: str, gateway: HTTPRouteRouter | None = None
    ) -> None:
        self.kuma = kuma
        self._gateway = gateway
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
            case provider if provider in GATEWAY_PROVIDERS:
                return self._gateway or Problem(
                    "spec.provider",
                    f'provider "{provider}" needs the CRD {CRD} at version v1, which this cluster '
                    f"has not; install the Gateway API, or use provider {KUMA}",
                )
            case other:
                known = " or ".join(f'"{provider}"' for provider in PROVIDERS)
                return Problem(
                    "spec.provider", f'provider "{other}" is another mesh\'s; use {known}'
                )

    def splits(self, canary: Canary) -> bool:
        """Whether the canary's provider can share traffic out between primary and canary."""
        return self.provider(canary) != KUBERNETES

    def abilities(self, canary: Canary) -> frozenset[Ability]:
        router = self.for_canary(canary)
        return frozenset() if isinstance(router, Problem) else router.abilities(canary)

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        router = self.for_canary(canary)
        if isinstance(router, Problem):
            return (router,)
        found = router.problems(canary)
        if router is self._gateway and parents.lead_callers(canary):
            found += self._by_traffic_routes(canary)
        return found

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        router = self.for_canary(canary)
        return () if isinstance(router, Problem) else router.preflight(canary)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        router = self.for_canary(canary)
        return () if isinstance(router, Problem) else router.drift(canary)

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        router = self.for_canary(canary)
        if isinstance(router, Problem):
            raise RoutingError(str(router))
        wrote = await router.reconcile(canary, traffic)
        for other in self._writing():
            if other is not router:
                # After a change of the provider no route may stay behind that shifts traffic.
                await other.finalize(canary)
        return wrote

    async def finalize(self, canary: Canary) -> None:
        for router in self._writing():
            await router.finalize(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        for router in self._writing():
            await router.collect(exists)

    def _by_traffic_routes(self, canary: Canary) -> tuple[Problem, ...]:
        """That an HTTPRoute for callers would cut into a mesh that lives by TrafficRoutes."""
        if self.kuma.dialect(canary) is not Dialect.TRAFFIC_ROUTE:
            return ()
        message = (
            f"mesh {canary.mesh} splits traffic by TrafficRoutes: an older Kuma ignores an "
            "HTTPRoute there, and a newer one makes a MeshHTTPRoute of it, which overrides the "
            f"TrafficRoutes of every service; use provider {KUMA}, or remove the TrafficRoutes"
        )
        return (Problem("spec.provider", message),)

    def _writing(self) -> Iterator[Router]:
        """The routers that leave something in the cluster."""
        yield self.kuma
        if self._gateway is not None:
            yield self._gateway
