"""TrafficRoute: which one applies to a caller's outbound, and the routes that it makes.

For each outbound the most specific TrafficRoute wins; an outbound that none matches gets no route
at all. Weight 0 leaves a cluster out. A weighted destination without ready pods has no known
protocol, which degrades the whole outbound from requests to connections.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serinus.lab.mesh import envoy
from serinus.lab.mesh.destinations import Destination
from serinus.lab.mesh.endpoints import Backend, by_tag
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj, Proxy, World

_SERVICE = "kuma.io/service"


def matching(world: World, proxy: Proxy, destination: Destination) -> Obj | None:
    """The TrafficRoute that rules ``proxy``'s calls to ``destination``, if any does.

    More tags beat fewer, exact values beat ``*``, and of equals the newest wins.
    """
    best: tuple[tuple[int, int], str, str] | None = None
    chosen: Obj | None = None
    for route in world.traffic_routes:
        if (route.get("mesh") or "default") != proxy.mesh:
            continue
        spec = route.get("spec") or {}
        source = _best_rank(spec.get("sources"), proxy.tags)
        target = _best_rank(spec.get("destinations"), {_SERVICE: destination.tag})
        if source is None or target is None:
            continue
        meta = route["metadata"]
        rank = (source[0] + target[0], source[1] + target[1])
        key = (rank, meta.get("creationTimestamp", ""), meta["name"])
        if best is None or key > best:
            best, chosen = key, route
    return chosen


def _best_rank(selectors: Sequence[Obj] | None, tags: Mapping[str, str]) -> tuple[int, int] | None:
    ranks = [
        (sum(value != "*" for value in match.values()), len(match))
        for match in ((selector.get("match") or {}) for selector in selectors or ())
        if all(
            value == tags.get(key) or (value == "*" and key in tags) for key, value in match.items()
        )
    ]
    return max(ranks, default=None)


def filters(
    world: World, proxy: Proxy, destination: Destination, route: Obj
) -> tuple[list[Json], list[Backend]]:
    """The filter chain that ``route`` gives to an outbound, and the clusters that it names."""
    conf = route["spec"]["conf"]
    used: list[Backend] = []
    entries = list(_http_entries(world, destination, conf, used))
    default = _clusters(world, destination, conf, used)
    if not all(backend.is_http for backend in used):
        return [envoy.tcp_proxy(destination.tag, default)], used
    entries.append({"match": {"prefix": "/"}, "route": envoy.outbound_action(default)})
    config = envoy.route_config(
        destination.route_config_name,
        destination.tag,
        entries,
        requestHeadersToAdd=[tags_header(proxy)],
    )
    manager = envoy.http_connection_manager(
        world.version,
        stat_prefix=destination.tag,
        route_config=config,
        streamIdleTimeout="0s",
    )
    return [manager], used


def tags_header(proxy: Proxy) -> Json:
    """The header by which the callee learns the caller's tags."""
    text = "".join(f"&{key}={value}&" for key, value in sorted(proxy.tags.items()))
    return {"header": {"key": "x-kuma-tags", "value": text}}


def _http_entries(
    world: World, destination: Destination, conf: Obj, used: list[Backend]
) -> Iterator[Json]:
    for rule in conf.get("http") or ():
        action = envoy.outbound_action(_clusters(world, destination, rule, used))
        yield {"match": _match(rule.get("match") or {}), "route": action}


def _clusters(
    world: World, destination: Destination, conf: Obj, used: list[Backend]
) -> list[tuple[str, int]]:
    if "destination" in conf:
        weighted = [(conf["destination"], 1)]
    else:
        weighted = [(part["destination"], part.get("weight", 0)) for part in conf["split"]]
    clusters = []
    for tags, weight in weighted:
        if not weight:
            continue
        extra = dict(tags)
        tag = extra.pop(_SERVICE)
        if tag == "*":
            tag = destination.tag
        backend = by_tag(world, destination.service.mesh, tag, extra)
        used.append(backend)
        clusters.append((backend.name, weight))
    return clusters


def _match(match: Obj) -> Json:
    result: Json = {"prefix": "/"}
    if path := match.get("path"):
        if "exact" in path:
            result = {"path": path["exact"]}
        elif "regex" in path:
            result = {"safeRegex": {"regex": path["regex"]}}
        else:
            result = {"prefix": path["prefix"]}
    headers = [
        {"name": name, "stringMatch": _string(matcher)}
        for name, matcher in sorted((match.get("headers") or {}).items())
    ]
    if method := match.get("method"):
        headers.append({"name": ":method", "stringMatch": _string(method)})
    return {**result, "headers": headers} if headers else result


def _string(matcher: Mapping[str, Any]) -> Json:
    if "regex" in matcher:
        return {"safeRegex": {"regex": matcher["regex"]}}
    return dict(matcher)
