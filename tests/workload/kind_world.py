"""A namespace of the lab's API server with its controllers, and caches of it, KEDA's kind too."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import msgspec

from lab.controllers.played_cluster import TOKEN, Cluster
from serinus.api.canary import Canary
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.connection import Connection
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CRDS, DEPLOYMENTS, NAMESPACES, SCALEDOBJECTS, SERVICES
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written
from serinus.lab import pki
from serinus.rollout.world import Workload
from serinus.workload.caches import WorkloadCaches
from serinus.workload.kinds import pod_kind
from serinus.workload.scaledobject import serves_scaled_objects
from workload.guide import CANARY, Json

Effect = Callable[..., Awaitable[list[Written]]]
_NUMBERS = itertools.count(1)

_CRD: Json = {
    "apiVersion": CRDS.api_version,
    "kind": CRDS.kind,
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": SCALEDOBJECTS.group,
        "scope": "Namespaced",
        "names": {
            "kind": SCALEDOBJECTS.kind,
            "plural": SCALEDOBJECTS.plural,
            "singular": "scaledobject",
            "listKind": "ScaledObjectList",
        },
        "versions": [
            {
                "name": SCALEDOBJECTS.version,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                },
            }
        ],
    },
}


class KindCluster(Cluster):
    """A played cluster that a client can be made for."""

    @property
    def address(self) -> str:
        return self._address

    @property
    def ca(self) -> str:
        return pki.Pki(self._paths.pki).ca.cert.read_text()


class KindWorld:
    """What a test does with one namespace; ``targeted`` is the kind of the canary's target."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.caches = WorkloadCaches.of(client, namespace, keda=True)
        self._changed = asyncio.Event()
        for cache in self.caches.all():
            cache.subscribe(lambda _: self._changed.set())
        self.raw = deepcopy(CANARY)
        self.raw["metadata"] |= {"namespace": namespace}

    def aim(self, resource: Resource, **spec: Any) -> None:
        """Have the canary roll out a target of that kind."""
        self.raw["spec"]["targetRef"] |= {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
        }
        self.raw["spec"] |= spec

    def rest(self, phase: str, revision: str) -> None:
        """Have the canary in that phase, with that revision as the newest that was noticed."""
        self.raw["status"] = {"phase": phase, "lastAppliedSpec": revision}

    @property
    def canary(self) -> Canary:
        return msgspec.convert(self.raw, Canary)

    async def get(self, resource: Resource, name: str) -> Json:
        """The object; {} when it is not there."""
        try:
            raw = await self.client.get(resource, self.namespace, name)
        except NotFound:
            return {}
        found: Json = msgspec.json.decode(raw)
        return found

    async def make(self, resource: Resource, name: str, **fields: Any) -> None:
        metadata = {"name": name, **fields.pop("metadata", {})}
        head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        answer = await self.client.create(resource, self.namespace, {**head, **fields})
        await self._reached(resource, msgspec.json.decode(answer))

    async def change(self, resource: Resource, name: str, patch: Any) -> None:
        kind = PatchKind.JSON if isinstance(patch, list) else PatchKind.MERGE
        answer = await self.client.patch(resource, self.namespace, name, patch, kind)
        await self._reached(resource, msgspec.json.decode(answer))

    async def _reached(self, resource: Resource, item: Json) -> None:
        meta = item["metadata"]
        cache = self.cache(resource)
        assert await cache.reached(self.namespace, meta["name"], meta["resourceVersion"], 10)

    async def perform(self, effect: Effect, **options: Any) -> list[str]:
        """What was written, by kind and name; doing it again writes nothing."""
        done = await effect(self.client, self.caches, self.canary, **options)
        for item in done:
            cache = self.cache(item.resource)
            assert await cache.reached(item.namespace, item.name, item.resource_version, 10)
        assert await effect(self.client, self.caches, self.canary, **options) == []
        return [f"{item.resource.kind}/{item.name}" for item in done]

    def seen(self, name: str) -> Workload:
        kind = pod_kind(self.canary)
        found = kind.observed(self.canary, self.caches, name, datetime.now(UTC), 100, {})
        assert found is not None
        return found

    async def until_empty(self) -> None:
        """Wait until the target has surely lost its pods, and may have others."""
        kind = pod_kind(self.canary)
        await self.until(lambda: not kind.emptying(self.canary, self.caches))

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def cache(self, resource: Resource) -> Cache[Any]:
        return next(cache for cache in self.caches.all() if cache.resource == resource)

    async def workload(self, resource: Resource = DEPLOYMENTS, **spec: Any) -> None:
        """A target whose pods the kubelet plays at once."""
        pods = {"containers": [{"name": "app", "image": "play:v1"}]}
        template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": pods}
        selector = {"matchLabels": {"app": "podinfo"}}
        await self.make(
            resource, "podinfo", spec={"selector": selector, "template": template, **spec}
        )

    async def release(self, resource: Resource, image: str) -> None:
        path = "/spec/template/spec/containers/0/image"
        await self.change(resource, "podinfo", [{"op": "replace", "path": path, "value": image}])

    async def service(self, **spec: Any) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": 9898}]
        await self.make(SERVICES, "podinfo", spec={"ports": ports, **spec})


@asynccontextmanager
async def kind_world(address: str, ca: str) -> AsyncIterator[KindWorld]:
    """A new namespace, with its caches running."""
    namespace = f"kinds-{next(_NUMBERS)}"
    async with Client(Connection.with_token(address, TOKEN, ca_pem=ca)) as client:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await client.create(NAMESPACES, None, space)
        if not await serves_scaled_objects(client):
            await client.create(CRDS, None, _CRD)
        async with asyncio.timeout(60):
            while True:
                if await serves_scaled_objects(client):
                    break
                await asyncio.sleep(0.05)
        world = KindWorld(client, namespace)
        running = [asyncio.create_task(cache.run()) for cache in world.caches.all()]
        try:
            for cache in world.caches.all():
                await cache.synced.wait()
            yield world
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
