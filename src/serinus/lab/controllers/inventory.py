"""Everything that the API server holds, by its metadata: who owns whom, what is in a namespace.

What kinds there are is asked of discovery, again whenever a CustomResourceDefinition changes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog

from serinus.cluster.cache import Cache, Change, Key
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, NotFound, ServerError, Unreachable
from serinus.cluster.kinds import CRDS
from serinus.cluster.resource import Resource
from serinus.lab.controllers.view import Object, View

Item = tuple[Resource, Key]

SETTLE = 0.2
"""Seconds to let pass after a CRD changed: they are mostly applied many at once."""
RETRY = 2.0

log = structlog.get_logger(__name__)


class _Metadata(msgspec.Struct):
    metadata: dict[str, Any]


_metadata = msgspec.json.Decoder(_Metadata)


class Inventory:
    """One cache per kind that can be listed, watched and deleted, events excepted."""

    def __init__(self, view: View) -> None:
        self.known = asyncio.Event()
        """Set once all kinds found by the first discovery are listed."""
        self._view = view
        self._caches: dict[Resource, Cache[Object]] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._own: dict[Resource, asyncio.Task[None]] = {}
        self._unsubscribe: dict[Resource, Callable[[], None]] = {}
        self._by_uid: dict[str, Item] = {}
        self._dependents: defaultdict[str, set[Item]] = defaultdict(set)
        self._subscribers: list[Callable[[Resource, Change[Object]], None]] = []
        self._outdated = asyncio.Event()
        self._outdated.set()
        view.cache(CRDS).subscribe(lambda _: self._outdated.set())

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

    def resource_of(self, api_version: str, kind: str) -> Resource | None:
        """Where a kind is served, whatever version of its group is asked for."""
        return self._kinds.get((api_version.rpartition("/")[0], kind))

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

    async def run(self) -> None:
        """Follow discovery and keep the caches until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._outdated.wait()
                if self.known.is_set():
                    await asyncio.sleep(SETTLE)
                self._outdated.clear()
                try:
                    served = await discover(self._view.client)
                except (ApiError, Unreachable) as error:
                    log.warning("discovery failed", error=str(error), seconds=RETRY)
                    await asyncio.sleep(RETRY)
                    self._outdated.set()
                    continue
                self._follow(served, group)
                for cache in self._caches.values():
                    await cache.synced.wait()
                self.known.set()

    def _follow(self, served: list[Resource], group: asyncio.TaskGroup) -> None:
        for resource in set(self._caches) - set(served):
            self._drop(resource)
        for resource in served:
            if resource not in self._caches:
                self._kinds[resource.group, resource.kind] = resource
                self._add(resource, group)

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
        self._kinds.pop((resource.group, resource.kind), None)
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


async def discover(client: Client) -> list[Resource]:
    """Every kind that can be listed, watched and deleted, each in its preferred version."""
    groups = msgspec.json.decode(await client.request("GET", "/apis"))["groups"]
    versions = [("", "v1")]
    for group in groups:
        preferred = group["preferredVersion"]["version"]
        others = [v["version"] for v in group["versions"] if v["version"] != preferred]
        versions += [(group["name"], version) for version in (preferred, *others)]
    lists = await asyncio.gather(*(_served(client, *version) for version in versions))
    found: dict[tuple[str, str], Resource] = {}
    for resource in (resource for served in lists for resource in served):
        found.setdefault((resource.group, resource.plural), resource)
    return list(found.values())


async def _served(client: Client, group: str, version: str) -> Iterable[Resource]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        listed = msgspec.json.decode(await client.request("GET", path))["resources"]
    except (NotFound, ServerError) as error:
        # A CRD that has just gone, or an aggregated API whose server is away.
        log.info("group version is not served", group=group, version=version, error=str(error))
        return []
    return [
        Resource(group, version, entry["name"], entry["kind"], entry["namespaced"])
        for entry in listed
        if {"list", "watch", "delete"} <= set(entry["verbs"])
        and "/" not in entry["name"]
        and entry["kind"] != "Event"
    ]
