"""The objects that Kuma's controllers make of Services and pods: MeshService and Dataplane."""

from collections.abc import Sequence
from typing import Any

from serinus.lab.mesh import transparent
from serinus.lab.mesh.model import Inbound, Proxy, Service, World
from serinus.lab.mesh.versions import KumaVersion

Json = dict[str, Any]


def mesh_services(world: World) -> list[Json]:
    """One MeshService per Service that takes part, in meshes that have them on."""
    if not world.version.has_meshservice:
        return []
    return [
        _mesh_service(world, service)
        for service in world.services
        if world.modes.get(service.mesh) == "Exclusive"
    ]


def _mesh_service(world: World, service: Service) -> Json:
    behind = [
        proxy
        for proxy in world.proxies
        if proxy.namespace == service.namespace
        and proxy.mesh == service.mesh
        and service.selects(proxy.labels)
    ]
    healthy = sum(proxy.ready for proxy in behind)
    selected = {**service.selector, "k8s.kuma.io/namespace": service.namespace}
    tagged = world.version.inbound_tags
    spec: Json = {
        "ports": [
            {
                "appProtocol": port.mesh_protocol,
                "name": port.name,
                "port": port.port,
                "targetPort": port.target,
            }
            for port in service.ports
        ],
        "selector": (
            {"dataplaneTags": selected}
            if tagged
            else {"dataplaneLabels": {"matchLabels": selected}}
        ),
        "state": "Available" if healthy else "Unavailable",
    }
    tags = sorted({inbound.service for proxy in behind for inbound in proxy.inbounds})
    if tags and tagged:
        spec["identities"] = [{"type": "ServiceTag", "value": tag} for tag in tags]
    labels = service.mesh_service_labels()
    del labels["kuma.io/display-name"]
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshService",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": labels,
            "annotations": {"kuma.io/display-name": service.name},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": service.name, "uid": service.uid}
            ],
        },
        "spec": spec,
        "status": {
            "dataplaneProxies": {
                "connected": len(behind),
                "healthy": healthy,
                "total": len(behind),
            },
            "tls": {"status": "NotReady"},
            "vips": [{"ip": service.cluster_ip}],
        },
    }


def dataplane(world: World, proxy: Proxy, mesh_uid: str) -> Json:
    """The Dataplane of a pod with a sidecar."""
    version = world.version
    metadata: Json = {
        "name": proxy.name,
        "namespace": proxy.namespace,
        "labels": {"kuma.io/mesh": proxy.mesh, "kuma.io/origin": "zone"},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "Pod",
                "name": proxy.name,
                "uid": proxy.uid,
            },
            {
                "apiVersion": "kuma.io/v1alpha1",
                "kind": "Mesh",
                "name": proxy.mesh,
                "uid": mesh_uid,
            },
        ],
    }
    if version.labels_on_endpoints:
        labels = dict(proxy.labels)
        metadata["annotations"] = {"kuma.io/display-name": labels.pop("kuma.io/display-name")}
        metadata["labels"] = labels
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Dataplane",
        "mesh": proxy.mesh,
        "metadata": metadata,
        "spec": {"networking": _networking(version, proxy)},
    }


def _networking(version: KumaVersion, proxy: Proxy) -> Json:
    networking: Json = {
        "address": proxy.address,
        "admin": {"port": transparent.ADMIN_PORT},
        "inbound": [_inbound(version, one, proxy.ready) for one in _listed(version, proxy)],
    }
    if version.inbound_tags:
        networking["transparentProxying"] = {
            "redirectPortInbound": transparent.INBOUND_PORT,
            "redirectPortOutbound": transparent.OUTBOUND_PORT,
        }
    return networking


def _listed(version: KumaVersion, proxy: Proxy) -> Sequence[Inbound]:
    """The inbounds of a Dataplane: one per Service and port, or one per port where no tags could
    tell them apart."""
    if version.inbound_tags:
        return proxy.inbounds
    return list({one.port: one for one in reversed(proxy.inbounds)}.values())[::-1]


def _inbound(version: KumaVersion, one: Inbound, ready: bool) -> Json:
    inbound: Json = {"health": {"ready": ready}, "port": one.port}
    if version.inbound_tags:
        inbound["tags"] = dict(one.tags)
    if version.labels_on_endpoints:
        inbound["protocol"] = one.protocol
    return inbound
