"""GET: one object, a list in chunks, a watch."""

import base64
import random
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from serinus.lab.apiserver import errors, selectors, watch
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.representation import decode, error_event
from serinus.lab.apiserver.rest.call import Api, Call, resource
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry


async def get(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET of one object, or of one of its subresources that are the object itself."""
    return call.entry(kind, find(api, call, kind))


def find(api: Api, call: Call, kind: Kind) -> Entry:
    """The object that the path names; 404 if there is none."""
    namespace = call.info.namespace if kind.namespaced else ""
    entry = api.store.get(resource(kind), namespace, call.info.name)
    if entry is None:
        raise errors.not_found(kind.group, kind.plural, call.info.name)
    return entry


def selection(call: Call, kind: Kind) -> Callable[[Entry], bool]:
    """The query's selectors, with the path's namespace and name, as a test."""
    query = call.http.query
    namespace = call.info.namespace if kind.namespaced else ""
    labels = selectors.label_test(selectors.parse_labels(query.get("labelSelector", "")))
    more = [
        field["jsonPath"].lstrip(".")
        for field in (kind.crd_version or {}).get("selectableFields") or ()
    ]
    fields = selectors.parse_fields(
        query.get("fieldSelector", ""), kind.group, kind.plural, more, custom=kind.is_custom
    )
    if call.info.name:
        fields.append(selectors.FieldClause("metadata.name", call.info.name, equal=True))
    cheap = {"metadata.name": "name", "metadata.namespace": "namespace"}
    quick = [(cheap[clause.path], clause) for clause in fields if clause.path in cheap]
    slow = [clause for clause in fields if clause.path not in cheap]

    def matches(entry: Entry) -> bool:
        if namespace and entry.namespace != namespace:
            return False
        for attribute, clause in quick:
            if (getattr(entry, attribute) == clause.value) is not clause.equal:
                return False
        if not labels(entry.labels):
            return False
        if not slow:
            return True
        obj = decode(kind, entry)
        return all(clause.matches(obj) for clause in slow)

    return matches


class _Continue(msgspec.Struct):
    """Where a chunked list goes on: after ``key``, as of ``version``."""

    version: int
    key: tuple[str, str]


def _parse_continue(token: str) -> _Continue:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Continue)
    except ValueError as error:
        raise errors.bad_request(
            "continue key is not valid: it is no token of this server"
        ) from error


def _integer(call: Call, name: str) -> int:
    text = call.http.query.get(name) or "0"
    if not text.isdigit():
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


_TOO_LARGE: Final = {
    "reason": "ResourceVersionTooLarge",
    "message": "Too large resource version",
}


def _check_list_options(call: Call) -> None:
    query = call.http.query
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if version and not version.isdigit():
        wrong = field_errors.invalid(
            *("resourceVersion", version), f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
        raise errors.bad_request(f"invalid resource version: {wrong}")
    field = "resourceVersionMatch"
    objections = []
    if query.get("sendInitialEvents"):
        objections.append(
            field_errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
        )
    if match and not version:
        why = f"{field} is forbidden unless resourceVersion is provided"
        objections.append(field_errors.forbidden(field, why))
    if match and query.get("continue"):
        why = f"{field} is forbidden when continue is provided"
        objections.append(field_errors.forbidden(field, why))
    if match not in ("", "Exact", "NotOlderThan"):
        known = ("Exact", "NotOlderThan", "")
        objections.append(field_errors.not_supported(field, match, known))
    if match == "Exact" and version == "0":
        why = f'{field} "exact" is forbidden for resourceVersion "0"'
        objections.append(field_errors.forbidden(field, why))
    if objections:
        raise errors.invalid_options("ListOptions", objections)


def _check_watch_options(call: Call) -> None:
    query = call.http.query
    match, field = query.get("resourceVersionMatch", ""), "resourceVersionMatch"
    objections = []
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            why = f"sendInitialEvents requires setting {field} to NotOlderThan"
            objections.append(field_errors.forbidden(field, why))
        if match not in ("", "NotOlderThan"):
            objections.append(field_errors.not_supported(field, match, ("NotOlderThan",)))
    elif match:
        why = f"{field} is forbidden for watch unless sendInitialEvents is provided"
        objections.append(field_errors.forbidden(field, why))
    if objections:
        raise errors.invalid_options("ListOptions", objections)


async def list_(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET of a collection, in chunks of ``limit``."""
    matches = selection(call, kind)
    wanted = call.http.query.get("resourceVersion", "")
    _check_list_options(call)
    if wanted and int(wanted) > api.store.version:
        why = f"Timeout: Too large resource version: {wanted}, current: {api.store.version}"
        raise ApiError(504, "Timeout", why, {"causes": [_TOO_LARGE], "retryAfterSeconds": 1})
    namespace = call.info.namespace if kind.namespaced else ""
    entries = api.store.list(resource(kind), namespace)
    version = api.store.version
    if token := call.http.query.get("continue"):
        begun = _parse_continue(token)
        if begun.version < api.store.collection(resource(kind)).floor:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            )
        version = begun.version
        entries = [entry for entry in entries if (entry.namespace, entry.name) > begun.key]
    entries = [entry for entry in entries if matches(entry)]
    metadata: dict[str, object] = {"resourceVersion": str(version)}
    limit = _integer(call, "limit")
    if limit and len(entries) > limit:
        last = entries[limit - 1]
        mark = _Continue(version, (last.namespace, last.name))
        metadata["continue"] = base64.urlsafe_b64encode(msgspec.json.encode(mark)).decode()
        if not call.http.query.get("labelSelector") and not call.http.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(entries) - limit
        entries = entries[:limit]
    return call.json(call.view(kind).many(entries, metadata))


def _watch_options(call: Call) -> watch.WatchOptions:
    query = call.http.query
    _check_watch_options(call)
    initial = query.get("sendInitialEvents")
    version = query.get("resourceVersion") or "0"
    if not version.isdigit():
        wrong = field_errors.invalid(
            *("resourceVersion", version), f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
        raise ApiError(500, "", str(wrong))
    since: int | None = int(version)
    if initial == "true" or (since == 0 and initial != "false"):
        since = None
    return watch.WatchOptions(
        since=since,
        bookmarks=query.get("allowWatchBookmarks") == "true",
        initial_end=initial == "true",
        timeout=float(_integer(call, "timeoutSeconds") or random.uniform(1800, 3600)),
    )


async def watch_(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET with ``watch=true``: lines of JSON until the timeout or the client's end."""
    options = _watch_options(call)
    collection = api.store.collection(resource(kind))
    view = call.view(kind)
    response = web.StreamResponse(headers=call.headers())
    response.content_type = "application/json"
    response.headers["Cache-Control"] = "no-cache, private"
    response.enable_chunked_encoding()
    lines = watch.stream(api.store, collection, view, selection(call, kind), options)
    await response.prepare(call.http)
    try:
        async for chunk in lines:
            await response.write(chunk)
        await response.write_eof()
    except ApiError as error:
        await response.write(error_event(error))
        await response.write_eof()
    except ConnectionError:
        # The client has what it wanted and left: the usual end of a watch.
        return response
    finally:
        await lines.aclose()
    return response
