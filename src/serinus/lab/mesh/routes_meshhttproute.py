"""MeshHTTPRoute as Kuma resolves it, oddities included.

Until 2.14:

- Weight 0 leaves a backend out; all weights 0 leave the whole route out, and a listener left
  without routes disappears.
- A backendRef that resolves to nothing, or not to HTTP, silently leaves its share to the others;
  if none resolves, requests go to the destination itself.
- A reference by service tag resolves only while that service has ready pods; one to a MeshService
  resolves always, and without pods its share is answered 503.
- A mirror is always taken for a service tag; if that leads nowhere, the control plane fails to
  build the caller's whole configuration.

From 3.0 on it fails closed:

- The share of a backendRef that resolves to nothing, or not to HTTP, is answered 500: by a route
  of its own before the weighted one, which takes its fraction of the requests. So is everything
  when no backend is left, and when all weights are 0 (503 in what came after the state that is
  played: the project's issue 18266).
- A mirror is found like any backendRef; one that leads nowhere is left out.
- A MeshService without pods is answered 503, as before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serinus.lab.mesh import envoy, limits, matches, names
from serinus.lab.mesh.destinations import Destination
from serinus.lab.mesh.endpoints import Backend, by_tag
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import HTTP_PROTOCOLS, Obj, Proxy, World
from serinus.lab.mesh.references import names_route, resolve, targets
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
    index: int = 0
    """Which of that policy's rules it is."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How the requests of a rule are shared out."""

    backends: Sequence[tuple[Backend, int]]
    failing: int = 0
    """The weight of those that are answered 500."""


def filters(
    world: World, proxy: Proxy, destination: Destination, policies: Sequence[Obj]
) -> tuple[list[Json], list[Backend]] | None:
    """The filter chain of an HTTP outbound and the clusters that it names; None when no route is
    left, so that there is no listener."""
    used: list[Backend] = []
    entries: list[tuple[tuple[int, int, bool, int, int], Json]] = []
    for rule in _rules(world, destination, policies):
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


def targeted(world: World, destination: Destination, policies: Sequence[Obj]) -> bool:
    """Whether any of ``policies`` says something about ``destination``."""
    return any(
        targets(world, to.get("targetRef") or {}, policy, destination)
        for policy in policies
        for to in policy["spec"].get("to") or ()
    )


def _rules(world: World, destination: Destination, policies: Sequence[Obj]) -> list[Rule]:
    merged: dict[str, Rule] = {}
    for policy in policies:
        for to in policy["spec"].get("to") or ():
            if not targets(world, to.get("targetRef") or {}, policy, destination):
                continue
            for index, rule in enumerate(to.get("rules") or ()):
                key = repr(rule["matches"])
                before = merged[key].conf if key in merged else {}
                conf = {**before, **rule["default"]}
                merged[key] = Rule(rule["matches"], conf, policy, index)
    rules = list(merged.values())
    if not any(list(rule.matches) == list(matches.BARE) for rule in rules):
        rules.append(Rule(matches.BARE, {}, None))
    return rules


def _routes(
    world: World, proxy: Proxy, destination: Destination, rule: Rule, used: list[Backend]
) -> list[tuple[tuple[int, int, bool, int, int], Json]]:
    shares = _shares(world, destination, rule)
    if not shares.backends and not world.version.fails_closed:
        return []
    mirrors: list[Backend] = []

    def mirror(ref: Obj) -> str | None:
        backend = _mirror(world, destination, rule, ref)
        if backend is None:
            return None
        mirrors.append(backend)
        return backend.name

    on_route, on_action = matches.filter_fields(rule.conf.get("filters") or (), mirror)
    name = {"name": _name(destination, rule)}
    failed: Json = {**name, "directResponse": {"status": 500}}
    served: Json = failed
    if "redirect" in on_route:
        served = {**name, **on_route}
    elif shares.backends:
        used += [backend for backend, _ in shares.backends] + mirrors
        action = {**_action(world, proxy, destination, rule, shares), **on_action}
        served = {**name, **on_route, "route": action}
    result = []
    for match in rule.matches:
        for envoys in matches.to_envoy(match):
            if "route" in served and shares.failing:
                fraction = matches.some_of(envoys, _percentage(shares))
                result.append((matches.precedence(match), {"match": fraction, **failed}))
            result.append((matches.precedence(match), {"match": envoys, **served}))
    return result


def _action(
    world: World, proxy: Proxy, destination: Destination, rule: Rule, shares: Shares
) -> Json:
    origin = rule.origin
    return limits.limited(
        world,
        proxy,
        envoy.outbound_action([(backend.name, weight) for backend, weight in shares.backends]),
        limits.Targets(
            destination=lambda ref, policy: targets(world, ref, policy, destination),
            route=lambda ref, policy: (
                origin is not None and names_route(world, ref, policy, origin)
            ),
        ),
    )


def _percentage(shares: Shares) -> float:
    served = sum(weight for _, weight in shares.backends)
    return 100 * shares.failing / (shares.failing + served)


def _name(destination: Destination, rule: Rule) -> str:
    if rule.origin is None or not destination.is_mesh_service:
        return names.matches_hash(rule.matches)
    meta = rule.origin["metadata"]
    section = f"rule_{rule.index}" if destination.unified else ""
    mesh = destination.service.mesh
    return names.kri("mhttpr", mesh, meta["namespace"], meta["name"], section)


def _shares(world: World, destination: Destination, rule: Rule) -> Shares:
    refs = rule.conf.get("backendRefs")
    policy = rule.origin
    if policy is None or not refs:
        return Shares([(destination.own, 1)])
    mesh = destination.service.mesh
    weighted = [(ref, ref.get("weight", 1)) for ref in refs]
    weighted = [(ref, weight) for ref, weight in weighted if weight]
    found = [(resolve(world, mesh, policy, ref), weight) for ref, weight in weighted]
    resolved = [(backend, weight) for backend, weight in found if backend and backend.is_http]
    if world.version.fails_closed:
        lost = sum(weight for _, weight in found) - sum(weight for _, weight in resolved)
        return Shares(resolved, failing=lost)
    if not weighted:
        return Shares([])
    return Shares(resolved or [(destination.own, 1)])


def _mirror(world: World, destination: Destination, rule: Rule, ref: Obj) -> Backend | None:
    mesh = destination.service.mesh
    if world.version.fails_closed:
        found = resolve(world, mesh, rule.origin, ref) if rule.origin else None
        return found if found and found.is_http else None
    backend = by_tag(world, mesh, ref.get("name", ""), ref.get("tags") or {})
    if "port" in ref or "sectionName" in ref or not backend.is_http:
        raise CannotBuild(
            f"the mirror to {ref.get('name') or ref.get('labels')} leads to no service tag "
            "with ready HTTP pods"
        )
    return backend


def is_http(destination: Destination) -> bool:
    """Whether MeshHTTPRoute has a say in a destination at all."""
    return destination.own.protocol in HTTP_PROTOCOLS
