"""The objects that a cluster has before anyone asks for one."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from serinus.lab.addresses import (
    API_SERVER_PORT,
    KUBERNETES_SERVICE_IP,
    KUBERNETES_SERVICE_PORT,
    NODE_IP,
)
from serinus.lab.apiserver.access import roles
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest import lifecycle, strategy
from serinus.lab.apiserver.rest.call import Api, resource
from serinus.lab.apiserver.schema.defaults import apply_defaults

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_LABELS = {"component": "apiserver", "provider": "kubernetes"}
_PRIORITIES: Final = {
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to "
        "another node if necessary.",
    ),
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
}

KEEP_SECONDS: Final = 10.0
"""How soon what was deleted of the server's own objects comes back, as in Kubernetes."""


def _always() -> Iterator[Obj]:
    """What pods need to reach the API server; it comes back when somebody deletes it."""
    for name in _NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    metadata = {"name": "kubernetes", "namespace": "default", "labels": _LABELS}
    address = str(KUBERNETES_SERVICE_IP)
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "type": "ClusterIP",
            "ports": [
                {
                    "name": "https",
                    "port": KUBERNETES_SERVICE_PORT,
                    "protocol": "TCP",
                    "targetPort": API_SERVER_PORT,
                }
            ],
        },
    }
    port = {"name": "https", "port": API_SERVER_PORT, "protocol": "TCP"}
    yield {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": str(NODE_IP)}], "ports": [port]}],
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata | {"labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(NODE_IP)], "conditions": {"ready": True}}],
        "ports": [port],
    }


def _at_start() -> Iterator[Obj]:
    yield from roles.cluster_roles()
    yield from roles.cluster_role_bindings()
    for name, (value, description) in _PRIORITIES.items():
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }


def ensure(api: Api) -> None:
    """Makes what is missing; what people changed since stays as it is."""
    _make_missing(api, _always())
    _make_missing(api, _at_start())


async def keep(api: Api) -> None:
    """Makes again, for as long as the server runs, what no pod can do without."""
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        _make_missing(api, _always())


def _make_missing(api: Api, objects: Iterable[Obj]) -> None:
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = api.registry.by_kind(group, version, obj["kind"])
        assert kind is not None, f"{obj['kind']} is a built-in kind"
        metadata = obj["metadata"] = dict(obj["metadata"])
        if api.store.get(resource(kind), metadata.get("namespace", ""), metadata["name"]):
            continue
        apply_defaults(kind, obj)
        lifecycle.born(kind, obj)
        strategy.prepare_create(kind, obj)
        api.store.put(resource(kind), obj)
