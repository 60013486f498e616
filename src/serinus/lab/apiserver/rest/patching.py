"""PATCH in its four types."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.patch.apply import ApplyConflict, server_side_apply
from serinus.lab.apiserver.patch.errors import DuplicateItem, PatchError
from serinus.lab.apiserver.patch.fieldset import applied_fields
from serinus.lab.apiserver.patch.json_patch import json_patch
from serinus.lab.apiserver.patch.merge_patch import merge_patch
from serinus.lab.apiserver.patch.strategic import strategic_merge
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.requests import WriteOptions, write_options
from serinus.lab.apiserver.rest import body
from serinus.lab.apiserver.rest.call import Api, Call, resource
from serinus.lab.apiserver.rest.creating import create_object
from serinus.lab.apiserver.rest.updating import answer, update_object
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.prune import unknown_fields
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry, encode

JSON: Final = "application/json-patch+json"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"


async def patch(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """PATCH of an object or of its status."""
    options = write_options(call.http, "PatchOptions")
    target = Target(kind, call.info.namespace, call.info.name, call.info.subresource)
    media, raw, duplicates = await read_patch(call, kind)
    if "force" in call.http.query and media != APPLY:
        wrong = field_errors.forbidden("force", "may not be specified for non-apply patch")
        raise errors.invalid_options("PatchOptions", [wrong])
    if media == APPLY:
        return await _apply(api, call, target, raw, options)

    def transform(live: Obj) -> Obj:
        patched = patched_object(kind, media, live, raw)
        body.check_kind(kind, patched)
        found = body.objections(kind, patched, duplicates)
        if found and options.field_validation == "Strict":
            why = f"strict decoding error: {', '.join(found)}"
            wrong = field_errors.invalid("patch", encode(raw).decode(), why)
            raise errors.invalid("", "", "", [wrong])
        if options.field_validation == "Warn":
            call.warnings[:] = found
        return body.pruned(kind, patched)

    made = await update_object(api, call, target, transform, options)
    return answer(call, kind, made)


async def read_patch(call: Call, kind: Kind) -> tuple[str, Any, list[str]]:
    """The patch's type, the patch, and the fields that it has twice."""
    media = call.http.headers.get("Content-Type", "").partition(";")[0].strip()
    accepted = [JSON, MERGE, APPLY] if kind.is_custom else [JSON, MERGE, STRATEGIC, APPLY]
    if media not in accepted:
        raise errors.ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted),
        )
    decoded, duplicates = body.decode(
        await call.body(), APPLY if media == APPLY else "application/json"
    )
    return media, decoded, duplicates


def patched_object(kind: Kind, media: str, live: Obj, raw: Any) -> Obj:
    """``live`` after a patch that is no apply; a patch that does not fit is 400 or 422."""
    try:
        if media == JSON:
            patched = json_patch(live, raw)
        elif media == MERGE:
            patched = merge_patch(live, raw)
        else:
            patched = strategic_merge(kind.schema, live, raw)
    except PatchError as error:
        raise from_patch_error(error) from error
    if not isinstance(patched, dict):
        raise errors.bad_request("the patched object is no object")
    return patched


def from_patch_error(error: PatchError) -> errors.ApiError:
    reasons = {400: "BadRequest", 413: "RequestEntityTooLarge", 422: "Invalid"}
    reason = reasons.get(error.code, "InternalError")
    return errors.ApiError(error.code, reason, error.message, {} if error.code == 422 else None)


async def _apply(
    api: Api, call: Call, target: Target, applied: Any, options: WriteOptions
) -> web.StreamResponse:
    """Server-side apply: creates what is absent."""
    kind = target.kind
    if not call.http.query.get("fieldManager"):
        wrong = field_errors.required("fieldManager", "is required for apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [wrong])
    if not isinstance(applied, dict):
        raise errors.bad_request("an apply patch must be an object")
    if not applied.get("kind"):
        raise errors.bad_request("invalid object type: /, Kind=")
    body.check_kind(kind, applied)
    _check_typed(kind, applied)
    applied = body.clean(call, kind, applied, [], options.field_validation)
    transform = _applying(target, _writable(target, applied), options)
    namespace = target.namespace if kind.namespaced else ""
    if target.subresource or api.store.get(resource(kind), namespace, target.name):
        made = await update_object(api, call, target, transform, options, tracked=True)
        return answer(call, kind, made)
    made = await create_object(api, call, target, transform(None), options, tracked=True)
    if isinstance(made, Entry):
        return call.entry(kind, made, HTTPStatus.CREATED)
    return call.object(kind, made, HTTPStatus.CREATED)


def _check_typed(kind: Kind, applied: Obj) -> None:
    """What the schema does not declare cannot be owned, so it cannot be applied."""
    why = next(
        (f".{path}: field not declared in schema" for path in unknown_fields(kind.schema, applied)),
        "",
    )
    if not why:
        try:
            applied_fields(kind.schema, applied)
        except PatchError as error:
            raise from_patch_error(error) from error
        except DuplicateItem as error:
            why = str(error)
    if why:
        metadata = applied.get("metadata") or {}
        about = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        raise errors.ApiError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "",
            f"failed to create typed patch object ({about}; {kind.api_version}, "
            f"Kind={kind.kind}): {why}",
        )


def _writable(target: Target, applied: Obj) -> Obj:
    """What an apply at this address can own: the status has an address of its own."""
    if target.subresource:
        kept = {"apiVersion", "kind", "metadata", target.subresource}
        return {name: value for name, value in applied.items() if name in kept}
    if "status" in target.kind.subresources:
        return {name: value for name, value in applied.items() if name != "status"}
    return applied


def _applying(target: Target, applied: Obj, options: WriteOptions) -> Callable[[Obj | None], Obj]:
    def transform(live: Obj | None) -> Obj:
        try:
            made: Obj = server_side_apply(
                target.kind.schema,
                live,
                applied,
                manager=options.field_manager,
                force=options.force,
                api_version=target.kind.api_version,
                now=datetime.now(UTC),
                subresource=target.subresource,
            )
        except ApplyConflict as conflict:
            raise errors.apply_conflict(conflict.message, conflict.causes) from conflict
        except PatchError as error:
            raise from_patch_error(error) from error
        return made

    return transform
