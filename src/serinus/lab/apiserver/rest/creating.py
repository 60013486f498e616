"""POST: new objects."""

from http import HTTPStatus

from aiohttp import web

from serinus.lab.apiserver import crds, errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.requests import WriteOptions, write_options
from serinus.lab.apiserver.rest import body, lifecycle, pods, strategy, writing
from serinus.lab.apiserver.rest.call import Api, Call, resource
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry

_NAME_TRIES = 8


async def create(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """POST on a collection."""
    obj, duplicates = await body.read(call)
    body.check_kind(kind, obj)
    options = write_options(call.http, "CreateOptions")
    obj = body.clean(call, kind, obj, duplicates, options.field_validation)
    made = await create_object(api, call, Target(kind, call.info.namespace, ""), obj, options)
    if isinstance(made, Entry):
        return call.entry(kind, made, HTTPStatus.CREATED)
    return call.object(kind, made, HTTPStatus.CREATED)


async def create_object(
    api: Api, call: Call, target: Target, obj: Obj, options: WriteOptions, *, tracked: bool = False
) -> Entry | Obj:
    """Stores a new object; a dry run gives the object that would have been stored.

    ``tracked``: it carries its managedFields already (server-side apply).
    """
    kind = target.kind
    writing.check_metadata(target, obj)
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    generate = not metadata.get("name") and metadata.get("generateName")
    if not metadata.get("name") and not generate:
        missing = field_errors.required("metadata.name", "name or generateName is required")
        raise errors.invalid(kind.group, kind.kind, "", [missing])
    strategy.check_namespace(api, kind, target.namespace, metadata.get("name", ""))
    if generate:
        metadata["name"] = _unused_name(api, kind, target.namespace, metadata["generateName"])
    writing.normalise(kind, obj)
    if (kind.group, kind.plural) == ("", "pods"):
        pods.admit(api, obj)
    named = Target(kind, target.namespace, metadata["name"])
    operation = named.operation(call, "CREATE", None, dry_run=options.dry_run)
    obj = await writing.admit_changed(api, call, operation, obj)
    lifecycle.born(kind, obj)
    strategy.prepare_create(kind, obj)
    writing.check_valid(kind, obj, None)
    if not tracked:
        obj = writing.track(named, None, obj, options)
    await api.admission.validate(operation, obj, call.warnings)
    # From here to the write there is no await: what was checked still holds.
    where, key = resource(kind), (target.namespace if kind.namespaced else "", metadata["name"])
    if api.store.get(where, *key):
        raise errors.already_exists(kind.group, kind.plural, metadata["name"])
    strategy.check_namespace(api, kind, target.namespace, metadata["name"])
    strategy.allocate(api, kind, obj, None)
    if options.dry_run:
        return obj
    if (kind.group, kind.plural) == crds.RESOURCE:
        crds.accept(api, obj)
    return api.store.put(where, writing.stored(kind, obj))


def _unused_name(api: Api, kind: Kind, namespace: str, prefix: str) -> str:
    for _ in range(_NAME_TRIES):
        name = lifecycle.generated_name(prefix)
        if not api.store.get(resource(kind), namespace, name):
            return name
    raise errors.already_exists(kind.group, kind.plural, prefix)
