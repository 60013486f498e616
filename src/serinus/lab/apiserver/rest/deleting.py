"""DELETE: at once, after a grace period, or when the finalizers are gone."""

from typing import Final

from aiohttp import web

from serinus.lab.apiserver import crds, errors
from serinus.lab.apiserver.representation import Obj, decode
from serinus.lab.apiserver.requests import DeleteOptions, delete_options
from serinus.lab.apiserver.rest import body, lifecycle, reading, strategy, writing
from serinus.lab.apiserver.rest.call import Api, Call, resource
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry

_TRIES: Final = 5
_GRACE: Final = 30
_IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that a cluster cannot be without."""

_POLICY_FINALIZERS: Final = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


async def delete(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """DELETE of one object. Answers the object while something still holds it."""
    options = delete_options(await body.read_optional(call), call.http.query)
    target = Target(kind, call.info.namespace if kind.namespaced else "", call.info.name)
    made = await delete_object(api, call, target, options)
    if isinstance(made, Entry):
        return call.entry(kind, made)
    if (kind.group, kind.plural) == ("", "pods"):
        return call.object(kind, made)
    return call.plain(_success(kind, made))


def _success(kind: Kind, obj: Obj) -> Obj:
    details = {"name": obj["metadata"]["name"], "kind": kind.plural, "uid": obj["metadata"]["uid"]}
    if kind.group:
        details["group"] = kind.group
    return errors.success(details)


async def delete_collection(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """DELETE of all objects that the query selects; answers them as a list."""
    options = delete_options(await body.read_optional(call), call.http.query)
    matches = reading.selection(call, kind)
    namespace = call.info.namespace if kind.namespaced else ""
    entries = [entry for entry in api.store.list(resource(kind), namespace) if matches(entry)]
    for entry in entries:
        target = Target(kind, entry.namespace, entry.name)
        try:
            await delete_object(api, call, target, options)
        except errors.ApiError as error:
            if error.reason != "NotFound":
                raise
    return call.json(call.view(kind).many(entries, {"resourceVersion": str(api.store.version)}))


async def delete_object(
    api: Api, call: Call, target: Target, options: DeleteOptions
) -> Entry | Obj:
    """Deletes, or begins to: the entry if the object is still there, else its last state."""
    kind = target.kind
    where = resource(kind)
    for _ in range(_TRIES):
        entry = api.store.get(where, target.namespace, target.name)
        if entry is None:
            raise target.not_found()
        live = decode(kind, entry)
        _check_preconditions(target, live, options)
        if (kind.group, kind.plural) == ("", "namespaces") and target.name in _IMMORTAL:
            raise errors.forbidden(
                "", kind.plural, target.name, "this namespace may not be deleted"
            )
        operation = target.operation(call, "DELETE", live, dry_run=options.is_dry_run)
        await api.admission.validate(operation, None, call.warnings)
        if api.store.get(where, target.namespace, target.name) is not entry:
            continue
        if options.is_dry_run:
            return live
        return _delete(api, kind, entry, live, options)
    raise errors.conflict(kind.group, kind.plural, target.name)


def _check_preconditions(target: Target, live: Obj, options: DeleteOptions) -> None:
    kind, wanted, metadata = target.kind, options.preconditions, live["metadata"]
    if wanted is None:
        return
    for label, said, real in (
        ("UID", wanted.uid, metadata["uid"]),
        ("ResourceVersion", wanted.resource_version, metadata["resourceVersion"]),
    ):
        if said and said != real:
            raise errors.precondition(
                *(kind.group, kind.kind, target.name), label == "UID", said, real
            )


def _delete(api: Api, kind: Kind, entry: Entry, live: Obj, options: DeleteOptions) -> Entry | Obj:
    where = resource(kind)
    metadata = live["metadata"]
    grace = _grace(kind, live, options)
    begun = "deletionTimestamp" in metadata
    _set_policy(live, options.policy())
    if not grace and not _is_held(live):
        if (kind.group, kind.plural) == ("", "pods"):
            lifecycle.mark_deleted(live, grace)
        api.store.remove(where, writing.stored(kind, live))
        strategy.removed(api, kind, live)
        return live
    shorter = grace < metadata.get("deletionGracePeriodSeconds", 0)
    if not begun or shorter:
        generation = metadata.get("generation")
        lifecycle.mark_deleted(live, grace)
        if begun and generation is not None:
            metadata["generation"] = generation
    if (kind.group, kind.plural) == ("", "namespaces"):
        live.setdefault("status", {})["phase"] = "Terminating"
    if live == decode(kind, entry):
        return entry
    made = api.store.put(where, writing.stored(kind, live))
    if (kind.group, kind.plural) == crds.RESOURCE and not begun:
        crds.begin_removal(api, live)
        if api.store.get(where, "", metadata["name"]) is None:
            return live
    return made


def _grace(kind: Kind, live: Obj, options: DeleteOptions) -> int:
    """Seconds that the object stays for its kubelet; only pods on a node have one."""
    if (kind.group, kind.plural) != ("", "pods"):
        return 0
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        return 0
    if options.grace_period_seconds is not None:
        return max(options.grace_period_seconds, 0)
    usual: int = spec.get("terminationGracePeriodSeconds", _GRACE)
    left: int = live["metadata"].get("deletionGracePeriodSeconds", usual)
    return left


def _set_policy(live: Obj, policy: str | None) -> None:
    """The policy as the finalizer that the garbage collector acts on."""
    if policy is None:
        return
    metadata = live["metadata"]
    kept = [
        name for name in metadata.get("finalizers") or () if name not in _POLICY_FINALIZERS.values()
    ]
    if policy in _POLICY_FINALIZERS:
        kept.append(_POLICY_FINALIZERS[policy])
    metadata.pop("finalizers", None)
    if kept:
        metadata["finalizers"] = kept


def _is_held(live: Obj) -> bool:
    """Whether someone must let go first: finalizers, or the namespace controller."""
    spec = live.get("spec") or {}
    return bool(live["metadata"].get("finalizers")) or (
        live["kind"] == "Namespace" and bool(spec.get("finalizers"))
    )
