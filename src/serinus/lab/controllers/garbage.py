"""Owner references: what belongs to something that is gone goes too.

Three ways of deleting an owner (``propagationPolicy``): Background removes it at once and its
dependents after it; Foreground keeps it, with the finalizer ``foregroundDeletion``, until the
dependents that block it are gone; Orphan (finalizer ``orphan``) lets the dependents live on.
"""

import msgspec

from serinus.cluster.cache import Change
from serinus.cluster.errors import NotFound
from serinus.cluster.resource import Resource
from serinus.lab.controllers.inventory import Inventory, Item
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.view import Object, View

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class GarbageCollector:
    """Looks at every object that has owners, or that is being deleted with regard to its own."""

    def __init__(self, view: View, inventory: Inventory) -> None:
        self._view = view
        self._inventory = inventory
        self._queue: Queue[Item] = Queue("garbage", self._reconcile)
        inventory.subscribe(self._changed)

    async def run(self) -> None:
        # Before everything is listed, an owner that merely has not been seen would look gone.
        await self._inventory.known.wait()
        await self._queue.run()

    def _changed(self, resource: Resource, change: Change[Object]) -> None:
        old, new = change.old, change.new
        if new is not None:
            if new["metadata"].get("ownerReferences") or _finalizers(new):
                self._queue.add((resource, change.key))
            if _deletes_foreground(new):
                self._add_dependents(new)
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._add_dependents(old)
        if old is not None:
            # An owner that waits in the foreground may have waited for this one.
            for reference in old["metadata"].get("ownerReferences") or []:
                if (owner := self._inventory.by_uid(reference["uid"])) is not None:
                    obj = self._inventory.get(owner)
                    if obj is not None and _deletes_foreground(obj):
                        self._queue.add(owner)

    def _add_dependents(self, owner: Object) -> None:
        for item in self._inventory.dependents(owner["metadata"]["uid"]):
            self._queue.add(item)

    async def _reconcile(self, item: Item) -> float | None:
        obj = self._inventory.get(item)
        if obj is None:
            return None
        if obj["metadata"].get("deletionTimestamp"):
            if ORPHAN in _finalizers(obj):
                await self._orphan(item, obj)
            elif FOREGROUND in _finalizers(obj):
                await self._finish_foreground(item, obj)
            return None
        if obj["metadata"].get("ownerReferences"):
            await self._judge(item, obj)
        return None

    async def _judge(self, item: Item, obj: Object) -> None:
        """Delete the object when its last owner is gone or going; else drop dead references."""
        solid: list[Object] = []
        waiting = False
        for reference in obj["metadata"]["ownerReferences"]:
            owner = self._owner(reference)
            if owner is not None and _deletes_foreground(owner):
                waiting = True
            elif owner is not None or not await self._is_gone(item, reference):
                solid.append(reference)
        if solid:
            if len(solid) < len(obj["metadata"]["ownerReferences"]):
                await self._patch(item, obj, {"ownerReferences": solid})
        elif waiting and self._inventory.dependents(obj["metadata"]["uid"]):
            await self._delete(item, obj, "Foreground")
        else:
            await self._delete(item, obj, "Background")

    def _owner(self, reference: Object) -> Object | None:
        item = self._inventory.by_uid(reference["uid"])
        return item and self._inventory.get(item)

    async def _is_gone(self, item: Item, reference: Object) -> bool:
        """Ask the server: a cache that lags must not cost an object its life.

        An owner of a kind that is not served, or that cannot be where the reference says, may be
        served another day: its dependents stay.
        """
        resource = self._inventory.resource_of(reference["apiVersion"], reference["kind"])
        namespace = item[1][0]
        if resource is None or (resource.namespaced and not namespace):
            return False
        try:
            answer = await self._view.client.get(
                resource, namespace if resource.namespaced else None, reference["name"]
            )
        except NotFound:
            return True
        return bool(msgspec.json.decode(answer)["metadata"]["uid"] != reference["uid"])

    async def _delete(self, item: Item, obj: Object, propagation: str) -> None:
        (resource, (namespace, name)), metadata = item, obj["metadata"]
        try:
            await self._view.client.delete(
                resource,
                namespace or None,
                name,
                propagation,
                uid=metadata["uid"],
                # Somebody may adopt it between our look and our deletion.
                resource_version=metadata["resourceVersion"],
            )
        except NotFound:
            return

    async def _finish_foreground(self, item: Item, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        blocking = [
            dependent
            for dependent in self._inventory.dependents(uid)
            if _blocks(self._inventory.get(dependent), uid)
        ]
        if not blocking:
            await self._remove_finalizer(item, obj, FOREGROUND)

    async def _orphan(self, item: Item, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        for dependent in self._inventory.dependents(uid):
            found = self._inventory.get(dependent)
            if found is not None:
                references = found["metadata"].get("ownerReferences") or []
                kept = [reference for reference in references if reference["uid"] != uid]
                await self._patch(dependent, found, {"ownerReferences": kept or None})
        await self._remove_finalizer(item, obj, ORPHAN)

    async def _remove_finalizer(self, item: Item, obj: Object, finalizer: str) -> None:
        rest = [name for name in _finalizers(obj) if name != finalizer]
        await self._patch(item, obj, {"finalizers": rest or None})

    async def _patch(self, item: Item, obj: Object, metadata: Object) -> None:
        (resource, (namespace, name)), version = item, obj["metadata"]["resourceVersion"]
        body = {"metadata": {**metadata, "resourceVersion": version, "uid": obj["metadata"]["uid"]}}
        try:
            await self._view.client.patch(resource, namespace or None, name, body)
        except NotFound:
            return


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _deletes_foreground(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp")) and FOREGROUND in _finalizers(obj)


def _blocks(dependent: Object | None, uid: str) -> bool:
    references = (dependent or {"metadata": {}})["metadata"].get("ownerReferences") or []
    return any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in references)
