"""The objects that Kuma's controllers make of Services and pods: MeshService and Dataplane."""

from typing import Any

from serinus.lab.mesh import transparent
from serinus.lab.mesh.model import Inbound, Proxy, Service, World

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
    tags = sorted({inbound.service for proxy in behind for inbound in proxy.inbounds})
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
        "selector": {
            "dataplaneTags": {**service.selector, "k8s.kuma.io/namespace": service.namespace}
        },
        "state": "Available" if healthy else "Unavailable",
    }
    if tags:
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
        "spec": {
            "networking": {
                "address": proxy.address,
                "admin": {"port": transparent.ADMIN_PORT},
                "inbound": [
                    _inbound(one, proxy.ready, version.labels_on_endpoints)
                    for one in proxy.inbounds
                ],
                "transparentProxying": {
                    "redirectPortInbound": transparent.INBOUND_PORT,
                    "redirectPortOutbound": transparent.OUTBOUND_PORT,
                },
            }
        },
    }


def _inbound(one: Inbound, ready: bool, with_protocol: bool) -> Json:
    inbound: Json = {"health": {"ready": ready}, "port": one.port, "tags": dict(one.tags)}
    if with_protocol:
        inbound["protocol"] = one.protocol
    return inbound
