"""Which pods answer for a service: the clusters of a caller's Envoy, before they are Envoy's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from serinus.lab.mesh import names
from serinus.lab.mesh.model import HTTP_PROTOCOLS, Inbound, Proxy, Service, ServicePort, World

UNKNOWN = "unknown"
"""The protocol of a service tag that no ready inbound carries."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One inbound of one ready pod."""

    proxy: Proxy
    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Backend:
    """A cluster of the caller: a name, and who stands behind it."""

    name: str
    protocol: str
    endpoints: tuple[Endpoint, ...] = field(compare=False)
    limits: bool
    """Whether the mesh's default circuit breaker covers it. It does not cover a service tag that
    is used in a world of MeshServices."""

    @property
    def is_http(self) -> bool:
        """Whether requests, not only connections, can be routed to it."""
        return self.protocol in HTTP_PROTOCOLS


def _ready(world: World, mesh: str) -> Iterator[Endpoint]:
    for proxy in world.proxies:
        if proxy.mesh == mesh and proxy.ready and not proxy.serviceless:
            for inbound in proxy.inbounds:
                yield Endpoint(proxy, inbound)


def by_tag(world: World, mesh: str, tag: str, extra: Mapping[str, str] | None = None) -> Backend:
    """The backend behind a service tag, narrowed by ``extra`` tags."""
    extra = extra or {}
    found = tuple(
        endpoint
        for endpoint in _ready(world, mesh)
        if endpoint.inbound.service == tag and extra.items() <= endpoint.inbound.tags.items()
    )
    protocols = {endpoint.inbound.protocol for endpoint in found}
    if not protocols:
        protocol = UNKNOWN
    elif len(protocols) == 1:
        protocol = protocols.pop()
    else:
        protocol = "http" if protocols <= HTTP_PROTOCOLS else "tcp"
    limits = world.modes.get(mesh) != "Exclusive"
    return Backend(names.subset_cluster(tag, extra), protocol, found, limits)


def by_mesh_service(world: World, service: Service, port: ServicePort, section: str) -> Backend:
    """The backend behind one port of a MeshService.

    A pod that two Services lead to by the same port appears twice, as in Kuma until 2.14. Unified
    names have the ``section`` as the reference says it, the port's name or its number, so that
    one service may have two clusters.
    """
    found = tuple(
        endpoint
        for endpoint in _ready(world, service.mesh)
        if endpoint.proxy.namespace == service.namespace
        and service.selects(endpoint.proxy.labels)
        and _leads_to(service, port, endpoint)
    )
    if world.version.unified_names:
        name = names.kri("msvc", service.mesh, service.namespace, service.name, section)
        found = tuple({(one.proxy.uid, one.inbound.port): one for one in found}.values())
    else:
        name = names.mesh_service_cluster(service.mesh, service.name, service.namespace, port.port)
    return Backend(name, port.mesh_protocol, found, True)


def _leads_to(service: Service, port: ServicePort, endpoint: Endpoint) -> bool:
    if isinstance(port.target, int):
        return endpoint.inbound.port == port.target
    own = names.service_tag(service.name, service.namespace, port.port)
    return any(
        inbound.service == own and inbound.port == endpoint.inbound.port
        for inbound in endpoint.proxy.inbounds
    )
