"""Everything that the API server holds, by its metadata: who owns whom, what is in a namespace."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

from serinus.cluster.cache import Cache, Change, Key
from serinus.cluster.resource import Resource
from serinus.lab.controllers.kinds import Kinds
from serinus.lab.controllers.view import Object, View

Item = tuple[Resource, Key]


class _Metadata(msgspec.Struct):
    metadata: dict[str, Any]


_metadata = msgspec.json.Decoder(_Metadata)


class Inventory(Kinds):
    """One cache per kind. It is ``known`` once all kinds of the first discovery are listed."""

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._caches: dict[Resource, Cache[Object]] = {}
        self._own: dict[Resource, asyncio.Task[None]] = {}
        self._unsubscribe: dict[Resource, Callable[[], None]] = {}
        self._by_uid: dict[str, Item] = {}
        self._dependents: defaultdict[str, set[Item]] = defaultdict(set)
        self._subscribers: list[Callable[[Resource, Change[Object]], None]] = []

    def subscribe(self, callback: Callable[[Resource, Change[Object]], None]) -> None:
        """Hear of every change of every object, right after it shows here."""
        self._subscribers.append(callback)

    def get(self, item: Item) -> Object | None:
        cache = self._caches.get(item[0])
        return None if cache is None else cache.get(*item[1])

    def by_uid(self, uid: str) -> Item | None:
        return self._by_uid.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        """The objects that have an owner reference to that uid."""
        return list(self._dependents.get(uid, ()))

    def resources(self) -> list[Resource]:
        return list(self._caches)

    def in_namespace(self, namespace: str) -> list[tuple[Resource, Object]]:
        """All objects in a namespace."""
        return [
            (resource, obj)
            for resource, cache in self._caches.items()
            if resource.namespaced
            for obj in cache.values()
            if obj["metadata"]["namespace"] == namespace
        ]

    async def follow(self, served: list[Resource], group: asyncio.TaskGroup) -> None:
        for resource in set(self._caches) - set(served):
            self._drop(resource)
        for resource in served:
            if resource not in self._caches:
                self._add(resource, group)
        for cache in self._caches.values():
            await cache.synced.wait()

    def _add(self, resource: Resource, group: asyncio.TaskGroup) -> None:
        cache = self._view.cached(resource)
        if cache is None:
            cache = Cache(self._view.client, resource, _decode)
        self._caches[resource] = cache

        def changed(change: Change[Object]) -> None:
            self._changed(resource, change)

        self._unsubscribe[resource] = cache.subscribe(changed)
        if self._view.cached(resource) is None:
            self._own[resource] = group.create_task(cache.run())
        for key in cache.keys():  # noqa: SIM118 - a cache is not a mapping
            self._changed(resource, Change("ADDED", key, None, cache.get(*key)))

    def _drop(self, resource: Resource) -> None:
        """A kind that is no longer served has no objects either."""
        cache = self._caches.pop(resource)
        self._unsubscribe.pop(resource)()
        if task := self._own.pop(resource, None):
            task.cancel()
        for key in cache.keys():  # noqa: SIM118 - a cache is not a mapping
            self._changed(resource, Change("DELETED", key, cache.get(*key), None))

    def _changed(self, resource: Resource, change: Change[Object]) -> None:
        item = (resource, change.key)
        if change.old is not None:
            if self._by_uid.get(change.old["metadata"]["uid"]) == item:
                del self._by_uid[change.old["metadata"]["uid"]]
            for uid in _owners(change.old):
                self._dependents[uid].discard(item)
                if not self._dependents[uid]:
                    del self._dependents[uid]
        if change.new is not None:
            self._by_uid[change.new["metadata"]["uid"]] = item
            for uid in _owners(change.new):
                self._dependents[uid].add(item)
        for callback in self._subscribers:
            callback(resource, change)


def _owners(obj: Object) -> set[str]:
    return {reference["uid"] for reference in obj["metadata"].get("ownerReferences") or []}


def _decode(raw: bytes) -> Object:
    metadata = _metadata.decode(raw).metadata
    metadata.pop("managedFields", None)
    metadata.pop("annotations", None)
    return {"metadata": metadata}
