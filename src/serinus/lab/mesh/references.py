"""References of policies: which destinations one is for, and which backend one leads to.

By service tag and by name until 2.14, by labels from 2.9 on. From 3.0 on there are labels alone; a
display name without a namespace is looked up in the policy's own, and a backend without a port
leads nowhere.
"""

from serinus.lab.mesh import names
from serinus.lab.mesh.destinations import Destination
from serinus.lab.mesh.endpoints import Backend, by_mesh_service, by_tag
from serinus.lab.mesh.model import Obj, Service, ServicePort, World, in_system_namespace

_DISPLAY_NAME = "kuma.io/display-name"
_NAMESPACE = "k8s.kuma.io/namespace"


def targets(world: World, ref: Obj, policy: Obj, destination: Destination) -> bool:
    """Whether what ``policy`` says under the reference ``ref`` is for ``destination``."""
    service = destination.service
    if ref.get("kind") != "MeshService":
        return False
    name = ref.get("name")
    if name and world.version.targets_by_name:
        if names.is_service_tag(name):
            return bool(name == destination.tag)
        return (
            destination.is_mesh_service
            and name == service.name
            and (ref.get("namespace") or policy["metadata"]["namespace"]) == service.namespace
            and _section(ref, destination.port)
        )
    return (
        destination.is_mesh_service
        and _selects(world, ref, policy, service)
        and _section(ref, destination.port)
    )


def resolve(world: World, mesh: str, policy: Obj, ref: Obj) -> Backend | None:
    """The backend that a backendRef leads to; None if it leads nowhere. Of several MeshServices
    that its labels select it is the oldest."""
    real = "port" in ref or "sectionName" in ref
    if world.version.targets_by_name:
        if not real and (name := ref.get("name")):
            return by_tag(world, mesh, name, ref.get("tags") or {})
    elif not real:
        return None
    if world.modes.get(mesh) != "Exclusive" or ref.get("kind") != "MeshService":
        return None
    for service, port in _candidates(world, mesh, policy, ref):
        if ref.get("port") in (None, port.port) and _section(ref, port):
            section = ref.get("sectionName") or str(ref.get("port") or port.name)
            return by_mesh_service(world, service, port, section)
    return None


def names_route(world: World, ref: Obj, policy: Obj, route: Obj) -> bool:
    """Whether the reference ``ref`` of ``policy`` is to the MeshHTTPRoute ``route``."""
    meta = route["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    if ref.get("kind") != "MeshHTTPRoute":
        return False
    if ref.get("name") and world.version.targets_by_name:
        home = ref.get("namespace") or policy["metadata"]["namespace"]
        return bool((ref["name"], home) == (name, namespace))
    labels = _wanted_labels(world, ref, policy)
    own = {**(meta.get("labels") or {}), _DISPLAY_NAME: name, _NAMESPACE: namespace}
    return bool(labels) and labels.items() <= own.items()


def _section(ref: Obj, port: ServicePort) -> bool:
    return ref.get("sectionName") in (None, "", port.name, str(port.port))


def _selects(world: World, ref: Obj, policy: Obj, service: Service) -> bool:
    labels = _wanted_labels(world, ref, policy)
    if not labels and not world.version.targets_by_name:
        return False
    return labels.items() <= service.mesh_service_labels().items()


def _wanted_labels(world: World, ref: Obj, policy: Obj) -> dict[str, str]:
    labels = dict(ref.get("labels") or {})
    by_labels_alone = not world.version.targets_by_name
    if by_labels_alone and _DISPLAY_NAME in labels and not in_system_namespace(policy):
        labels.setdefault(_NAMESPACE, policy["metadata"]["namespace"])
    return labels


def _candidates(
    world: World, mesh: str, policy: Obj, ref: Obj
) -> list[tuple[Service, ServicePort]]:
    name = ref.get("name")
    if name and world.version.targets_by_name:
        namespace = ref.get("namespace") or policy["metadata"]["namespace"]
        found = [s for s in world.services if (s.namespace, s.name) == (namespace, name)]
    elif ref.get("labels"):
        found = [s for s in world.services if _selects(world, ref, policy, s)]
    else:
        found = []
    oldest = sorted((s for s in found if s.mesh == mesh), key=lambda s: (s.created, s.name))[:1]
    return [(service, port) for service in oldest for port in service.ports]
