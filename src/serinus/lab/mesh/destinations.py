"""What a caller can reach through the mesh: one destination per ClusterIP and port."""

from collections.abc import Iterator
from dataclasses import dataclass

from serinus.lab.mesh import names
from serinus.lab.mesh.endpoints import Backend, by_mesh_service, by_tag
from serinus.lab.mesh.model import Service, ServicePort, World


@dataclass(frozen=True, slots=True)
class Destination:
    """One outbound listener to be."""

    service: Service
    port: ServicePort
    tag: str
    own: Backend
    """The service itself, where no policy says otherwise."""
    is_mesh_service: bool
    """Whether it stands for a MeshService, or for a service tag."""
    unified: bool = False
    """Whether its listener is called by the resource identifier, too."""

    @property
    def listener_name(self) -> str:
        """The name of its listener."""
        if self.unified:
            return self.unified_name
        return f"outbound:{self.service.cluster_ip}:{self.port.port}"

    @property
    def unified_name(self) -> str:
        """The resource identifier of the MeshService's port."""
        service = self.service
        return names.kri("msvc", service.mesh, service.namespace, service.name, self.port.name)

    @property
    def route_config_name(self) -> str:
        """The name of its route configuration."""
        return self.unified_name if self.is_mesh_service else f"outbound:{self.tag}"

    @property
    def listener_tags(self) -> dict[str, str]:
        """What its listener's metadata says."""
        if self.is_mesh_service:
            return {"kuma.io/unified-name": self.unified_name}
        return {"kuma.io/service": self.tag}


def destinations(world: World, mesh: str) -> Iterator[Destination]:
    """Everything that callers of ``mesh`` can reach.

    With MeshServices that is each of them, pods or no pods; without, each service tag that some
    Dataplane carries. What is not a destination passes through as if there were no mesh.
    """
    exclusive = world.modes.get(mesh) == "Exclusive"
    carried = {
        inbound.service
        for proxy in world.proxies
        if proxy.mesh == mesh
        for inbound in proxy.inbounds
    }
    for service in world.services:
        if service.mesh != mesh:
            continue
        for port in service.ports:
            tag = names.service_tag(service.name, service.namespace, port.port)
            if exclusive:
                own = by_mesh_service(world, service, port, port.name)
                unified = world.version.unified_names
                yield Destination(service, port, tag, own, True, unified)
            elif tag in carried:
                yield Destination(service, port, tag, by_tag(world, mesh, tag), False)
