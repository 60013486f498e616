"""The traffic as an HTTPRoute of the Gateway API, for meshes and gateways that obey it.

Serinus speaks for Kuma (from 2.7 on, with the Gateway API's CRDs installed before its control
plane), which makes a MeshHTTPRoute in its own namespace of it. There the route is weaker than
anybody's MeshHTTPRoute for the same service. What Kuma leaves out when it translates, this router
has not: percentages of mirrors, filters of single backends, timeouts.

The object is written at v1. Providers `gatewayapi:v1` and `gatewayapi:v1beta1` are the same: what
Flagger wrote at v1beta1, the API server keeps as one object with v1.
"""

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import HTTPROUTES
from serinus.cluster.ownership import owner_reference
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.asked import beyond
from serinus.routing.gateway import limits, parents
from serinus.routing.gateway.rules import carried, dicts, merged_rules
from serinus.routing.gateway.views import HTTPRouteView, decode_http_route
from serinus.routing.kuma import filters, matches
from serinus.routing.kuma.belonging import MESH_LABEL, belongs, owners_with
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

CRD = "httproutes.gateway.networking.k8s.io"

_ABILITIES = frozenset(
    {
        Ability.WEIGHTS,
        Ability.HEADER_MATCH,
        Ability.QUERY_MATCH,
        Ability.SERVICE_MATCH,
        Ability.HEADERS,
        Ability.REWRITE,
    }
)
_INSTEAD = {
    Ability.MIRROR: "Kuma heeds neither the percentage of an HTTPRoute's mirror nor, until 2.14, "
    "whether anybody is there to get it; remove it, or use provider kuma",
    Ability.AFFINITY: "Kuma heeds no filters of an HTTPRoute's single backends; remove it, or use "
    "provider kuma",
    Ability.TIMEOUT: "Kuma heeds no timeouts of an HTTPRoute; remove it and write a MeshTimeout, "
    "or use provider kuma",
    Ability.RETRIES: "Kuma heeds no retries of an HTTPRoute; remove it and write a MeshRetry, or "
    "use provider kuma",
}

_TOLD = frozenset({"Accepted", "ResolvedRefs"})
"""The conditions of a route without which it leads nobody."""


def desired_route(canary: Canary, traffic: Traffic) -> Json:
    """The HTTPRoute to create."""
    labels, annotations = _metadata(canary)
    spec: Json = {
        "parentRefs": parents.parent_refs(canary),
        "rules": merged_rules([], canary, traffic, frozenset()),
    }
    if canary.spec.service.hosts:
        spec["hostnames"] = list(canary.spec.service.hosts)
    return {
        "apiVersion": HTTPROUTES.api_version,
        "kind": HTTPROUTES.kind,
        "metadata": {
            "name": canary.apex_name,
            "namespace": canary.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": spec,
    }


def route_change(canary: Canary, live: HTTPRouteView, traffic: Traffic) -> Json:
    """The merge patch that lets ``live`` carry the traffic; empty when it does.

    Ours are: whom it is for, our rules, and our marks. Other rules, filters, labels and owners
    stay.
    """
    found = msgspec.json.decode(live.spec)
    spec: Json = {}
    wanted = parents.parent_refs(canary)
    if [parents.known(ref) for ref in dicts(found.get("parentRefs"))] != wanted:
        spec["parentRefs"] = wanted
    hosts = list(canary.spec.service.hosts)
    if (found.get("hostnames") or []) != hosts:
        spec["hostnames"] = hosts or None
    rules = dicts(found.get("rules"))
    before = live.metadata.annotations.get(filters.FILTERS)
    merged = merged_rules(rules, canary, traffic, frozenset((before or "").split(",")))
    if merged != rules:
        spec["rules"] = merged
    metadata = metadata_change(live.metadata, *_metadata(canary))
    if before is not None and not filters.types(canary):
        metadata.setdefault("annotations", {})[filters.FILTERS] = None
    owners = owners_with(canary, live.metadata)
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {key: value for key, value in (("metadata", metadata), ("spec", spec)) if value}


def carried_traffic(canary: Canary, live: HTTPRouteView) -> Traffic | None:
    """The traffic that a route carries; None when it is no split between these two."""
    return carried(canary, dicts(msgspec.json.decode(live.spec).get("rules")))


class HTTPRouteRouter:
    """The `Router` of canaries whose provider is the Gateway API."""

    def __init__(self, client: Client, routes: Cache[HTTPRouteView]) -> None:
        self._client = client
        self._routes = routes

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        return _ABILITIES

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        found = list(parents.problems(canary))
        live = self._live(canary)
        if live is not None and not belongs(canary, live.metadata):
            found.append(
                Problem(
                    "spec.service.name",
                    f"HTTPRoute {canary.apex_name}.{canary.namespace} belongs to somebody else; "
                    "delete or rename it, or give the canary's service another name",
                )
            )
        found += matches.problems(canary)
        found += filters.problems(canary)
        found += limits.problems(canary)
        found += beyond(canary, _ABILITIES, "the Gateway API on Kuma", _INSTEAD)
        return tuple(found)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        """What controllers say against the route as it is now. That none has spoken yet, or none
        ever does, says nothing."""
        live = self._live(canary)
        return () if live is None else tuple(_refusals(live))

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._live(canary)
        if live is None:
            return ()
        return paths(route_change(canary, live, carried_traffic(canary, live) or AT_REST))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic.reaches_canary:
            # Going back to the primary never has to wait for anybody's consent.
            found = self.preflight(canary)
            if found:
                raise RoutingError("; ".join(str(problem) for problem in found))
        if traffic.mirrored or traffic.affinity is not None:
            ability = Ability.MIRROR if traffic.mirrored else Ability.AFFINITY
            raise RoutingError(f"the Gateway API on Kuma has no {ability.value}")
        return await bring_about(
            self._client,
            HTTPROUTES,
            canary.namespace,
            canary.apex_name,
            self._live(canary),
            decode=decode_http_route,
            body=lambda: desired_route(canary, traffic),
            change=lambda route: route_change(canary, route, traffic),
        )

    async def finalize(self, canary: Canary) -> None:
        live = self._live(canary)
        if live is not None and belongs(canary, live.metadata):
            with contextlib.suppress(NotFound):
                await self._client.delete(
                    HTTPROUTES, canary.namespace, canary.apex_name, uid=live.metadata.uid or None
                )

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await collect(self._client, HTTPROUTES, self._routes.values(), exists)

    def _live(self, canary: Canary) -> HTTPRouteView | None:
        return self._routes.get(canary.namespace, canary.apex_name)


def _metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    labels, annotations = route_metadata(canary)
    written = filters.types(canary)
    if written:
        annotations[filters.FILTERS] = written
    return {**labels, MESH_LABEL: canary.mesh}, annotations


def _refusals(live: HTTPRouteView) -> Iterator[Problem]:
    meta = live.metadata
    for parent in live.status.parents:
        for one in parent.conditions:
            current = one.observed_generation == meta.generation
            if one.type in _TOLD and one.status == "False" and current:
                yield Problem(
                    "spec.service.gatewayRefs",
                    f"{parent.controller_name} says of HTTPRoute {meta.name}.{meta.namespace} "
                    f"that {one.type} is False: {one.reason}: {one.message}; see to that",
                )
