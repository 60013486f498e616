"""Who controls what: controller references, adoption and release."""

from collections.abc import Callable

from serinus.cluster.cache import Cache, Change, Key
from serinus.cluster.resource import Resource
from serinus.lab.apiserver.selectors import LabelTest, from_object
from serinus.lab.controllers.view import Object, View


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the object's controller."""
    references: list[Object] = obj["metadata"].get("ownerReferences") or []
    return next((r for r in references if r.get("controller")), None)


def controller_reference(resource: Resource, owner: Object) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def selects_own_pods(owner: Object) -> bool:
    """Whether the owner's selector matches what its template makes. Where it does not, each new
    object would be let go as soon as it is made, and the next one made: without end."""
    metadata = owner["spec"]["template"].get("metadata") or {}
    return from_object(owner["spec"].get("selector"))(metadata.get("labels") or {})


SELECTOR_MISMATCH = (
    "the selector does not match the labels of the pod template: "
    "spec.template.metadata.labels must carry every label that spec.selector asks for"
)


def owned(cache: Cache[Object], owner: Object) -> list[Object]:
    """The objects that ``owner`` controls."""
    uid = owner["metadata"]["uid"]
    return [obj for obj in cache.values() if (controller_of(obj) or {}).get("uid") == uid]


def notify_controller(
    cache: Cache[Object], kind: str, owners: Cache[Object], add: Callable[[Key], None]
) -> None:
    """On every change of an object, ``add`` its controller of ``kind``.

    An object without a controller may be one to adopt, so all ``owners`` of its namespace look.
    """

    def changed(change: Change[Object]) -> None:
        for obj in (change.old, change.new):
            if obj is None:
                continue
            controller = controller_of(obj)
            if controller is None:
                for key in owners.keys():  # noqa: SIM118 - a cache is not a mapping
                    if key[0] == change.key[0]:
                        add(key)
            elif controller["kind"] == kind:
                add((change.key[0], controller["name"]))

    cache.subscribe(changed)


async def claim(
    view: View, resource: Resource, owner_resource: Resource, owner: Object, matches: LabelTest
) -> list[Object]:
    """What ``owner`` controls, after taking in matching orphans and letting go what no longer
    matches."""
    mine: list[Object] = []
    namespace, uid = owner["metadata"]["namespace"], owner["metadata"]["uid"]
    for obj in view.cache(resource).values():
        if obj["metadata"]["namespace"] != namespace:
            continue
        controller, fits = controller_of(obj), matches(labels_of(obj))
        if controller is None:
            if fits and not view.leaving(obj) and not view.leaving(owner):
                mine.append(await _adopt(view, resource, owner_resource, owner, obj))
        elif controller["uid"] == uid:
            if fits or view.leaving(owner) or view.leaving(obj):
                mine.append(obj)
            else:
                await _release(view, resource, uid, obj)
    return mine


async def _adopt(
    view: View, resource: Resource, owner_resource: Resource, owner: Object, obj: Object
) -> Object:
    references = [*(obj["metadata"].get("ownerReferences") or [])]
    references.append(controller_reference(owner_resource, owner))
    return await _own(view, resource, obj, references)


async def _release(view: View, resource: Resource, uid: str, obj: Object) -> None:
    references = [r for r in obj["metadata"]["ownerReferences"] if r["uid"] != uid]
    await _own(view, resource, obj, references)


async def _own(view: View, resource: Resource, obj: Object, references: list[Object]) -> Object:
    version = obj["metadata"]["resourceVersion"]
    metadata = {"resourceVersion": version, "ownerReferences": references or None}
    return await view.patch(resource, obj, {"metadata": metadata})
