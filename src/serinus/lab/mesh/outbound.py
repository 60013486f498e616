"""What a caller's Envoy does with what leaves the pod: which kind of routes rules.

On Kuma 2.6 to 2.14 TrafficRoutes may exist beside Mesh*Routes. A MeshHTTPRoute that reaches the
caller takes over all its HTTP outbounds; a MeshTCPRoute all that are not HTTP, and those of HTTP
that it alone speaks of. Of the rest the first TrafficRoute of the mesh takes over everything:
outbounds that no TrafficRoute matches keep a listener without routes, and with MeshServices no
outbound listener is left at all. Both are as observed on real control planes.
"""

from serinus.lab.mesh import (
    envoy,
    routes_meshhttproute,
    routes_meshtcproute,
    routes_trafficroute,
)
from serinus.lab.mesh.destinations import Destination, destinations
from serinus.lab.mesh.endpoints import Backend
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Proxy, World
from serinus.lab.mesh.policies import reaching


def outbound(world: World, proxy: Proxy) -> tuple[list[Json], list[Backend]]:
    """The outbound listeners of a proxy and the clusters that they name, each once."""
    version = world.version
    http = reaching(version, world.http_routes, proxy)
    tcp = reaching(version, world.tcp_routes, proxy)
    ruled = any((route.get("mesh") or "default") == proxy.mesh for route in world.traffic_routes)
    listeners: list[Json] = []
    backends: dict[str, Backend] = {}
    for destination in destinations(world, proxy.mesh):
        said = routes_meshtcproute.backend_refs(world, destination, tcp)
        speaks_http = routes_meshhttproute.is_http(destination)
        taken_over = bool(http or said) if speaks_http else bool(tcp)
        chain: Chain | None
        if not version.has_meshhttproute or (ruled and not taken_over):
            if destination.is_mesh_service:
                continue
            chain = _by_trafficroute(world, proxy, destination)
        elif speaks_http and (
            said is None or routes_meshhttproute.targeted(world, destination, http)
        ):
            chain = routes_meshhttproute.filters(world, proxy, destination, http)
        else:
            chain = routes_meshtcproute.filters(world, destination, said)
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
                unified=destination.unified,
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
