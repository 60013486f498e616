"""The traffic as a MeshHTTPRoute: Kuma 2.1 and newer.

How it names Services and where it stands is its dialect's matter; in each, it holds for callers of
every namespace. The split itself happens in their sidecars. A route of ours that is found in
another dialect (the mesh's mode was changed, or Kuma was upgraded) is written anew in place.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import MESHHTTPROUTES
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.asked import beyond
from serinus.routing.kuma import cookies, filters, matches, servicepolicies
from serinus.routing.kuma.addressing import Addressing
from serinus.routing.kuma.dataplanes import canary_is_ready
from serinus.routing.kuma.entries import is_in_dialect, merged_to, rules_for_apex, spec_change
from serinus.routing.kuma.meshservices import (
    declared_problems,
    has_ready_pods,
    lacks_primary,
    live_problems,
)
from serinus.routing.kuma.objects import Marks, Objects, change_of, desired
from serinus.routing.kuma.proxypatch import CookiePatches
from serinus.routing.kuma.rules import carried, merged_rules
from serinus.routing.kuma.servicepolicies import ServicePolicies
from serinus.routing.kuma.views import MeshHTTPRouteView, MeshServiceView
from serinus.routing.kuma.writing import AT_REST, Json, paths, route_metadata
from serinus.routing.router import Ability, RoutingError

_ABILITIES = frozenset(
    {
        Ability.WEIGHTS,
        Ability.HEADER_MATCH,
        Ability.QUERY_MATCH,
        Ability.MIRROR,
        Ability.SERVICE_MATCH,
        Ability.HEADERS,
        Ability.REWRITE,
    }
)
_INSTEAD = {
    Ability.TIMEOUT: "remove it, or install Kuma's CRD meshtimeouts.kuma.io",
    Ability.RETRIES: "remove it, or install Kuma's CRD meshretries.kuma.io",
    Ability.AFFINITY: "remove it, or install Kuma's CRD meshproxypatches.kuma.io",
}


def desired_route(canary: Canary, traffic: Traffic, addressing: Addressing) -> Json:
    """The MeshHTTPRoute to create."""
    to = merged_to([], canary, addressing, _merge(canary, traffic, addressing, ""))
    spec = {"targetRef": {"kind": "Mesh"}, "to": to}
    return desired(MESHHTTPROUTES, canary, addressing.home(canary), _marks(canary), spec)


def route_change(
    canary: Canary, live: MeshHTTPRouteView, traffic: Traffic, addressing: Addressing
) -> Json:
    """The merge patch that lets ``live`` carry the traffic; empty when it does.

    Ours are: that the route is for all callers, our rules for requests to the apex, and our
    marks. Other destinations, rules, filters, labels and owners stay.
    """
    before = live.metadata.annotations.get(filters.FILTERS)
    merge = _merge(canary, traffic, addressing, before or "")
    spec = spec_change(msgspec.json.decode(live.spec), canary, addressing, merge)
    change = change_of(canary, addressing.home(canary), live.metadata, _marks(canary), spec)
    if before is not None and not filters.types(canary):
        metadata = change.setdefault("metadata", {})
        metadata.setdefault("annotations", {})[filters.FILTERS] = None
    return change


def carried_traffic(canary: Canary, live: MeshHTTPRouteView) -> Traffic | None:
    """The traffic that a route carries, in whatever dialect; None when it is no split between
    these two."""
    return carried(canary, rules_for_apex(msgspec.json.decode(live.spec), canary))


def in_dialect(canary: Canary, live: MeshHTTPRouteView, addressing: Addressing) -> bool:
    """As `is_in_dialect`, of a route in a cache."""
    return is_in_dialect(msgspec.json.decode(live.spec), canary, addressing)


class MeshHTTPRouteRouter:
    """The `Router` of one dialect of MeshHTTPRoutes.

    ``mesh_services`` is None where the dialect's references lead to none. ``patches`` is None
    where cookies cannot be handed out, ``timeouts`` and ``retries`` are where Kuma has not the
    kind.
    """

    def __init__(
        self,
        client: Client,
        addressing: Addressing,
        routes: Objects[MeshHTTPRouteView],
        mesh_services: Cache[MeshServiceView] | None,
        patches: CookiePatches | None = None,
        timeouts: ServicePolicies | None = None,
        retries: ServicePolicies | None = None,
    ) -> None:
        self._client = client
        self._addressing = addressing
        self._routes = routes
        self._mesh_services = mesh_services
        self._patches = patches
        self._policies = {
            ability: policies
            for ability, policies in ((Ability.TIMEOUT, timeouts), (Ability.RETRIES, retries))
            if policies is not None
        }

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        has = _ABILITIES | self._policies.keys()
        return has if self._patches is None else has | {Ability.AFFINITY}

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        found = list(declared_problems(canary))
        found += self._routes.problems(
            canary,
            self._addressing.home(canary),
            "spec.service.name",
            "or give the canary's service another name",
        )
        found += matches.problems(canary)
        found += filters.problems(canary)
        found += servicepolicies.problems(canary)
        found += cookies.problems(canary)
        found += beyond(canary, self.abilities(canary), "this cluster's Kuma", _INSTEAD)
        if self._patches is not None and canary.spec.analysis.session_affinity is not None:
            found += self._patches.problems(canary)
        for policies in self._policies.values():
            found += policies.problems(canary)
        return tuple(dict.fromkeys(found))

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        """What would make Kuma not give the canary its share of the traffic."""
        if self._mesh_services is None:
            return ()
        return live_problems(canary, self._mesh_services)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._live(canary)
        if live is None or not in_dialect(canary, live, self._addressing):
            return ()
        traffic = carried_traffic(canary, live) or AT_REST
        drifted = paths(route_change(canary, live, traffic, self._addressing))
        for policies in self._policies.values():
            drifted += tuple(policies.drift(canary))
        if self._patches is None or traffic.affinity is None:
            return drifted
        try:
            wanted = self._patches.wanted(canary, traffic.affinity)
        except RoutingError:
            return drifted
        return (*drifted, *self._patches.drift(canary, wanted))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic.reaches_canary:
            # All traffic to the primary is always safe: a route that does not resolve leads to
            # the apex, which selects the primary too. So going back never has to wait.
            found = self.preflight(canary)
            if found:
                raise RoutingError("; ".join(str(problem) for problem in found))
        elif self._live(canary) is None and self._lacks_primary(canary):
            # Without a route the apex leads all callers to the primary as well.
            await self._routes.remove(canary)
            return []
        if await self._lacks_pods(canary, traffic):
            if traffic.mirrored:
                # Kuma cannot build the configuration of a single caller from a mirror to nowhere.
                await self._write_route(canary, replace(traffic, mirrored=False))
            raise RoutingError(
                f"Kuma knows of no ready pod of {canary.canary_service}.{canary.namespace} yet, so "
                f"requests are not {'mirrored' if traffic.mirrored else 'led'} to it"
            )
        # Cookies are handed out before the route sends anybody anywhere, and until it has ceased
        # to. The other way round a caller could come to the canary, and go without one.
        wrote: list[Written] = []
        if self._patches is not None:
            wanted = self._patches.wanted(canary, traffic.affinity)
            wrote += await self._patches.reconcile(canary, wanted)
            wrote += await self._write_route(canary, traffic)
            await self._patches.remove(canary, kept=wanted)
        elif traffic.affinity is not None:
            raise RoutingError(f"cookies cannot be handed out; {_INSTEAD[Ability.AFFINITY]}")
        else:
            wrote += await self._write_route(canary, traffic)
        for policies in self._policies.values():
            wrote += await policies.reconcile(canary)
        await self._routes.remove(canary, but=[self._addressing.home(canary)])
        return wrote

    async def finalize(self, canary: Canary) -> None:
        await self._routes.remove(canary)
        if self._patches is not None:
            await self._patches.remove(canary, kept={})
        for policies in self._policies.values():
            await policies.remove(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await self._routes.collect(exists)
        if self._patches is not None:
            await self._patches.collect(exists)
        for policies in self._policies.values():
            await policies.collect(exists)

    async def _write_route(self, canary: Canary, traffic: Traffic) -> list[Written]:
        return await self._routes.have(
            self._addressing.home(canary),
            body=lambda: desired_route(canary, traffic, self._addressing),
            change=lambda route: route_change(canary, route, traffic, self._addressing),
        )

    def _lacks_primary(self, canary: Canary) -> bool:
        return lacks_primary(canary, self._addressing, self._mesh_services)

    async def _lacks_pods(self, canary: Canary, traffic: Traffic) -> bool:
        """Whether Kuma would make nothing, or worse, of what is to be led to the canary, since it
        knows of no ready pod there."""
        if not traffic.reaches_canary:
            return False
        if self._addressing.by_tag:
            live = self._live(canary)
            before = (None if live is None else carried_traffic(canary, live)) or AT_REST
            first = not before.reaches_canary or (traffic.mirrored and not before.mirrored)
            return first and not await canary_is_ready(self._client, canary)
        if not traffic.mirrored or not self._addressing.mirrors_need_pods:
            return False
        services = self._mesh_services
        service = canary.canary_service
        return services is None or not has_ready_pods(canary.namespace, service, services)

    def _live(self, canary: Canary) -> MeshHTTPRouteView | None:
        return self._routes.live(self._addressing.home(canary))


def _marks(canary: Canary) -> Marks:
    labels, annotations = route_metadata(canary)
    written = filters.types(canary)
    if written:
        annotations[filters.FILTERS] = written
    return labels, annotations


def _merge(
    canary: Canary, traffic: Traffic, addressing: Addressing, before: str
) -> Callable[[list[Json]], list[Json]]:
    """Makes the rules for the apex; ``before`` is what `filters.FILTERS` says of those that are
    there."""
    types = frozenset(before.split(",")) - {""}
    return lambda found: merged_rules(found, canary, traffic, addressing, types)
