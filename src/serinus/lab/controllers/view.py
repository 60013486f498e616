"""The cluster as the controllers share it: one cache per kind, and writes that it shows.

A controller that acts on a cache which does not show its own last write would do its work twice
(two pods for one). So every write here returns only when the cache shows it.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.errors import NotFound
from serinus.cluster.events import EventRecorder, EventType, ObjectRef
from serinus.cluster.resource import Resource
from serinus.lab.controllers.queue import Behind

Object = dict[str, Any]

PATIENCE = 10.0
"""Seconds that a write may take to show in a cache before the work on its object starts over."""


class Voice:
    """Events of one component, about objects that are plain JSON."""

    def __init__(self, client: Client, component: str) -> None:
        self._recorder = EventRecorder(client, component)

    def say(self, resource: Resource, obj: Object, reason: str, message: str) -> None:
        """Tell people of ``obj``; returns at once."""
        self._record(resource, obj, "Normal", reason, message)

    def warn(self, resource: Resource, obj: Object, reason: str, message: str) -> None:
        """Tell people what is wrong with ``obj``; returns at once."""
        self._record(resource, obj, "Warning", reason, message)

    def _record(
        self, resource: Resource, obj: Object, type: EventType, reason: str, message: str
    ) -> None:
        metadata = obj["metadata"]
        ref = ObjectRef(
            resource.api_version,
            resource.kind,
            metadata.get("namespace") or "",
            metadata["name"],
            metadata["uid"],
            metadata.get("resourceVersion") or "",
        )
        self._recorder.record(ref, type, reason, message)

    async def run(self) -> None:
        await self._recorder.run()


class View:
    """Caches by kind, and a client that waits for them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._caches: dict[Resource, Cache[Object]] = {}
        self._voices: list[Voice] = []
        self._deleted: set[str] = set()

    def cache(self, resource: Resource) -> Cache[Object]:
        """The one cache of that kind; it lives while `run` does."""
        if resource not in self._caches:
            cache = Cache(self.client, resource, _decode)
            cache.subscribe(self._forget_deleted)
            self._caches[resource] = cache
        return self._caches[resource]

    def cached(self, resource: Resource) -> Cache[Object] | None:
        """The cache of that kind, if a controller has one."""
        return self._caches.get(resource)

    def voice(self, component: str) -> Voice:
        """Events in the name of ``component``; they are written while `run` runs."""
        voice = Voice(self.client, component)
        self._voices.append(voice)
        return voice

    async def run(self) -> None:
        """Keep the caches current and write events until cancelled."""
        async with asyncio.TaskGroup() as group:
            for voice in self._voices:
                group.create_task(voice.run())
            for cache in self._caches.values():
                group.create_task(cache.run())

    async def synced(self) -> None:
        """Wait until every cache has its first list."""
        for cache in self._caches.values():
            await cache.synced.wait()

    def leaving(self, obj: Object) -> bool:
        """Whether the object is on its way out, be it only by a request of ours."""
        metadata = obj["metadata"]
        return bool(metadata.get("deletionTimestamp")) or metadata["uid"] in self._deleted

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self._seen(resource, await self.client.create(resource, namespace, full))

    async def patch(
        self, resource: Resource, obj: Object, body: Object, subresource: str | None = None
    ) -> Object:
        """A merge patch of ``obj``; add a resourceVersion to the body to fence it."""
        metadata = obj["metadata"]
        answer = await self.client.patch(
            resource,
            metadata.get("namespace"),
            metadata["name"],
            body,
            PatchKind.MERGE,
            subresource=subresource,
        )
        return await self._seen(resource, answer)

    async def replace_status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """Write the whole status, fenced by the version of ``obj``; nothing if it is so."""
        if obj.get("status") == status:
            return obj
        metadata = obj["metadata"]
        full = {
            **obj,
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "status": status,
        }
        answer = await self.client.replace(
            resource, metadata.get("namespace"), metadata["name"], full, subresource="status"
        )
        return await self._seen(resource, answer)

    async def delete(
        self, resource: Resource, obj: Object, propagation: str = "Background"
    ) -> None:
        """Ask for this very object to go; no error if it is gone."""
        metadata = obj["metadata"]
        try:
            await self.client.delete(
                resource,
                metadata.get("namespace"),
                metadata["name"],
                propagation,
                uid=metadata["uid"],
            )
        except NotFound:
            return
        cache = self._caches.get(resource)
        current = None if cache is None else cache.get(metadata.get("namespace"), metadata["name"])
        if current and current["metadata"]["uid"] == metadata["uid"]:
            self._deleted.add(metadata["uid"])

    async def _seen(self, resource: Resource, answer: bytes) -> Object:
        obj = _decode(answer)
        metadata = obj["metadata"]
        cache = self._caches.get(resource)
        if cache is not None and not await cache.reached(
            metadata.get("namespace"), metadata["name"], metadata["resourceVersion"], PATIENCE
        ):
            raise Behind(f"{resource.kind} {metadata['name']} does not show in its watch")
        return obj

    def _forget_deleted(self, change: Change[Object]) -> None:
        old, new = change.old, change.new
        if old and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._deleted.discard(old["metadata"]["uid"])


def _decode(raw: bytes) -> Object:
    obj: Object = msgspec.json.decode(raw)
    return obj


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)
