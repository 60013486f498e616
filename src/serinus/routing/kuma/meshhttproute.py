"""The traffic as a MeshHTTPRoute by MeshService name: Kuma 2.9 to 2.14, MeshServices on.

The route lives in the canary's namespace. There, a route whose targets have a *name* is a
producer's: it holds for callers of every namespace. The split itself happens in their sidecars.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import MESHHTTPROUTES
from serinus.cluster.ownership import owner_reference
from serinus.cluster.written import Written
from serinus.rollout.effects import Affinity, Traffic
from serinus.routing.asked import beyond
from serinus.routing.kuma import cookies, filters, matches, servicepolicies
from serinus.routing.kuma.belonging import MESH_LABEL, belongs, owners_with
from serinus.routing.kuma.meshservices import (
    declared_problems,
    has_ready_pods,
    live_problems,
    pod_labels,
)
from serinus.routing.kuma.proxypatch import CookiePatches, Wanted, names, patch_spec
from serinus.routing.kuma.rules import NARROWING, backend_refs, carried, dicts, merged_rules
from serinus.routing.kuma.servicepolicies import ServicePolicies, apex_ref
from serinus.routing.kuma.views import (
    MeshHTTPRouteView,
    MeshServiceView,
    decode_mesh_http_route,
)
from serinus.routing.kuma.writing import (
    AT_REST,
    Json,
    bring_about,
    collect,
    metadata_change,
    paths,
    route_metadata,
)
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
    Ability.AFFINITY: "it takes MeshProxyPatches for Dataplanes by labels (Kuma 2.10 or newer); "
    "remove it, or upgrade Kuma with its CRDs",
}


def desired_route(canary: Canary, traffic: Traffic) -> Json:
    """The MeshHTTPRoute to create."""
    labels, annotations = _metadata(canary)
    return {
        "apiVersion": MESHHTTPROUTES.api_version,
        "kind": MESHHTTPROUTES.kind,
        "metadata": {
            "name": canary.apex_name,
            "namespace": canary.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": {"targetRef": {"kind": "Mesh"}, "to": _merged_to([], canary, traffic, "")},
    }


def route_change(canary: Canary, live: MeshHTTPRouteView, traffic: Traffic) -> Json:
    """The merge patch that lets ``live`` carry the traffic; empty when it does.

    Ours are: that the route is for all callers, our rules for requests to the apex, and our
    marks. Other destinations, rules, filters, labels and owners stay.
    """
    found = msgspec.json.decode(live.spec)
    spec: Json = {}
    callers = found.get("targetRef") or {"kind": "Mesh"}
    narrowed: Json = {key: None for key in NARROWING if key in callers}
    if callers.get("kind") != "Mesh":
        narrowed["kind"] = "Mesh"
    if narrowed:
        spec["targetRef"] = narrowed
    to = dicts(found.get("to"))
    before = live.metadata.annotations.get(filters.FILTERS)
    merged = _merged_to(to, canary, traffic, before or "")
    if merged != to:
        spec["to"] = merged
    metadata = metadata_change(live.metadata, *_metadata(canary))
    if before is not None and not filters.types(canary):
        metadata.setdefault("annotations", {})[filters.FILTERS] = None
    owners = owners_with(canary, live.metadata)
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {key: value for key, value in (("metadata", metadata), ("spec", spec)) if value}


def carried_traffic(canary: Canary, live: MeshHTTPRouteView) -> Traffic | None:
    """The traffic that a route carries; None when it is no split between these two."""
    for entry in dicts(msgspec.json.decode(live.spec).get("to")):
        if _leads_to_apex(entry, canary):
            return carried(canary, dicts(entry.get("rules")))
    return None


class MeshHTTPRouteRouter:
    """The `Router` of meshes with MeshServices on Kuma 2.9 to 2.14.

    ``patches`` is None where cookies cannot be handed out, ``timeouts`` and ``retries`` are where
    Kuma has not the kind.
    """

    def __init__(
        self,
        client: Client,
        routes: Cache[MeshHTTPRouteView],
        mesh_services: Cache[MeshServiceView],
        patches: CookiePatches | None = None,
        timeouts: ServicePolicies | None = None,
        retries: ServicePolicies | None = None,
    ) -> None:
        self._client = client
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
        live = self._live(canary)
        if live is not None and not belongs(canary, live.metadata):
            found.append(
                Problem(
                    "spec.service.name",
                    f"MeshHTTPRoute {canary.apex_name}.{canary.namespace} belongs to somebody "
                    "else; delete or rename it, or give the canary's service another name",
                )
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
        return tuple(found)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        """What would make Kuma not give the canary its share of the traffic."""
        return live_problems(canary, self._mesh_services)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._live(canary)
        if live is None:
            return ()
        traffic = carried_traffic(canary, live) or AT_REST
        drifted = paths(route_change(canary, live, traffic))
        for policies in self._policies.values():
            drifted += tuple(policies.drift(canary))
        if self._patches is None or traffic.affinity is None:
            return drifted
        try:
            wanted = self._wanted_patches(canary, traffic.affinity)
        except RoutingError:
            return drifted
        return (*drifted, *self._patches.drift(canary, wanted))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic.reaches_canary or traffic.affinity is not None:
            # All traffic to the primary is always safe: a route that does not resolve leads to
            # the apex, which selects the primary too. So going back never has to wait.
            found = self.preflight(canary)
            if found:
                raise RoutingError("; ".join(str(problem) for problem in found))
        if traffic.mirrored and not self._can_mirror(canary):
            # Kuma cannot build the configuration of a single caller from a mirror to nowhere.
            await self._write_route(canary, replace(traffic, mirrored=False))
            raise RoutingError(
                f"Kuma knows of no ready pod of {canary.canary_service}.{canary.namespace} yet, so "
                "requests are not mirrored to it"
            )
        # Cookies are handed out before the route sends anybody anywhere, and until it has ceased
        # to. The other way round a caller could come to the canary, and go without one.
        wanted = {} if traffic.affinity is None else self._wanted_patches(canary, traffic.affinity)
        wrote = []
        if self._patches is not None:
            wrote += await self._patches.reconcile(canary, wanted)
        elif wanted:
            raise RoutingError(f"cookies cannot be handed out; {_INSTEAD[Ability.AFFINITY]}")
        wrote += await self._write_route(canary, traffic)
        if self._patches is not None:
            await self._patches.remove(canary, kept=wanted)
        for policies in self._policies.values():
            wrote += await policies.reconcile(canary)
        return wrote

    async def finalize(self, canary: Canary) -> None:
        live = self._live(canary)
        if live is not None and belongs(canary, live.metadata):
            with contextlib.suppress(NotFound):
                await self._client.delete(
                    MESHHTTPROUTES,
                    canary.namespace,
                    canary.apex_name,
                    uid=live.metadata.uid or None,
                )
        if self._patches is not None:
            await self._patches.remove(canary, kept={})
        for policies in self._policies.values():
            await policies.remove(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await collect(self._client, MESHHTTPROUTES, self._routes.values(), exists)
        if self._patches is not None:
            await self._patches.collect(exists)
        for policies in self._policies.values():
            await policies.collect(exists)

    async def _write_route(self, canary: Canary, traffic: Traffic) -> list[Written]:
        return await bring_about(
            self._client,
            MESHHTTPROUTES,
            canary.namespace,
            canary.apex_name,
            self._live(canary),
            decode=decode_mesh_http_route,
            body=lambda: desired_route(canary, traffic),
            change=lambda route: route_change(canary, route, traffic),
        )

    def _wanted_patches(self, canary: Canary, affinity: Affinity) -> Wanted:
        attributes = canary.spec.analysis.session_affinity
        if attributes is None:
            raise RoutingError("there is no spec.analysis.sessionAffinity to make a cookie by")
        to_canary, to_primary = names(canary)
        sides = [(to_canary, canary.canary_service, affinity.cookie)]
        if affinity.primary_cookie is not None:
            sides.append((to_primary, canary.primary_service, affinity.primary_cookie))
        return {
            name: patch_spec(
                pod_labels(canary.namespace, service, self._mesh_services), cookie, attributes
            )
            for name, service, cookie in sides
        }

    def _can_mirror(self, canary: Canary) -> bool:
        return has_ready_pods(canary.namespace, canary.canary_service, self._mesh_services)

    def _live(self, canary: Canary) -> MeshHTTPRouteView | None:
        return self._routes.get(canary.namespace, canary.apex_name)


def _metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    labels, annotations = route_metadata(canary)
    written = filters.types(canary)
    if written:
        annotations[filters.FILTERS] = written
    return {**labels, MESH_LABEL: canary.mesh}, annotations


def _merged_to(found: list[Json], canary: Canary, traffic: Traffic, before: str) -> list[Json]:
    """``spec.to`` with our rules in it, in the place of the first entry that is for our apex.

    ``before`` is what `filters.FILTERS` says of the rules that are there.
    """
    types = frozenset(before.split(",")) - {""}
    merged: list[Json] = []
    placed = False
    for entry in found:
        if _leads_to_apex(entry, canary):
            if not placed:
                rules = merged_rules(dicts(entry.get("rules")), canary, traffic, types)
                merged.append({**entry, "rules": rules})
                placed = True
        elif not _is_stale(entry, canary):
            merged.append(entry)
    if not placed:
        rules = merged_rules([], canary, traffic, types)
        merged.append({"targetRef": apex_ref(canary), "rules": rules})
    return merged


def _leads_to_apex(entry: Json, canary: Canary) -> bool:
    ref = entry.get("targetRef") or {}
    return {key: ref[key] for key in ("kind", *NARROWING) if key in ref} == apex_ref(canary)


def _is_stale(entry: Json, canary: Canary) -> bool:
    """Whether an entry is a split of ours for a port name that the apex no longer has."""
    ref = entry.get("targetRef") or {}
    names = {ref.get("name") for rule in dicts(entry.get("rules")) for ref in backend_refs(rule)}
    ours = {canary.primary_service, canary.canary_service}
    return ref.get("name") == canary.apex_name and bool(names) and names <= ours
