"""What all writes share: the way of an object from a request into the store."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.admission import Operation
from serinus.lab.apiserver.patch.apply import track_update
from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.requests import WriteOptions
from serinus.lab.apiserver.rest import body
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.schema.conversion import convert
from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.schema.validation import validate


@dataclass(frozen=True, slots=True)
class Target:
    """The object that a request is about."""

    kind: Kind
    namespace: str
    name: str
    subresource: str = ""

    def operation(self, call: Call, verb: str, old: Obj | None, *, dry_run: bool) -> Operation:
        return Operation(
            *(verb, self.kind, self.namespace, self.name, self.subresource, call.user),
            dry_run=dry_run,
            old=old,
        )

    def not_found(self) -> errors.ApiError:
        return errors.not_found(self.kind.group, self.kind.plural, self.name)


def check_metadata(target: Target, obj: Obj) -> None:
    """Name and namespace of the body agree with the path; what is left out is filled in."""
    metadata: Any = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.bad_request("metadata must be an object")
    if target.kind.namespaced:
        said = metadata.get("namespace") or target.namespace
        if said != target.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = target.namespace
    else:
        metadata.pop("namespace", None)
    if target.name:
        said = metadata.get("name") or target.name
        if said != target.name:
            raise errors.bad_request(
                f"the name of the object ({said}) does not match the name on the URL "
                f"({target.name})"
            )
        metadata["name"] = target.name


def normalise(kind: Kind, obj: Obj) -> None:
    """Empty labels, annotations, finalizers and owners are left out, as Kubernetes does."""
    metadata = obj["metadata"]
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if name in metadata and not metadata[name]:
            del metadata[name]
    apply_defaults(kind, obj)


def check_valid(kind: Kind, obj: Obj, old: Obj | None) -> None:
    found = validate(kind, obj, old)
    if found:
        raise errors.invalid(kind.group, kind.kind, obj["metadata"].get("name", ""), found)


def track(target: Target, old: Obj | None, new: Obj, options: WriteOptions) -> Obj:
    """``new`` with `managedFields` that say who set what.

    Where the books cannot be kept (a list with two items of one key, which older validation let
    through), they stay as they were: as in Kubernetes, that is no reason to refuse a write.
    """
    try:
        fields = track_update(
            target.kind.schema,
            old,
            new,
            manager=options.field_manager,
            api_version=target.kind.api_version,
            subresource=target.subresource,
            now=datetime.now(UTC),
        )
    except PatchError:
        fields = ((old or {}).get("metadata") or {}).get("managedFields") or []
    metadata = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
    if fields:
        metadata["managedFields"] = fields
    return new | {"metadata": metadata}


def stored(kind: Kind, obj: Obj) -> Obj:
    """``obj`` in the version that is stored."""
    if kind.gvk == kind.storage:
        return obj
    try:
        return convert(obj, kind.storage)
    except ValueError as error:
        raise errors.bad_request(str(error)) from error


async def admit_changed(api: Api, call: Call, operation: Operation, new: Obj) -> Obj:
    """``new`` after the mutating webhooks, cleaned and defaulted again if they changed it."""
    changed = await api.admission.mutate(operation, new, call.warnings)
    if changed is not new:
        changed = body.pruned(operation.kind, changed)
        normalise(operation.kind, changed)
    return changed
