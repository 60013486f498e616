"""What a caller's Envoy does with what leaves the pod: which of the two kinds of routes rules.

On Kuma 2.6 to 2.14 both kinds may exist. A MeshHTTPRoute that reaches the caller takes over all
its HTTP outbounds. Otherwise the first TrafficRoute of the mesh takes over everything: outbounds
that no TrafficRoute matches keep a listener without routes, and with MeshServices no outbound
listener is left at all. Both are as observed on real control planes.
"""

from serinus.lab.mesh import envoy, routes_meshhttproute, routes_trafficroute
from serinus.lab.mesh.destinations import Destination, destinations
from serinus.lab.mesh.endpoints import Backend
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj, Proxy, World
from serinus.lab.mesh.policies import reaching


def outbound(world: World, proxy: Proxy) -> tuple[list[Json], list[Backend]]:
    """The outbound listeners of a proxy and the clusters that they name, each once."""
    version = world.version
    policies = reaching(version, world.http_routes, proxy) if version.has_meshhttproute else []
    ruled = any((route.get("mesh") or "default") == proxy.mesh for route in world.traffic_routes)
    by_trafficroute = not version.has_meshhttproute or (ruled and not policies)
    listeners: list[Json] = []
    backends: dict[str, Backend] = {}
    for destination in destinations(world, proxy.mesh):
        if by_trafficroute:
            if destination.is_mesh_service:
                continue
            chain: Chain | None = _by_trafficroute(world, proxy, destination)
        else:
            chain = _by_policy(world, proxy, destination, policies)
        if chain is None:
            continue
        filters, used = chain
        listeners.append(
            envoy.listener(
                destination.listener_name,
                destination.service.cluster_ip,
                destination.port.port,
                direction="OUTBOUND",
                filters=filters,
                tags=destination.listener_tags,
            )
        )
        backends |= {backend.name: backend for backend in used}
    return listeners, list(backends.values())


Chain = tuple[list[Json] | None, list[Backend]]


def _by_trafficroute(world: World, proxy: Proxy, destination: Destination) -> Chain:
    route = routes_trafficroute.matching(world, proxy, destination)
    if route is None:
        return None, []
    return routes_trafficroute.filters(world, proxy, destination, route)


def _by_policy(
    world: World, proxy: Proxy, destination: Destination, policies: list[Obj]
) -> Chain | None:
    if routes_meshhttproute.is_http(destination):
        return routes_meshhttproute.filters(world, proxy, destination, policies)
    own = destination.own
    return [envoy.tcp_proxy(own.name, [(own.name, 1)])], [own]
