"""Clusters with each Kuma's kinds, and a router whose caches follow them."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from routing.api_server import ApiServer
from serinus.api.canary import Canary
from serinus.cluster.kinds import CRDS, DATAPLANES, MESHES, MESHSERVICES
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_7, V2_14, V3_0
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.dialect import MESH_PROXY_PATCHES
from serinus.routing.kuma.discovery import KumaCaches, discover
from serinus.routing.kuma.router import KumaRouter
from workload.guide import Json, canary

FULL = Traffic(Weights(100, 0))
SPLIT = Traffic(Weights(95, 5))
SYSTEM = SYSTEM_NAMESPACE
VERSIONS = {one.name: one for one in (V1_8, V2_7, V2_14, V3_0)}
SELECTORS = {
    "podinfo": {"app": "podinfo-primary"},
    "podinfo-primary": {"app": "podinfo-primary"},
    "podinfo-canary": {"app": "podinfo"},
}


def mesh_service(name: str, protocol: str = "http", state: str = "Available") -> Json:
    ports = [{"port": 9898, "name": "http", "appProtocol": protocol}]
    spec = {"ports": ports, "state": state}
    return {"metadata": {"name": name, "namespace": "test"}, "spec": spec}


def dataplane(service: str, inbound: Json | None = None, mesh: str = "default") -> Json:
    tags = {"kuma.io/service": f"{service}_test_svc_9898"}
    one = {"tags": tags, "health": {"ready": True}, **(inbound or {})}
    meta = {"name": f"{service}-1", "namespace": "test"}
    return {"mesh": mesh, "metadata": meta, "spec": {"networking": {"inbound": [one]}}}


def in_namespace(namespace: str, name: str = "podinfo") -> Canary:
    one = canary(service__name=name)
    meta = msgspec.structs.replace(
        one.metadata, name=name, namespace=namespace, uid=f"uid-{name}-{namespace}"
    )
    return msgspec.structs.replace(one, metadata=meta)


class Cluster:
    """An API server with Kuma's kinds, and a router whose caches follow it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.canary = canary()
        self.router: KumaRouter
        self.caches: KumaCaches

    async def kuma(
        self, version: str, mode: str | None = None, *, without: Collection[str] = ()
    ) -> None:
        """Install, or upgrade to, this Kuma with one mesh."""
        wanted = {one["metadata"]["name"]: one for one in definitions(VERSIONS[version])}
        for name in without:
            del wanted[name]
        here = [
            key[2] for key in self.server.objects if key[0].endswith("/customresourcedefinitions")
        ]
        for name in here:
            if name not in wanted:
                await self.server.client.delete(CRDS, None, name)
        for one in wanted.values():
            await self.server.put(CRDS, one)
        spec = {"meshServices": {"mode": mode}} if mode else {}
        await self.server.put(MESHES, {"metadata": {"name": "default"}, "spec": spec})

    async def patches_by_tag_only(self) -> None:
        """As Kuma 2.9 is: a MeshProxyPatch may not be for Dataplanes of some labels."""
        (older,) = (
            one for one in definitions(V2_7) if one["metadata"]["name"] == MESH_PROXY_PATCHES
        )
        await self.server.put(CRDS, older)

    async def mesh_services(self) -> None:
        for name in SELECTORS:
            await self.server.put(MESHSERVICES, mesh_service(name))

    async def dataplanes(self) -> None:
        for name in SELECTORS:
            await self.server.put(DATAPLANES, dataplane(name))

    @asynccontextmanager
    async def running(self, namespace: str | None = None) -> AsyncIterator["Cluster"]:
        """Routers as an operator has them that begins now, for all namespaces or one."""
        client = self.server.client
        kinds = await discover(client, system_namespace=SYSTEM)
        self.caches = KumaCaches.of(client, kinds, namespace)
        self.router = KumaRouter(
            client, kinds, self.caches, selector=lambda _namespace, name: SELECTORS.get(name)
        )
        caches = list(self.caches.all())
        kept = [asyncio.create_task(cache.run()) for cache in caches]
        try:
            for cache in caches:
                await cache.synced.wait()
            yield self
        finally:
            for task in kept:
                task.cancel()
            await asyncio.gather(*kept, return_exceptions=True)

    async def put(self, resource: Any, item: Json) -> None:
        await self.seen(resource, await self.server.put(resource, item))

    async def delete(self, resource: Any, name: str) -> None:
        await self.server.client.delete(resource, None, name)
        await self.gone(resource, None, name)

    async def gone(self, resource: Any, namespace: str | None, name: str) -> None:
        (cache,) = (cache for cache in self.caches.all() if cache.resource == resource)
        await cache.catch_up()
        assert cache.get(namespace, name) is None

    async def seen(self, resource: Any, item: Json) -> None:
        meta = item["metadata"]
        (cache,) = (cache for cache in self.caches.all() if cache.resource == resource)
        assert await cache.reached(meta.get("namespace"), meta["name"], meta["resourceVersion"], 10)

    async def carry(self, traffic: Traffic, of: Canary | None = None) -> int:
        """Have the requests go there; how many writes that took."""
        which = of or self.canary
        before = len(self.server.writes)
        for item in await self.router.reconcile(which, traffic):
            stored = self.server.get(item.resource, item.namespace, item.name)
            assert stored is not None
            await self.seen(item.resource, stored)
        for cache in self.caches.all():
            await cache.catch_up()
        assert self.router.drift(which) == ()
        after = len(self.server.requests)
        assert await self.router.reconcile(which, traffic) == []
        assert len(self.server.requests) == after, "no request when all is as it should be"
        return len(self.server.writes) - before
