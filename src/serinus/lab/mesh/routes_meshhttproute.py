"""MeshHTTPRoute as Kuma 2.1 to 2.14 resolves it, oddities included.

- Weight 0 leaves a backend out; all weights 0 leave the whole route out, and a listener left
  without routes disappears.
- A backendRef that resolves to nothing, or not to HTTP, silently leaves its share to the others;
  if none resolves, requests go to the destination itself.
- A reference by service tag resolves only while that service has ready pods; one to a MeshService
  resolves always, and without pods its share is answered 503.
- A mirror is always taken for a service tag; if that leads nowhere, the control plane fails to
  build the caller's whole configuration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serinus.lab.mesh import envoy, limits, matches, names
from serinus.lab.mesh.destinations import Destination
from serinus.lab.mesh.endpoints import Backend, by_mesh_service, by_tag
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import HTTP_PROTOCOLS, Obj, Proxy, Service, ServicePort, World
from serinus.lab.mesh.routes_trafficroute import tags_header


class CannotBuild(Exception):
    """The control plane cannot build a proxy's configuration; the proxy keeps what it has."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What all policies together say about one set of matches."""

    matches: Sequence[Obj]
    conf: Mapping[str, Any]
    origin: Obj | None
    """The strongest policy that spoke; None for the route to the destination itself."""


def filters(
    world: World, proxy: Proxy, destination: Destination, policies: Sequence[Obj]
) -> tuple[list[Json], list[Backend]] | None:
    """The filter chain of an HTTP outbound and the clusters that it names; None when no route is
    left, so that there is no listener."""
    used: list[Backend] = []
    entries: list[tuple[tuple[int, int, bool, int, int], Json]] = []
    for rule in _rules(destination, policies):
        entries += _routes(world, proxy, destination, rule, used)
    if not entries:
        return None
    entries.sort(key=lambda entry: entry[0])
    extra = {"requestHeadersToAdd": [tags_header(proxy)]}
    config = envoy.route_config(
        destination.route_config_name,
        destination.own.name,
        [route for _, route in entries],
        **(extra if world.version.tags_header_on_routes else {}),
    )
    manager = envoy.http_connection_manager(
        world.version,
        stat_prefix=destination.own.name,
        route_config=config,
        normalizePath=True,
    )
    return [manager], used


def _rules(destination: Destination, policies: Sequence[Obj]) -> list[Rule]:
    merged: dict[str, Rule] = {}
    for policy in policies:
        for to in policy["spec"].get("to") or ():
            if not _targets(to.get("targetRef") or {}, policy, destination):
                continue
            for rule in to.get("rules") or ():
                key = repr(rule["matches"])
                before = merged[key].conf if key in merged else {}
                conf = {**before, **rule["default"]}
                merged[key] = Rule(rule["matches"], conf, policy)
    rules = list(merged.values())
    if not any(list(rule.matches) == list(matches.BARE) for rule in rules):
        rules.append(Rule(matches.BARE, {}, None))
    return rules


def _targets(ref: Obj, policy: Obj, destination: Destination) -> bool:
    service = destination.service
    if ref.get("kind") != "MeshService":
        return False
    if name := ref.get("name"):
        if names.is_service_tag(name):
            return bool(name == destination.tag)
        return (
            destination.is_mesh_service
            and name == service.name
            and (ref.get("namespace") or policy["metadata"]["namespace"]) == service.namespace
            and _section(ref, destination.port)
        )
    labels = ref.get("labels") or {}
    return (
        destination.is_mesh_service
        and labels.items() <= service.mesh_service_labels().items()
        and _section(ref, destination.port)
    )


def _section(ref: Obj, port: ServicePort) -> bool:
    return ref.get("sectionName") in (None, "", port.name, str(port.port))


def _routes(
    world: World, proxy: Proxy, destination: Destination, rule: Rule, used: list[Backend]
) -> list[tuple[tuple[int, int, bool, int, int], Json]]:
    conf = rule.conf
    refs = conf.get("backendRefs")
    clusters = _clusters(world, destination, rule.origin, refs)
    if not clusters:
        return []
    mirrors: list[Backend] = []

    def mirror(ref: Obj) -> str | None:
        tags = ref.get("tags") or {}
        backend = by_tag(world, destination.service.mesh, ref.get("name", ""), tags)
        if "port" in ref or "sectionName" in ref or not backend.is_http:
            raise CannotBuild(
                f"the mirror to {ref.get('name') or ref.get('labels')} leads to no service tag "
                "with ready HTTP pods"
            )
        mirrors.append(backend)
        return backend.name

    on_route, on_action = matches.filter_fields(conf.get("filters") or (), mirror)
    used += [backend for backend, _ in clusters] + mirrors
    action = limits.limited(
        world,
        proxy,
        envoy.outbound_action([(backend.name, weight) for backend, weight in clusters]),
        lambda ref, policy: _targets(ref, policy, destination),
    )
    name = _name(destination, rule)
    result = []
    for match in rule.matches:
        for envoys in matches.to_envoy(match):
            route: Json = {"match": envoys, "name": name, **on_route}
            if "redirect" not in on_route:
                route["route"] = {**action, **on_action}
            result.append((matches.precedence(match), route))
    return result


def _name(destination: Destination, rule: Rule) -> str:
    if rule.origin is None or not destination.is_mesh_service:
        return names.matches_hash(rule.matches)
    meta = rule.origin["metadata"]
    return names.kri("mhttpr", destination.service.mesh, meta["namespace"], meta["name"])


def _clusters(
    world: World, destination: Destination, policy: Obj | None, refs: Sequence[Obj] | None
) -> list[tuple[Backend, int]]:
    if policy is None or not refs:
        return [(destination.own, 1)]
    weighted = [(ref, ref.get("weight", 1)) for ref in refs]
    weighted = [(ref, weight) for ref, weight in weighted if weight]
    if not weighted:
        return []
    found = [(_resolve(world, destination, policy, ref), weight) for ref, weight in weighted]
    resolved = [(backend, weight) for backend, weight in found if backend and backend.is_http]
    return resolved or [(destination.own, 1)]


def _resolve(world: World, destination: Destination, policy: Obj, ref: Obj) -> Backend | None:
    mesh = destination.service.mesh
    real = "port" in ref or "sectionName" in ref
    if not real and (name := ref.get("name")):
        return by_tag(world, mesh, name, ref.get("tags") or {})
    if world.modes.get(mesh) != "Exclusive" or ref.get("kind") != "MeshService":
        return None
    for service, port in _candidates(world, mesh, policy, ref):
        if ref.get("port") in (None, port.port) and _section(ref, port):
            return by_mesh_service(world, service, port)
    return None


def _candidates(
    world: World, mesh: str, policy: Obj, ref: Obj
) -> list[tuple[Service, ServicePort]]:
    if name := ref.get("name"):
        namespace = ref.get("namespace") or policy["metadata"]["namespace"]
        found = [s for s in world.services if (s.namespace, s.name) == (namespace, name)]
    else:
        labels = ref.get("labels") or {}
        found = [
            service
            for service in world.services
            if labels and labels.items() <= service.mesh_service_labels().items()
        ]
    oldest = sorted((s for s in found if s.mesh == mesh), key=lambda s: (s.created, s.name))[:1]
    return [(service, port) for service in oldest for port in service.ports]


def is_http(destination: Destination) -> bool:
    """Whether MeshHTTPRoute has a say in a destination at all."""
    return destination.own.protocol in HTTP_PROTOCOLS
