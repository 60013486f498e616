"""A Service's pods, as Endpoints and EndpointSlices tell of them. Pure.

An entry is made per set of resolved ports, since a named target port may be another number in
another pod.
"""

from dataclasses import dataclass

from serinus.lab.controllers.ownership import labels_of
from serinus.lab.controllers.readiness import finished, ready
from serinus.lab.controllers.view import Object

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"

Port = tuple[str, int, str, str]
"""Name, number in the pod, protocol, appProtocol (empty: none)."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod with an address, and the Service's ports as they are in that pod."""

    ip: str
    namespace: str
    name: str
    uid: str
    node: str
    hostname: str
    ready: bool
    terminating: bool
    ports: tuple[Port, ...]

    @property
    def reference(self) -> Object:
        return {"kind": "Pod", "namespace": self.namespace, "name": self.name, "uid": self.uid}


def selects(service: Object, pod: Object) -> bool:
    selector: dict[str, str] = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels_of(pod).items()


def backends(service: Object, pods: list[Object]) -> list[Backend]:
    """The selected pods that have an address and are not finished, by name."""
    found = []
    for pod in pods:
        ip = (pod.get("status") or {}).get("podIP")
        if not ip or finished(pod) or not selects(service, pod):
            continue
        metadata, spec = pod["metadata"], pod["spec"]
        governed = spec.get("subdomain") == service["metadata"]["name"]
        found.append(
            Backend(
                ip=ip,
                namespace=metadata["namespace"],
                name=metadata["name"],
                uid=metadata["uid"],
                node=spec.get("nodeName") or "",
                hostname=(spec.get("hostname") or "") if governed else "",
                ready=ready(pod),
                terminating=bool(metadata.get("deletionTimestamp")),
                ports=_ports(service, pod),
            )
        )
    return sorted(found, key=lambda backend: backend.name)


def _ports(service: Object, pod: Object) -> tuple[Port, ...]:
    resolved = []
    for port in service["spec"].get("ports") or []:
        protocol = port.get("protocol") or "TCP"
        number = target_port(port, pod)
        if number is not None:
            entry = (port.get("name") or "", number, protocol, port.get("appProtocol") or "")
            resolved.append(entry)
    return tuple(resolved)


def target_port(port: Object, pod: Object) -> int | None:
    """The number of a Service's port in a pod; None when the pod has no port of that name.

    A native sidecar's ports count as a container's.
    """
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *sidecars]:
        for declared in container.get("ports") or []:
            same_protocol = (declared.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if declared.get("name") == target and same_protocol:
                return int(declared["containerPort"])
    return int(target) if target.isdecimal() else None


def _has_ports(service: Object, backend: Backend) -> bool:
    return bool(backend.ports) or not service["spec"].get("ports")


def subsets(service: Object, behind: list[Backend]) -> list[Object]:
    """The ``subsets`` of the Endpoints: ports that the same addresses have are told of together.
    A pod that is being deleted is out at once."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    having: dict[Port | None, list[Backend]] = {}
    for backend in behind:
        if (backend.terminating and not publish) or not _has_ports(service, backend):
            continue
        for port in backend.ports or (None,):
            having.setdefault(port, []).append(backend)
    groups: dict[tuple[str, ...], list[Port | None]] = {}
    for port, those in having.items():
        groups.setdefault(tuple(backend.uid for backend in those), []).append(port)
    found = []
    for ports in groups.values():
        subset: Object = {}
        for backend in having[ports[0]]:
            address = {"ip": backend.ip, "targetRef": backend.reference}
            if backend.node:
                address["nodeName"] = backend.node
            if backend.hostname:
                address["hostname"] = backend.hostname
            usable = backend.ready or publish
            subset.setdefault("addresses" if usable else "notReadyAddresses", []).append(address)
        if listed := [_endpoint_port(port) for port in ports if port is not None]:
            subset["ports"] = listed
        found.append(subset)
    return sorted(found, key=lambda subset: str(subset.get("ports")))


def _endpoint_port(port: Port) -> Object:
    """In Endpoints an unnamed port has no name; in a slice its name is empty (`slice_contents`)."""
    name, number, protocol, app_protocol = port
    entry: Object = {"name": name} if name else {}
    entry |= {"port": number, "protocol": protocol}
    return entry | ({"appProtocol": app_protocol} if app_protocol else {})


def slice_contents(service: Object, behind: list[Backend]) -> list[Object]:
    """``ports`` and ``endpoints`` of each slice. A slice keeps a terminating pod while it has an
    address, marked as such, so that a proxy may drain it."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[tuple[Port, ...], list[Object]] = {}
    for backend in behind:
        if not _has_ports(service, backend):
            continue
        entry: Object = {
            "addresses": [backend.ip],
            "conditions": {
                "ready": publish or (backend.ready and not backend.terminating),
                "serving": backend.ready,
                "terminating": backend.terminating,
            },
            "targetRef": backend.reference,
        }
        if backend.node:
            entry["nodeName"] = backend.node
        if backend.hostname:
            entry["hostname"] = backend.hostname
        groups.setdefault(backend.ports, []).append(entry)
    if not groups:
        groups[()] = []
    return [
        {"ports": [{"name": "", **_endpoint_port(port)} for port in ports], "endpoints": entries}
        for ports, entries in sorted(groups.items())
    ]
