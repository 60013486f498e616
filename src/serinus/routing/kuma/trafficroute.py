"""The traffic as a TrafficRoute: Kuma 1.7 to 2.5, and newer meshes that still live by them.

A TrafficRoute is cluster-scoped and names services by their ``kuma.io/service`` tag.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import TRAFFICROUTES
from serinus.cluster.ownership import UNMANAGED_BY_FLUX
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.asked import beyond
from serinus.routing.kuma import matches
from serinus.routing.kuma.belonging import CANARY
from serinus.routing.kuma.dialect import MESH_PATH
from serinus.routing.kuma.rules import dicts
from serinus.routing.kuma.tags import SERVICE, canary_tag, primary_tag, service_tag
from serinus.routing.kuma.views import TrafficRouteView, decode_traffic_route
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

ABILITIES = frozenset({Ability.WEIGHTS, Ability.HEADER_MATCH})

_NEWER = (
    "remove it, or use MeshHTTPRoutes: Kuma 2.6 or newer, in a mesh where no TrafficRoutes of "
    "others are left"
)
_INSTEAD = {
    Ability.QUERY_MATCH: f"match headers; or {_NEWER}",
    Ability.MIRROR: _NEWER,
    Ability.AFFINITY: _NEWER,
    Ability.SERVICE_MATCH: _NEWER,
    Ability.HEADERS: _NEWER,
    Ability.REWRITE: _NEWER,
    Ability.TIMEOUT: "use Kuma's Timeout",
    Ability.RETRIES: "use Kuma's Retry",
}


def desired_route(canary: Canary, name: str, traffic: Traffic) -> Json:
    """The TrafficRoute to create."""
    labels, annotations = route_metadata(canary)
    return {
        "apiVersion": TRAFFICROUTES.api_version,
        "kind": TRAFFICROUTES.kind,
        "mesh": canary.mesh,
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "sources": _sources(),
            "destinations": _destinations(canary),
            "conf": _conf(canary, traffic),
        },
    }


def route_change(canary: Canary, live: TrafficRouteView, traffic: Traffic) -> Json:
    """The merge patch that lets ``live`` carry the traffic; empty when it does.

    Anything in it that is not the split, its ends, a rule that leads to the canary or a label of
    ours is left alone (a load balancer, rules for single paths), and labels say nothing about
    weights.
    """
    found = msgspec.json.decode(live.spec)
    spec: Json = {}
    for field, wanted in (("sources", _sources()), ("destinations", _destinations(canary))):
        if found.get(field) != wanted:
            spec[field] = wanted
    conf: Json = {}
    found_conf = found.get("conf") or {}
    if "destination" in found_conf:
        conf["destination"] = None
    split = _split(canary, traffic.weights)
    if not _same_split(found_conf.get("split"), split):
        conf["split"] = split
    http = dicts(found_conf.get("http"))
    merged = _merged_http(http, canary, traffic)
    if merged != http:
        # The order counts: the first rule that matches is taken.
        conf["http"] = merged or None
    if conf:
        spec["conf"] = conf
    change: Json = {}
    metadata = metadata_change(live.metadata, *route_metadata(canary))
    if metadata:
        change["metadata"] = metadata
    if spec:
        change["spec"] = spec
    return change


def carried_traffic(canary: Canary, live: TrafficRouteView) -> Traffic | None:
    """The traffic that a route carries; None when it is no split between these two."""
    conf = msgspec.json.decode(live.spec).get("conf") or {}
    entries = _entries(conf.get("split"))
    shares = dict(entries)
    tags = (primary_tag(canary), canary_tag(canary))
    if len(entries) != 2 or set(shares) != set(tags) or sum(shares.values()) != 100:
        return None
    rules = _rules(canary)
    matched = bool(rules) and any(rule in rules for rule in dicts(conf.get("http")))
    return Traffic(Weights(primary=shares[tags[0]], canary=shares[tags[1]]), matched=matched)


def belongs(canary: Canary, route: TrafficRouteView) -> bool:
    """Whether a route is this canary's: marked so, or unmarked (as Flagger leaves its own) and
    leading from this canary's apex."""
    mark = route.metadata.annotations.get(CANARY)
    if mark is not None:
        return mark == f"{canary.namespace}/{canary.name}"
    prefix = f"{canary.apex_name}_{canary.namespace}_svc_"
    destinations = msgspec.json.decode(route.spec).get("destinations") or []
    return any(
        str((entry.get("match") or {}).get(SERVICE, "")).startswith(prefix)
        for entry in destinations
    )


def for_some_canary(route: TrafficRouteView) -> bool:
    """Whether a route was written for a canary, by Serinus or by Flagger; all others show that
    people route by TrafficRoutes."""
    annotations = route.metadata.annotations
    return CANARY in annotations or all(key in annotations for key in UNMANAGED_BY_FLUX)


class TrafficRouteRouter:
    """The `Router` of meshes that live by TrafficRoutes."""

    def __init__(self, client: Client, routes: Cache[TrafficRouteView]) -> None:
        self._client = client
        self._routes = routes

    def abilities(self, canary: Canary) -> frozenset[Ability]:  # noqa: ARG002 (Router's)
        return ABILITIES

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        live = self._live(canary)
        found: list[Problem] = []
        if live is not None and live.mesh != canary.mesh:
            found.append(
                Problem(
                    MESH_PATH,
                    f"the canary is of mesh {canary.mesh}, but TrafficRoute {live.metadata.name} "
                    f"is of mesh {live.mesh}; delete that route, or name its mesh",
                )
            )
        if live is None and self._free_name(canary) is None:
            names = " and ".join(_names(canary))
            found.append(
                Problem(
                    "spec.service.name",
                    f"TrafficRoutes {names} belong to others; delete one of them, or "
                    "give the canary's service another name",
                )
            )
        found += matches.problems(canary)
        found += beyond(canary, ABILITIES, "a TrafficRoute", _INSTEAD)
        return tuple(found)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:  # noqa: ARG002 (Router's)
        # A TrafficRoute names tags, which Kuma takes from the Services at once.
        return ()

    def drift(self, canary: Canary) -> tuple[str, ...]:
        live = self._live(canary)
        if live is None or CANARY not in live.metadata.annotations:
            # One of Flagger's is taken over, which is no repair.
            return ()
        return paths(route_change(canary, live, carried_traffic(canary, live) or AT_REST))

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        if traffic.mirrored or traffic.affinity is not None:
            raise RoutingError("a TrafficRoute neither mirrors requests nor holds callers")
        live = self._live(canary)
        name = live.metadata.name if live is not None else self._free_name(canary)
        name = name or canary.apex_name
        return await bring_about(
            self._client,
            TRAFFICROUTES,
            None,
            name,
            live,
            decode=decode_traffic_route,
            body=lambda: desired_route(canary, name, traffic),
            change=lambda route: route_change(canary, route, traffic),
        )

    async def finalize(self, canary: Canary) -> None:
        live = self._live(canary)
        if live is None:
            return
        try:
            await self._client.delete(
                TRAFFICROUTES, None, live.metadata.name, uid=live.metadata.uid or None
            )
        except NotFound:
            return

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        await collect(self._client, TRAFFICROUTES, self._routes.values(), exists)

    def _live(self, canary: Canary) -> TrafficRouteView | None:
        """This canary's route, under either of the names that it may have."""
        return self._first(canary, lambda route: route is not None and belongs(canary, route))[1]

    def _free_name(self, canary: Canary) -> str | None:
        return self._first(canary, lambda route: route is None)[0]

    def _first(
        self, canary: Canary, suits: Callable[[TrafficRouteView | None], bool]
    ) -> tuple[str | None, TrafficRouteView | None]:
        for name in _names(canary):
            route = self._routes.get(None, name)
            if suits(route):
                return name, route
        return None, None


def _names(canary: Canary) -> tuple[str, str]:
    """Flagger's name for the route, and the one to take when another namespace has that."""
    return canary.apex_name, f"{canary.apex_name}-{canary.namespace}"


def _sources() -> list[Json]:
    return [{"match": {SERVICE: "*"}}]


def _destinations(canary: Canary) -> list[Json]:
    tag = service_tag(canary.apex_name, canary.namespace, canary.spec.service.port)
    return [{"match": {SERVICE: tag}}]


def _conf(canary: Canary, traffic: Traffic) -> Json:
    http = _merged_http([], canary, traffic)
    return {**({"http": http} if http else {}), "split": _split(canary, traffic.weights)}


def _split(canary: Canary, weights: Weights) -> list[Json]:
    return [
        {"weight": weights.primary, "destination": {SERVICE: primary_tag(canary)}},
        {"weight": weights.canary, "destination": {SERVICE: canary_tag(canary)}},
    ]


def _rules(canary: Canary) -> list[Json]:
    """The rules of an A/B test."""
    return [
        {"match": matches.conf_match(entry), "destination": {SERVICE: canary_tag(canary)}}
        for entry in canary.spec.analysis.match
    ]


def _merged_http(found: list[Json], canary: Canary, traffic: Traffic) -> list[Json]:
    """The rules for single requests: ours first, then those of others. All that lead to the
    canary are ours, since nobody but the rollout knows when its pods can serve."""
    ours = _rules(canary) if traffic.matched else []
    tag = canary_tag(canary)
    others = [rule for rule in found if tag not in _destinations_of(rule)]
    kept = [rule for rule in found if tag in _destinations_of(rule)]
    return found if kept == ours else ours + others


def _destinations_of(rule: Json) -> set[str]:
    places = [rule.get("destination") or {}]
    places += [part.get("destination") or {} for part in dicts(rule.get("split"))]
    return {str(place.get(SERVICE)) for place in places}


def _entries(split: Any) -> list[tuple[str, int]]:
    """Tag and weight of each entry; one that names more than a service counts under no tag."""
    return [_entry(entry) for entry in dicts(split)]


def _entry(entry: Json) -> tuple[str, int]:
    destination = entry.get("destination") or {}
    tag = destination.get(SERVICE, "") if set(destination) == {SERVICE} else ""
    return tag, int(entry.get("weight") or 0)


def _same_split(found: Any, wanted: list[Json]) -> bool:
    return sorted(_entries(found)) == sorted(_entries(wanted))
