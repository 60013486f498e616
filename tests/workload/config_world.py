"""A namespace of the lab's API server, caches of it, and canaries that use ConfigMaps."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import msgspec

from lab.controllers.played_cluster import TOKEN
from serinus.api.canary import Canary
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import DEPLOYMENTS, NAMESPACES
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written
from serinus.workload.caches import WorkloadCaches
from serinus.workload.labels import LabelRules
from serinus.workload.primary import runs_target
from serinus.workload.reconcile import promote, reconcile_primary, selector_of, target_of
from serinus.workload.tracking import renames, tracked
from serinus.workload.views import (
    PodsView,
)
from workload.guide import CANARY, Json, deployment

RULES = LabelRules(copied_prefixes=("team",))
_NUMBERS = itertools.count(1)


class ConfigWorld:
    """What a test does with one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.caches = WorkloadCaches.of(client, namespace, configs=True)

    def canary(self, name: str = "podinfo", configs: Json | None = None) -> Canary:
        """The canary of a target of the same name; ``configs`` is its status' trackedConfigs."""
        raw = deepcopy(CANARY)
        raw["metadata"] |= {"name": name, "namespace": self.namespace, "uid": f"uid-of-{name}"}
        raw["spec"]["targetRef"]["name"] = name
        if configs is not None:
            raw["status"] = {"phase": "Initialized", "trackedConfigs": configs}
        return msgspec.convert(raw, Canary)

    async def get(self, resource: Resource, name: str) -> Json | None:
        try:
            raw = await self.client.get(resource, self.namespace, name)
        except NotFound:
            return None
        found: Json = msgspec.json.decode(raw)
        return found

    async def put(self, resource: Resource, name: str, **fields: Any) -> Json:
        """Have that object, with these fields beside its metadata, and let the caches show it."""
        metadata = {"name": name, "namespace": self.namespace, **fields.pop("metadata", {})}
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            **fields,
        }
        if await self.get(resource, name) is None:
            answer = await self.client.create(resource, self.namespace, body)
        else:
            answer = await self.client.replace(resource, self.namespace, name, body)
        stored: Json = msgspec.json.decode(answer)
        version = stored["metadata"]["resourceVersion"]
        assert await self._cache(resource).reached(self.namespace, name, version, 10)
        return stored

    async def remove(self, resource: Resource, name: str) -> None:
        """Delete it, and let the caches show that."""
        await self.client.delete(resource, self.namespace, name)
        await self._cache(resource).catch_up()

    async def target(self, name: str = "podinfo", **pod_spec: Any) -> PodsView:
        """A Deployment whose pods have these fields in their spec."""
        spec = deployment()["spec"]
        spec["selector"] = {"matchLabels": {"app": name}}
        containers = [{"name": "app", "image": "play:v1", **pod_spec.pop("container", {})}]
        spec["template"] = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": containers, **pod_spec},
        }
        await self.put(DEPLOYMENTS, name, spec=spec)
        return target_of(self.canary(name), self.caches)

    def primary(self, name: str = "podinfo") -> PodsView:
        found = self.caches.deployments.get(self.namespace, f"{name}-primary")
        assert found is not None
        return found

    def tracked(self, canary: Canary) -> dict[str, str]:
        return dict(tracked(canary, target_of(canary, self.caches), self.caches))

    def in_primary(self, canary: Canary) -> bool:
        target = target_of(canary, self.caches)
        primary = self.primary(canary.name)
        pods = selector_of(canary, target, RULES)
        return runs_target(target, primary, pods, renames(canary, target, self.caches))

    async def make_primary(self, canary: Canary) -> list[str]:
        return await self._seen(await reconcile_primary(self.client, self.caches, canary, RULES))

    async def promote(self, canary: Canary, configs: dict[str, str] | None = None) -> list[str]:
        """What was written, to promote what the target is now."""
        revision = target_of(canary, self.caches).revision
        wanted = self.tracked(canary) if configs is None else configs
        return await self._seen(
            await promote(self.client, self.caches, canary, revision, wanted, RULES)
        )

    async def _seen(self, done: list[Written]) -> list[str]:
        for item in done:
            cache = self._cache(item.resource)
            assert await cache.reached(item.namespace, item.name, item.resource_version, 10)
        return [f"{item.resource.kind}/{item.name}" for item in done]

    def _cache(self, resource: Resource) -> Cache[Any]:
        return next(cache for cache in self.caches.all() if cache.resource == resource)


@asynccontextmanager
async def config_world(address: str, ca: str) -> AsyncIterator[ConfigWorld]:
    """A new namespace, with its caches running."""
    namespace = f"configs-{next(_NUMBERS)}"
    async with Client(Connection.with_token(address, TOKEN, ca_pem=ca)) as client:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await client.create(NAMESPACES, None, space)
        world = ConfigWorld(client, namespace)
        running = [asyncio.create_task(cache.run()) for cache in world.caches.all()]
        try:
            for cache in world.caches.all():
                await cache.synced.wait()
            yield world
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def from_config_map(name: str, **more: Any) -> Json:
    return {"envFrom": [{"configMapRef": {"name": name, **more}}]}


def volume_of_secret(name: str, **more: Any) -> list[Json]:
    return [{"name": "files", "secret": {"secretName": name, **more}}]
