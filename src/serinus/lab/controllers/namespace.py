"""Namespaces that are being deleted: first what is inside, then the namespace."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import msgspec

from serinus.cluster.cache import Change
from serinus.cluster.errors import Conflict, NotFound
from serinus.cluster.kinds import NAMESPACES
from serinus.cluster.resource import Resource
from serinus.lab.controllers.inventory import Inventory
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.view import Object, View, timestamp

FINALIZER = "kubernetes"
LOOK_AGAIN = 2.0
"""Seconds until what should have gone is asked to go once more."""
AT_ONCE = 16


class NamespaceController:
    """Empties a namespace that has a deletionTimestamp and then lets it go."""

    def __init__(self, view: View, inventory: Inventory) -> None:
        self._view = view
        self._inventory = inventory
        self._queue: Queue[str] = Queue("namespace", self._reconcile)
        self._namespaces = view.cache(NAMESPACES)
        self._namespaces.subscribe(lambda change: self._queue.add(change.key[1]))
        inventory.subscribe(self._content_changed)

    async def run(self) -> None:
        await self._inventory.known.wait()
        await self._queue.run()

    def _content_changed(self, _resource: Resource, change: Change[Object]) -> None:
        namespace = self._namespaces.get(None, change.key[0])
        if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
            self._queue.add(change.key[0])

    async def _reconcile(self, name: str) -> float | None:
        namespace = self._namespaces.get(None, name)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return None
        if FINALIZER not in (namespace.get("spec") or {}).get("finalizers", []):
            return None
        left = self._inventory.in_namespace(name)
        if not left:
            # The watches may lag behind something made just before the end began.
            left = await self._listed(name)
        limit = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._delete(limit, *entry) for entry in left))
        if left:
            await self._tell(namespace, left)
            return LOOK_AGAIN
        await self._view.client.request("DELETE", f"/api/v1/namespaces/{name}/events")
        await self._finalize(await self._tell(namespace, []))
        return None

    async def _listed(self, name: str) -> list[tuple[Resource, Object]]:
        limit = asyncio.Semaphore(AT_ONCE)

        async def listed(resource: Resource) -> list[tuple[Resource, Object]]:
            async with limit:
                try:
                    page = await self._view.client.list(resource, name, limit=500)
                except NotFound:
                    return []
            return [(resource, obj) for obj in msgspec.json.decode(page).get("items") or []]

        kinds = [resource for resource in self._inventory.resources() if resource.namespaced]
        return [entry for found in await asyncio.gather(*map(listed, kinds)) for entry in found]

    async def _delete(self, limit: asyncio.Semaphore, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        async with limit:
            try:
                await self._view.client.delete(
                    resource,
                    metadata["namespace"],
                    metadata["name"],
                    "Background",
                    uid=metadata["uid"],
                )
            except (NotFound, Conflict):
                # Gone, or followed by another of its name; the watch tells which.
                return

    async def _tell(self, namespace: Object, left: list[tuple[Resource, Object]]) -> Object:
        """Say in the status what the namespace waits for; gives the namespace with it."""
        held = Counter(
            finalizer for _, obj in left for finalizer in obj["metadata"].get("finalizers") or []
        )
        if left and not held:
            # It is on its way; that would be said for a moment only.
            return namespace
        status = namespace.get("status") or {}
        old = {c["type"]: c for c in status.get("conditions") or []}
        now = timestamp(datetime.now(UTC))
        conditions = []
        for new in told(left, held):
            before = old.get(new["type"], {})
            since = before["lastTransitionTime"] if before.get("status") == new["status"] else now
            conditions.append({**new, "lastTransitionTime": since})
        return await self._view.replace_status(
            NAMESPACES, namespace, {**status, "conditions": conditions}
        )

    async def _finalize(self, namespace: Object) -> None:
        finalizers = [f for f in namespace["spec"]["finalizers"] if f != FINALIZER]
        spec = {key: value for key, value in namespace["spec"].items() if key != "finalizers"}
        body = {
            **namespace,
            "apiVersion": "v1",
            "kind": "Namespace",
            "spec": {**spec, "finalizers": finalizers} if finalizers else spec,
        }
        name = namespace["metadata"]["name"]
        try:
            await self._view.client.replace(NAMESPACES, None, name, body, subresource="finalize")
        except NotFound:
            return


def told(left: list[tuple[Resource, Object]], held: Counter[str]) -> list[Object]:
    """The conditions of a namespace in which that is left, in Kubernetes' words. Discovery and
    deletion do not fail here: what cannot be reached is asked for again."""
    found = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
         "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
         "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted",
         "All content successfully deleted, may be waiting on finalization"),
    ]  # fmt: skip
    kinds = Counter(
        f"{resource.plural}.{resource.group}"
        for resource, obj in left
        if obj["metadata"].get("finalizers")
    )
    found += [
        _remaining("NamespaceContentRemaining", "SomeResourcesRemain", "ContentRemoved",
                   "Some resources are remaining: ", "has", kinds,
                   "All content successfully removed"),
        _remaining("NamespaceFinalizersRemaining", "SomeFinalizersRemain",
                   "ContentHasNoFinalizers",
                   "Some content in the namespace has finalizers remaining: ", "in", held,
                   "All content-preserving finalizers finished"),
    ]  # fmt: skip
    return [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status, reason, message in found
    ]


def _remaining(
    kind: str,
    reason: str,
    reason_none: str,
    words: str,
    verb: str,
    counts: Counter[str],
    words_none: str,
) -> tuple[str, str, str, str]:
    if not counts:
        return kind, "False", reason_none, words_none
    listed = (f"{name} {verb} {count} resource instances" for name, count in sorted(counts.items()))
    return kind, "True", reason, words + ", ".join(listed)
