"""The traffic as a MeshTCPRoute: of ports that speak no HTTP, Kuma 2.3 and newer.

It shares out connections, by weight, and has nothing else: one rule for each destination, without
matches and filters. Where it stands and how it names Services is as with a MeshHTTPRoute.
"""

from collections.abc import Callable, Iterator

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import MESHTCPROUTES
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.asked import beyond
from serinus.routing.kuma.addressing import Addressing
from serinus.routing.kuma.dataplanes import canary_is_ready
from serinus.routing.kuma.entries import is_in_dialect, merged_to, rules_for_apex, spec_change
from serinus.routing.kuma.meshservices import headless_problems, lacks_primary, live_problems
from serinus.routing.kuma.objects import Objects, change_of, desired
from serinus.routing.kuma.rules import backend_refs, merged_refs, split_refs, split_weights
from serinus.routing.kuma.views import MeshServiceView, MeshTCPRouteView
from serinus.routing.kuma.writing import AT_REST, Json, paths, route_metadata
from serinus.routing.router import Ability, RoutingError

_ABILITIES = frozenset({Ability.WEIGHTS})
_HTTP = "set spec.service.appProtocol: http if that is what the port speaks"
_INSTEAD = dict.fromkeys(frozenset(Ability) - _ABILITIES, f"remove it, or {_HTTP}")


def desired_route(canary: Canary, traffic: Traffic, addressing: Addressing) -> Json:
    """The MeshTCPRoute to create."""
    to = merged_to([], canary, addressing, _merge(canary, traffic, addressing))
    spec = {"targetRef": {"kind": "Mesh"}, "to": to}
    home = addressing.home(canary)
    return desired(MESHTCPROUTES, canary, home, route_metadata(canary), spec)


def route_change(
    canary: Canary, live: MeshTCPRouteView, traffic: Traffic, addressing: Addressing
) -> Json:
    """The merge patch that lets ``live`` carry the traffic; empty when it does."""
    merge = _merge(canary, traffic, addressing)
    spec = spec_change(msgspec.json.decode(live.spec), canary, addressing, merge)
    home = addressing.home(canary)
    return change_of(canary, home, live.metadata, route_metadata(canary), spec)


def carried_traffic(canary: Canary, live: MeshTCPRouteView) -> Traffic | None:
    """The traffic that a route carries; None when it is no split between these two."""
    for rule in rules_for_apex(msgspec.json.decode(live.spec), canary):
        weights = split_weights(canary, backend_refs(rule))
        return None if weights is None else Traffic(weights)
    return None


class MeshTCPRouteRouter:
    """The `Router` of one dialect of MeshTCPRoutes; ``mesh_services`` is None where the dialect's
    references lead to none."""

    def __init__(
        self,
        client: Client,
        addressing: Addressing,
        routes: Objects[MeshTCPRouteView],
        mesh_services: Cache[MeshServiceView] | None,
    ) -> None:
        self._client = client
        self._addressing = addressing
        self._routes = routes
        self._mesh_services = mesh_services

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        return _ABILITIES

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        home = self._addressing.home(canary)
        found = [
            *headless_problems(canary),
            *self._routes.problems(
                canary, home, "spec.service.name", "or give the canary's service another name"
            ),
            *beyond(canary, _ABILITIES, f"port {canary.spec.service.port} is tcp, which", _INSTEAD),
            *_uncountable(canary),
        ]
        return tuple(dict.fromkeys(found))

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        if self._mesh_services is None:
            return ()
        return live_problems(canary, self._mesh_services, http=False)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._routes.live(self._addressing.home(canary))
        if live is None:
            return ()
        if not is_in_dialect(msgspec.json.decode(live.spec), canary, self._addressing):
            return ()
        traffic = carried_traffic(canary, live) or AT_REST
        return paths(route_change(canary, live, traffic, self._addressing))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic != Traffic(traffic.weights):
            raise RoutingError(
                f"port {canary.spec.service.port} of {canary.apex_name}.{canary.namespace} is tcp, "
                f"so connections can be shared out by weight only; {_HTTP}"
            )
        home = self._addressing.home(canary)
        live = self._routes.live(home)
        services = self._mesh_services
        if traffic.reaches_canary:
            found = self.preflight(canary)
            if found:
                raise RoutingError("; ".join(str(problem) for problem in found))
            before = (None if live is None else carried_traffic(canary, live)) or AT_REST
            if self._addressing.by_tag and not before.reaches_canary:
                await self._find_pods(canary)
        elif live is None and lacks_primary(canary, self._addressing, services, http=False):
            # Without a route the apex leads all callers to the primary as well.
            await self._routes.remove(canary)
            return []
        wrote = await self._routes.have(
            home,
            body=lambda: desired_route(canary, traffic, self._addressing),
            change=lambda route: route_change(canary, route, traffic, self._addressing),
        )
        await self._routes.remove(canary, but=[home])
        return wrote

    async def finalize(self, canary: Canary) -> None:
        await self._routes.remove(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await self._routes.collect(exists)

    async def _find_pods(self, canary: Canary) -> None:
        if not await canary_is_ready(self._client, canary):
            raise RoutingError(
                f"Kuma knows of no ready pod of {canary.canary_service}.{canary.namespace} yet, so "
                "connections are not led to it"
            )


def _uncountable(canary: Canary) -> Iterator[Problem]:
    """The built-in checks count requests, and there are none where nobody speaks HTTP."""
    port = canary.spec.service.port
    for index, metric in enumerate(canary.spec.analysis.metrics):
        if not metric.query and metric.template_ref is None:
            yield Problem(
                f"spec.analysis.metrics[{index}].name",
                f"{metric.name} is about requests, and port {port} is tcp to Kuma, which counts "
                f"none there; {_HTTP}, else use a MetricTemplate of your own by templateRef",
            )


def _merge(
    canary: Canary, traffic: Traffic, addressing: Addressing
) -> Callable[[list[Json]], list[Json]]:
    """Makes the one rule for the apex; what else is in it stays."""

    def merge(found: list[Json]) -> list[Json]:
        rule = found[0] if found else {}
        default = dict(rule.get("default") or {})
        wanted = split_refs(canary, traffic.weights, addressing)
        default["backendRefs"] = merged_refs(backend_refs(rule), wanted, canary)
        return [{**rule, "default": default}]

    return merge
