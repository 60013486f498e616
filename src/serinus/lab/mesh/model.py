"""What the mesh consists of, seen from the cluster's objects: services, proxies, policies.

``observe`` turns raw objects into one frozen World; everything that makes Envoy's configuration
is a pure function of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serinus.lab.mesh import names
from serinus.lab.mesh.versions import DEFAULT_MESH, SYSTEM_NAMESPACE, ZONE, KumaVersion

Obj = Mapping[str, Any]
Mode = Literal["Disabled", "Exclusive"]

SIDECAR = "kuma-sidecar"
INJECTION = "kuma.io/sidecar-injection"
HTTP_PROTOCOLS = frozenset({"http", "http2", "grpc"})
_PROTOCOLS = HTTP_PROTOCOLS | {"tcp", "tls", "mysql", "kafka"}
_ON = frozenset({"enabled", "true"})
_OFF = frozenset({"disabled", "false"})


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service."""

    port: int
    name: str
    """The port's name, or its number where it has none: what ``sectionName`` refers to."""
    target: int | str
    mesh_protocol: str
    """What a MeshService says: ``appProtocol`` alone."""
    tag_protocol: str
    """What a Dataplane's inbound says: the annotation counts where there is no appProtocol."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service of a namespace that takes part in a mesh."""

    namespace: str
    name: str
    uid: str
    created: str
    mesh: str
    cluster_ip: str
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with ``labels`` stands behind this Service."""
        return bool(self.selector) and self.selector.items() <= labels.items()

    def mesh_service_labels(self) -> dict[str, str]:
        """The labels that a reference by labels can select this Service's MeshService by."""
        return {
            **self.labels,
            "kuma.io/display-name": self.name,
            "k8s.kuma.io/namespace": self.namespace,
            "k8s.kuma.io/service-name": self.name,
            "k8s.kuma.io/is-headless-service": "false",
            "kuma.io/managed-by": "k8s-controller",
            "kuma.io/mesh": self.mesh,
            "kuma.io/env": "kubernetes",
            "kuma.io/origin": "zone",
            "kuma.io/zone": ZONE,
        }


@dataclass(frozen=True, slots=True)
class Inbound:
    """One way into a pod: a Service's port that leads to it."""

    port: int
    name: str
    """The name of the container's port, or its number where it has none."""
    protocol: str
    tags: Mapping[str, str]

    @property
    def service(self) -> str:
        """The inbound's ``kuma.io/service``."""
        return self.tags["kuma.io/service"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A pod with a sidecar: what Kuma calls a Dataplane."""

    namespace: str
    name: str
    uid: str
    mesh: str
    address: str
    ready: bool
    labels: Mapping[str, str]
    """The pod's labels and those that Kuma adds to the Dataplane."""
    inbounds: tuple[Inbound, ...]
    serviceless: bool
    """No Service selects the pod; its one inbound only carries the tags."""
    service_account: str

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the first inbound: who this proxy is as a caller."""
        return self.inbounds[0].tags


@dataclass(frozen=True, slots=True)
class World:
    """Everything that Envoy's configuration depends on."""

    version: KumaVersion
    modes: Mapping[str, Mode]
    """Each mesh's ``meshServices.mode``."""
    services: tuple[Service, ...]
    proxies: tuple[Proxy, ...]
    traffic_routes: tuple[Obj, ...]
    http_routes: tuple[Obj, ...]
    proxy_patches: tuple[Obj, ...]
    timeouts: tuple[Obj, ...] = ()
    retries: tuple[Obj, ...] = ()
    tcp_routes: tuple[Obj, ...] = ()
    metrics: tuple[Obj, ...] = ()
    metered: frozenset[str] = frozenset()
    """The meshes whose sidecars show their metrics without a MeshMetric (the way before 2.6)."""


def mesh_of(version: KumaVersion, obj: Obj) -> str | None:
    """The mesh that an object's label, or else its annotation while that counts, names."""
    for source in ("labels", "annotations") if version.mesh_annotation else ("labels",):
        mesh = (obj["metadata"].get(source) or {}).get("kuma.io/mesh")
        if mesh:
            return str(mesh)
    return None


def injection(obj: Obj, *, annotations: bool = True) -> bool | None:
    """What an object says about injection: yes, no, or nothing."""
    for source in ("labels", "annotations") if annotations else ("labels",):
        value = (obj["metadata"].get(source) or {}).get(INJECTION)
        if value in _ON:
            return True
        if value in _OFF:
            return False
    return None


def takes_part(namespace: Obj) -> bool:
    """Whether a namespace says something about injection, be it no. What Kuma wants as a label,
    the lab also takes as an annotation."""
    meta = namespace["metadata"]
    return any(INJECTION in (meta.get(source) or {}) for source in ("labels", "annotations"))


def has_sidecar(pod: Obj) -> bool:
    """Whether a pod was injected."""
    spec = pod["spec"]
    containers = [*spec.get("containers", ()), *(spec.get("initContainers") or ())]
    return any(container["name"] == SIDECAR for container in containers)


def observe(
    version: KumaVersion,
    *,
    namespaces: Iterable[Obj] = (),
    services: Iterable[Obj] = (),
    pods: Iterable[Obj] = (),
    meshes: Iterable[Obj] = (),
    traffic_routes: Iterable[Obj] = (),
    http_routes: Iterable[Obj] = (),
    proxy_patches: Iterable[Obj] = (),
    timeouts: Iterable[Obj] = (),
    retries: Iterable[Obj] = (),
    tcp_routes: Iterable[Obj] = (),
    metrics: Iterable[Obj] = (),
) -> World:
    """The World that these objects make."""
    meshed = {
        namespace["metadata"]["name"]: mesh_of(version, namespace) or DEFAULT_MESH
        for namespace in namespaces
        if injection(namespace)
    }
    seen = sorted(
        (
            _service(service, mesh_of(version, service) or meshed[service["metadata"]["namespace"]])
            for service in services
            if service["metadata"]["namespace"] in meshed and _takes_part(service)
        ),
        key=lambda service: (service.namespace, service.name),
    )
    proxies = sorted(
        (
            _proxy(version, pod, meshed, seen)
            for pod in pods
            if has_sidecar(pod) and (pod.get("status") or {}).get("podIP")
        ),
        key=lambda proxy: (proxy.namespace, proxy.name),
    )
    meshes = list(meshes)
    return World(
        version=version,
        modes={mesh["metadata"]["name"]: _mode(version, mesh) for mesh in meshes},
        metered=frozenset(mesh["metadata"]["name"] for mesh in meshes if _is_metered(mesh)),
        services=tuple(seen),
        proxies=tuple(proxies),
        traffic_routes=tuple(traffic_routes),
        http_routes=tuple(http_routes),
        proxy_patches=tuple(proxy_patches),
        timeouts=tuple(timeouts),
        retries=tuple(retries),
        metrics=tuple(metrics),
        tcp_routes=tuple(tcp_routes),
    )


def _mode(version: KumaVersion, mesh: Obj) -> Mode:
    if not version.has_meshservice:
        return "Disabled"
    if not version.has_mesh_services_mode:
        return "Exclusive"
    mode = ((mesh.get("spec") or {}).get("meshServices") or {}).get("mode", "Disabled")
    # In between, `ReachableBackends` leaves a caller that asks for none its routes by tag.
    return "Exclusive" if mode in ("Exclusive", "Everywhere") else "Disabled"


def _is_metered(mesh: Obj) -> bool:
    return bool(((mesh.get("spec") or {}).get("metrics") or {}).get("enabledBackend"))


def _takes_part(service: Obj) -> bool:
    spec = service["spec"]
    annotations = service["metadata"].get("annotations") or {}
    return (
        spec.get("clusterIP") not in (None, "", "None")
        and spec.get("type") != "ExternalName"
        and annotations.get("kuma.io/ignore") != "true"
    )


def _service(service: Obj, mesh: str) -> Service:
    meta, spec = service["metadata"], service["spec"]
    annotations = meta.get("annotations") or {}
    ports = []
    for port in spec.get("ports") or ():
        number = port["port"]
        said = port.get("appProtocol")
        noted = annotations.get(f"{number}.service.kuma.io/protocol")
        protocol = said if said in _PROTOCOLS else "tcp"
        ports.append(
            ServicePort(
                port=number,
                name=port.get("name") or str(number),
                target=port.get("targetPort", number),
                mesh_protocol=protocol,
                tag_protocol=noted if said not in _PROTOCOLS and noted in _PROTOCOLS else protocol,
            )
        )
    return Service(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta.get("uid", ""),
        created=meta.get("creationTimestamp", ""),
        mesh=mesh,
        cluster_ip=spec["clusterIP"],
        labels=meta.get("labels") or {},
        selector=spec.get("selector") or {},
        ports=tuple(ports),
    )


def target_port(pod: Obj, target: int | str) -> int | None:
    """The container's port that a Service's ``targetPort`` leads to."""
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers", ()):
        for port in container.get("ports") or ():
            if port.get("name") == target:
                return int(port["containerPort"])
    return None


def port_name(pod: Obj, number: int) -> str:
    """What a container calls its port ``number``; the number itself where it says nothing."""
    for container in pod["spec"].get("containers", ()):
        for port in container.get("ports") or ():
            if port["containerPort"] == number and port.get("name"):
                return str(port["name"])
    return str(number)


def _proxy(
    version: KumaVersion, pod: Obj, meshed: Mapping[str, str], services: Iterable[Service]
) -> Proxy:
    meta, status = pod["metadata"], pod["status"]
    namespace, labels = meta["namespace"], meta.get("labels") or {}
    mesh = mesh_of(version, pod) or meshed.get(namespace, DEFAULT_MESH)
    inbounds = []
    for service in services:
        if service.namespace != namespace or not service.selects(labels):
            continue
        for port in service.ports:
            number = target_port(pod, port.target)
            if number is None:
                continue
            tags = _tags(labels, namespace, port.tag_protocol)
            tags["kuma.io/service"] = names.service_tag(service.name, namespace, port.port)
            tags["k8s.kuma.io/service-name"] = service.name
            tags["k8s.kuma.io/service-port"] = str(port.port)
            inbounds.append(
                Inbound(
                    number, port_name(pod, number), port.tag_protocol, dict(sorted(tags.items()))
                )
            )
    serviceless = not inbounds
    if serviceless:
        tags = _tags(labels, namespace, "tcp")
        tags["kuma.io/service"] = names.serviceless_tag(meta["name"], namespace)
        inbounds.append(Inbound(49151, "49151", "tcp", dict(sorted(tags.items()))))
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return Proxy(
        namespace=namespace,
        name=meta["name"],
        uid=meta["uid"],
        mesh=mesh,
        address=status["podIP"],
        ready=conditions.get("Ready") == "True" and not meta.get("deletionTimestamp"),
        labels=_dataplane_labels(version, meta["name"], namespace, mesh, labels),
        inbounds=tuple(inbounds),
        serviceless=serviceless,
        service_account=pod["spec"].get("serviceAccountName") or "default",
    )


def _tags(labels: Mapping[str, str], namespace: str, protocol: str) -> dict[str, str]:
    own = {key: value for key, value in labels.items() if "kuma.io/" not in key and value}
    return {
        **own,
        "k8s.kuma.io/namespace": namespace,
        "kuma.io/protocol": protocol,
        "kuma.io/zone": ZONE,
    }


def _dataplane_labels(
    version: KumaVersion, name: str, namespace: str, mesh: str, labels: Mapping[str, str]
) -> dict[str, str]:
    added = {
        "k8s.kuma.io/namespace": namespace,
        "kuma.io/display-name": name,
        "kuma.io/mesh": mesh,
        "kuma.io/origin": "zone",
        "kuma.io/zone": ZONE,
    }
    if version.labels_on_endpoints:
        added["kuma.io/env"] = "kubernetes"
        if version.inbound_tags:
            added["kuma.io/proxy-type"] = "sidecar"
    return {**labels, **added}


def in_system_namespace(obj: Obj) -> bool:
    """Whether a policy stands in the control plane's own namespace."""
    return bool(obj["metadata"].get("namespace") == SYSTEM_NAMESPACE)
