"""The node's own objects: Node ``lab`` and its Lease."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from typing import Any

import structlog

from serinus import __version__
from serinus.cluster.client import Client
from serinus.cluster.errors import AlreadyExists, ApiError, NotFound, Unreachable
from serinus.cluster.kinds import LEASES, NODES
from serinus.lab.addresses import KUBELET_PORT, NODE_IP, NODE_NAME, POD_NETWORK
from serinus.lab.kubelet.state import now_stamp

LEASE_NAMESPACE = "kube-node-lease"

RENEWAL = 60.0
"""Seconds; nobody in the lab declares a node dead, so this is for people's eyes only."""

MAX_PODS = "110"

FEATURES = ("ExtendWebSocketsToKubelet",)
"""What the API server is told to rely on: that WebSockets reach this kubelet as they are. A real
one translates them to SPDY else (Kubernetes 1.36 and later know the feature)."""

log = structlog.get_logger(__name__)


def node_status() -> dict[str, Any]:
    """What the node has and is."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    amounts = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{pages * size // 1024}Ki",
        "pods": MAX_PODS,
    }
    now = now_stamp()
    healthy = ("MemoryPressure", "DiskPressure", "PIDPressure")
    conditions = [_condition(kind, "False", "KubeletHasNoPressure", "", now) for kind in healthy]
    ready = _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now)
    machine = platform.machine()
    return {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [*conditions, ready],
        "addresses": [
            {"type": "InternalIP", "address": str(NODE_IP)},
            {"type": "Hostname", "address": NODE_NAME},
        ],
        "declaredFeatures": list(FEATURES),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
            "bootID": "",
            "containerRuntimeVersion": f"serinus://{__version__}",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": f"v1.36.0+serinus-{__version__}",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
            "systemUUID": "",
        },
    }


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


async def register(client: Client) -> None:
    """Have the Node object, Ready; waits for an API server that is not there yet."""
    machine = platform.machine()
    body = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE_NAME,
            "labels": {
                "kubernetes.io/hostname": NODE_NAME,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
                "node-role.kubernetes.io/control-plane": "",
            },
        },
        "spec": {"podCIDR": str(POD_NETWORK), "podCIDRs": [str(POD_NETWORK)]},
    }
    while True:
        try:
            try:
                await client.create(NODES, None, body)
            except AlreadyExists:
                log.info("node is known already", name=NODE_NAME)
            await client.patch(
                NODES, None, NODE_NAME, {"status": node_status()}, subresource="status"
            )
            return
        except (ApiError, Unreachable) as error:
            log.warning("node not registered", error=str(error))
            await asyncio.sleep(0.2)


async def keep_lease(client: Client) -> None:
    """Renew the node's Lease, for ever."""
    while True:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": NODE_NAME, "leaseDurationSeconds": 120, "renewTime": now}
        try:
            try:
                await client.patch(LEASES, LEASE_NAMESPACE, NODE_NAME, {"spec": spec})
            except NotFound:
                body = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": NODE_NAME, "namespace": LEASE_NAMESPACE},
                    "spec": spec,
                }
                await client.create(LEASES, LEASE_NAMESPACE, body)
        except (ApiError, Unreachable) as error:
            log.warning("lease not renewed", error=str(error))
        await asyncio.sleep(RENEWAL)
