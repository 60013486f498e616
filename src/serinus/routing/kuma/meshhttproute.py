"""The split as a MeshHTTPRoute by MeshService name: Kuma 2.9 to 2.14, MeshServices on.

The route lives in the canary's namespace. There, a route whose targets have a *name* is a
producer's: it holds for callers of every namespace. The split itself happens in their sidecars.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CANARIES, MESHHTTPROUTES, MESHSERVICES
from serinus.cluster.ownership import owner_reference
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.meshservices import declared_problems, live_problems
from serinus.routing.kuma.views import (
    MeshHTTPRouteView,
    MeshServiceView,
    decode_mesh_http_route,
)
from serinus.routing.kuma.writing import (
    AT_REST,
    CANARY,
    Json,
    bring_about,
    collect,
    metadata_change,
    paths,
    route_metadata,
)
from serinus.routing.router import Ability, RoutingError

MESH_LABEL = "kuma.io/mesh"

EVERY_REQUEST: list[Json] = [{"path": {"type": "PathPrefix", "value": "/"}}]
"""The matches of the one rule that is ours. Rules are told apart by their matches."""

NARROWING = ("name", "namespace", "labels", "tags", "sectionName", "proxyTypes", "mesh")
"""Fields of a reference that change what it means. Others may be added by a newer Kuma's
defaults; removing those would be a fight without end."""


def desired_route(canary: Canary, weights: Weights) -> Json:
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
        "spec": {"targetRef": {"kind": "Mesh"}, "to": _merged_to([], canary, weights)},
    }


def route_change(canary: Canary, live: MeshHTTPRouteView, weights: Weights) -> Json:
    """The merge patch that lets ``live`` carry the weights; empty when it does.

    Ours are: that the route is for all callers, the rule for every request to the apex, and our
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
    to = _dicts(found.get("to"))
    merged = _merged_to(to, canary, weights)
    if merged != to:
        spec["to"] = merged
    metadata = metadata_change(live.metadata, *_metadata(canary))
    owners = _owners(canary, live.metadata)
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {key: value for key, value in (("metadata", metadata), ("spec", spec)) if value}


def carried_weights(canary: Canary, live: MeshHTTPRouteView) -> Weights | None:
    """The weights that a route carries; None when it is no split between these two."""
    for entry in _dicts(msgspec.json.decode(live.spec).get("to")):
        if not _leads_to_apex(entry, canary):
            continue
        for rule in _dicts(entry.get("rules")):
            if rule.get("matches") == EVERY_REQUEST:
                return _weights(canary, _backend_refs(rule))
    return None


def belongs(canary: Canary, live: MeshHTTPRouteView) -> bool:
    """Whether a route is this canary's: owned by it, or marked for one of its name (as after a
    restore from a backup, where the canary has a new uid)."""
    meta = live.metadata
    return any(owner.uid == canary.metadata.uid for owner in meta.owner_references) or (
        meta.annotations.get(CANARY) == f"{canary.namespace}/{canary.name}"
    )


class MeshHTTPRouteRouter:
    """The `Router` of meshes with MeshServices on Kuma 2.9 to 2.14."""

    def __init__(
        self,
        client: Client,
        routes: Cache[MeshHTTPRouteView],
        mesh_services: Cache[MeshServiceView],
    ) -> None:
        self._client = client
        self._routes = routes
        self._mesh_services = mesh_services

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        return frozenset({Ability.WEIGHTS})

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        found = list(declared_problems(canary))
        live = self._live(canary)
        if live is not None and not belongs(canary, live):
            found.append(
                Problem(
                    "spec.service.name",
                    f"MeshHTTPRoute {canary.apex_name}.{canary.namespace} belongs to somebody "
                    "else; delete or rename it, or give the canary's service another name",
                )
            )
        return tuple(found)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        """What would make Kuma not give the canary its share of the traffic."""
        return live_problems(canary, self._mesh_services)

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._live(canary)
        if live is None:
            return ()
        return paths(route_change(canary, live, carried_weights(canary, live) or AT_REST))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        weights = traffic.weights
        if weights.canary > 0:
            # All traffic to the primary is always safe: a route that does not resolve leads to
            # the apex, which selects the primary too. So going back never has to wait.
            found = self.preflight(canary)
            if found:
                raise RoutingError("; ".join(str(problem) for problem in found))
        return await bring_about(
            self._client,
            MESHHTTPROUTES,
            canary.namespace,
            canary.apex_name,
            self._live(canary),
            decode=decode_mesh_http_route,
            body=lambda: desired_route(canary, weights),
            change=lambda route: route_change(canary, route, weights),
        )

    async def finalize(self, canary: Canary) -> None:
        # Kuma makes the Mesh an owner of the route beside the canary, so the garbage collector
        # would leave the route there for as long as the Mesh exists.
        live = self._live(canary)
        if live is None or not belongs(canary, live):
            return
        try:
            await self._client.delete(
                MESHHTTPROUTES, canary.namespace, canary.apex_name, uid=live.metadata.uid or None
            )
        except NotFound:
            return

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await collect(self._client, MESHHTTPROUTES, self._routes.values(), exists)

    def _live(self, canary: Canary) -> MeshHTTPRouteView | None:
        return self._routes.get(canary.namespace, canary.apex_name)


def _metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    labels, annotations = route_metadata(canary)
    return {**labels, MESH_LABEL: canary.mesh}, annotations


def _owners(canary: Canary, meta: ObjectMeta) -> list[Json] | None:
    """The ownerReferences with ours beside those of others, or None when ours is there."""
    if any(owner.uid == canary.metadata.uid for owner in meta.owner_references):
        return None
    others = [
        msgspec.to_builtins(owner)
        for owner in meta.owner_references
        if (owner.kind, owner.name) != (CANARIES.kind, canary.name)
    ]
    ours = owner_reference(canary)
    if any(owner.get("controller") for owner in others):
        # An object may have one controller only.
        ours["controller"] = False
    return [*others, ours]


def _merged_to(found: list[Json], canary: Canary, weights: Weights) -> list[Json]:
    """``spec.to`` with our rule in it, in the place of the first entry that is for our apex."""
    merged: list[Json] = []
    placed = False
    for entry in found:
        if _leads_to_apex(entry, canary):
            if not placed:
                rules = _merged_rules(_dicts(entry.get("rules")), canary, weights)
                merged.append({**entry, "rules": rules})
                placed = True
        elif not _is_stale(entry, canary):
            merged.append(entry)
    if not placed:
        merged.append({"targetRef": _apex_ref(canary), "rules": _merged_rules([], canary, weights)})
    return merged


def _merged_rules(found: list[Json], canary: Canary, weights: Weights) -> list[Json]:
    merged: list[Json] = []
    placed = False
    for rule in found:
        if rule.get("matches") != EVERY_REQUEST:
            merged.append(rule)
        elif not placed:
            default = rule.get("default") or {}
            refs = _merged_refs(_backend_refs(rule), canary, weights)
            merged.append({**rule, "default": {**default, "backendRefs": refs}})
            placed = True
    if not placed:
        refs = _merged_refs([], canary, weights)
        merged.append({"matches": EVERY_REQUEST, "default": {"backendRefs": refs}})
    return merged


def _merged_refs(found: list[Json], canary: Canary, weights: Weights) -> list[Json]:
    """Our two backends, in the order found, with what a newer Kuma's defaults put beside."""
    wanted = {
        canary.primary_service: weights.primary,
        canary.canary_service: weights.canary,
    }
    merged: list[Json] = []
    for ref in found:
        name = ref.get("name")
        if name in wanted:
            merged.append({**_unnarrowed(ref), **_backend_ref(canary, name, wanted.pop(name))})
    return merged + [_backend_ref(canary, name, weight) for name, weight in wanted.items()]


def _unnarrowed(ref: Json) -> Json:
    return {key: value for key, value in ref.items() if key not in NARROWING}


def _backend_ref(canary: Canary, name: str, weight: int) -> Json:
    port = canary.spec.service.port
    return {"kind": MESHSERVICES.kind, "name": name, "port": port, "weight": weight}


def _apex_ref(canary: Canary) -> Json:
    section = canary.spec.service.port_name_or_default
    return {"kind": MESHSERVICES.kind, "name": canary.apex_name, "sectionName": section}


def _leads_to_apex(entry: Json, canary: Canary) -> bool:
    ref = entry.get("targetRef") or {}
    return {key: ref[key] for key in ("kind", *NARROWING) if key in ref} == _apex_ref(canary)


def _is_stale(entry: Json, canary: Canary) -> bool:
    """Whether an entry is a split of ours for a port name that the apex no longer has."""
    ref = entry.get("targetRef") or {}
    names = {ref.get("name") for rule in _dicts(entry.get("rules")) for ref in _backend_refs(rule)}
    ours = {canary.primary_service, canary.canary_service}
    return ref.get("name") == canary.apex_name and bool(names) and names <= ours


def _weights(canary: Canary, refs: list[Json]) -> Weights | None:
    shares = {str(ref.get("name")): int(ref.get("weight", 1)) for ref in refs}
    names = (canary.primary_service, canary.canary_service)
    if len(refs) != 2 or set(shares) != set(names) or sum(shares.values()) != 100:
        return None
    return Weights(primary=shares[names[0]], canary=shares[names[1]])


def _backend_refs(rule: Json) -> list[Json]:
    return _dicts((rule.get("default") or {}).get("backendRefs"))


def _dicts(value: Any) -> list[Json]:
    return [item for item in value or () if isinstance(item, dict)]
