"""CustomResourceDefinitions: what is written is served at once."""

from typing import Any, Final

from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest.call import Api
from serinus.lab.apiserver.rest.lifecycle import CRD_FINALIZER, mark_deleted, now
from serinus.lab.apiserver.schema.prune import prune
from serinus.lab.apiserver.store import GroupResource

RESOURCE: Final[GroupResource] = ("apiextensions.k8s.io", "customresourcedefinitions")


def load(api: Api) -> None:
    """Serves the CRDs of the store: after a restart."""
    for entry in api.store.list(RESOURCE):
        api.registry.add_crd(entry.decode())


def accept(api: Api, crd: Obj, live: Obj | None = None) -> None:
    """Names are accepted and the resource is served, before the CRD itself is stored."""
    names: dict[str, Any] = crd["spec"]["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    status: dict[str, Any] = dict(crd.get("status") or {})
    status["acceptedNames"] = names
    stored = next((v["name"] for v in crd["spec"]["versions"] if v.get("storage")), None)
    known = list(status.get("storedVersions") or ())
    status["storedVersions"] = known if stored in known or not stored else [*known, stored]
    if live is None or not status.get("conditions"):
        status["conditions"] = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition(
                "Established", "InitialNamesAccepted", "the initial names have been accepted"
            ),
        ]
    crd["status"] = status
    api.registry.add_crd(crd)
    if live is not None:
        _prune_stored(api, crd)


def _prune_stored(api: Api, crd: Obj) -> None:
    """Drops what the new schema does not know from the objects that are there.

    Kubernetes does so whenever it reads one. A watch is told of the difference, where Kubernetes
    ends watches and has them start anew.
    """
    group, names = crd["spec"]["group"], crd["spec"]["names"]
    where = (group, names["plural"])
    for entry in api.store.list(where):
        obj = entry.decode()
        kind = api.registry.by_kind(group, obj["apiVersion"].rpartition("/")[2], names["kind"])
        kept = prune(kind.schema, obj) if kind else obj
        if kept != obj:
            api.store.put(where, kept)


def _condition(type_: str, reason: str, message: str, status: str = "True") -> dict[str, str]:
    return {
        "type": type_,
        "status": status,
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }


def begin_removal(api: Api, crd: Obj) -> None:
    """Deletes the CRD's objects; the CRD itself goes with the last of them (`finish`)."""
    spec = crd["spec"]
    where = (spec["group"], spec["names"]["plural"])
    for entry in api.store.list(where):
        obj = entry.decode()
        if "deletionTimestamp" not in obj["metadata"]:
            mark_deleted(obj, 0)
        if obj["metadata"].get("finalizers"):
            api.store.put(where, obj)
        else:
            api.store.remove(where, obj)
    finish(api, crd["metadata"]["name"])


def finish(api: Api, name: str) -> None:
    """Lets go of a CRD that is being deleted and has no objects left."""
    entry = api.store.get(RESOURCE, "", name)
    if entry is None:
        return
    crd = entry.decode()
    metadata, spec = crd["metadata"], crd["spec"]
    if "deletionTimestamp" not in metadata:
        return
    if api.store.list((spec["group"], spec["names"]["plural"])):
        return
    left = [item for item in metadata.get("finalizers") or () if item != CRD_FINALIZER]
    metadata["finalizers"] = left
    if left:
        api.store.put(RESOURCE, crd)
    else:
        api.store.remove(RESOURCE, crd)
        api.registry.remove_crd(name)
