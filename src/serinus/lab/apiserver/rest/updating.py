"""PUT and the second half of PATCH: from the live object to the next one."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from serinus.lab.apiserver import crds, errors
from serinus.lab.apiserver.representation import Obj, decode
from serinus.lab.apiserver.requests import WriteOptions, write_options
from serinus.lab.apiserver.rest import body, lifecycle, strategy, writing
from serinus.lab.apiserver.rest.call import Api, Call, resource
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry

Transform = Callable[[Obj], Obj]
"""From the live object (its own to change) to the wanted one."""

TRIES: Final = 5
"""How often a write that names no resourceVersion starts anew when another one comes between."""


async def update(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """PUT of an object or of its status."""
    new, duplicates = await body.read(call)
    body.check_kind(kind, new)
    options = write_options(call.http, "UpdateOptions")
    new = body.clean(call, kind, new, duplicates, options.field_validation)
    target = Target(kind, call.info.namespace, call.info.name, call.info.subresource)
    if kind.is_custom and not (new.get("metadata") or {}).get("resourceVersion"):
        wrong = field_errors.invalid(
            "metadata.resourceVersion", 0, "must be specified for an update"
        )
        raise errors.invalid(kind.group, kind.plural, target.name, [wrong])
    made = await update_object(api, call, target, lambda _: lifecycle.duplicate(new), options)
    return answer(call, kind, made)


def answer(call: Call, kind: Kind, made: Entry | Obj) -> web.StreamResponse:
    return call.entry(kind, made) if isinstance(made, Entry) else call.object(kind, made)


async def update_object(
    api: Api,
    call: Call,
    target: Target,
    transform: Transform,
    options: WriteOptions,
    *,
    tracked: bool = False,
) -> Entry | Obj:
    """Writes what ``transform`` makes of the live object.

    A resourceVersion in the result is a precondition. Gives the stored entry, or the object
    where nothing is stored: a dry run, or an object whose last finalizer has gone.
    """
    kind = target.kind
    where = resource(kind)
    key = (target.namespace if kind.namespaced else "", target.name)
    for _ in range(TRIES):
        entry = api.store.get(where, *key)
        if entry is None:
            raise target.not_found()
        live = decode(kind, entry)
        new = transform(decode(kind, entry))
        _check_preconditions(target, live, new)
        new = _next(target, live, new)
        operation = target.operation(call, "UPDATE", live, dry_run=options.dry_run)
        new = await writing.admit_changed(api, call, operation, new)
        if target.subresource != "status":
            lifecycle.bump_generation(kind, live, new)
        writing.check_valid(kind, new, live)
        if not tracked:
            new = writing.track(target, live, new, options)
        if lifecycle.without_times(new) == lifecycle.without_times(live):
            return entry
        await api.admission.validate(operation, new, call.warnings)
        if api.store.get(where, *key) is not entry:
            continue
        strategy.allocate(api, kind, new, live)
        return new if options.dry_run else _write(api, kind, live, new)
    raise errors.conflict(kind.group, kind.plural, target.name)


def _check_preconditions(target: Target, live: Obj, new: Obj) -> None:
    kind, asked = target.kind, new.get("metadata") or {}
    version = asked.get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.group, kind.plural, target.name)
    uid, real = asked.get("uid"), live["metadata"]["uid"]
    if uid and uid != real:
        raise errors.conflict(
            *(kind.group, kind.plural, target.name),
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {real}",
        )


def _next(target: Target, live: Obj, new: Obj) -> Obj:
    """``new`` with all that this address of the object may not change as it is in ``live``."""
    kind = target.kind
    writing.check_metadata(target, new)
    if target.subresource in {"status", "finalize"}:
        part = "status" if target.subresource == "status" else "spec"
        wanted = dict(live)
        if part in new:
            wanted[part] = new[part]
        else:
            wanted.pop(part, None)
        wanted["metadata"] = strategy.metadata_beside(kind, target.subresource, live, new)
        new = wanted
    else:
        lifecycle.keep_system_fields(live, new)
        if target.subresource != "binding":  # a binding also says in the status that it was done
            strategy.prepare_update(kind, live, new)
    writing.normalise(kind, new)
    return new


def _write(api: Api, kind: Kind, live: Obj, new: Obj) -> Entry | Obj:
    where = resource(kind)
    if lifecycle.is_gone(kind, new):
        api.store.remove(where, writing.stored(kind, new))
        strategy.removed(api, kind, new)
        new["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return new
    if (kind.group, kind.plural) == crds.RESOURCE:
        crds.accept(api, new, live)
    return api.store.put(where, writing.stored(kind, new))
