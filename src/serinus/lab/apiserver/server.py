"""From an HTTP request to the handler that answers it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from serinus.lab.apiserver import discovery, errors, forwarding, proxy, requests
from serinus.lab.apiserver.access import reviews
from serinus.lab.apiserver.access.authorizer import Attributes
from serinus.lab.apiserver.access.tokens import ANONYMOUS, AUTHENTICATED, User
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.requests import RequestInfo
from serinus.lab.apiserver.rest import (
    accounts,
    creating,
    deleting,
    patching,
    pods,
    reading,
    scale,
    updating,
)
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.schema import openapi, swagger
from serinus.lab.apiserver.schema.registry import Kind

log = logging.getLogger(__name__)

Handler = Callable[[Api, Call, Kind], Awaitable[web.StreamResponse]]

_HEALTH = frozenset({"/healthz", "/readyz", "/livez"})

_MAIN: dict[str, Handler] = {
    "get": reading.get,
    "list": reading.list_,
    "watch": reading.watch_,
    "create": creating.create,
    "update": updating.update,
    "patch": patching.patch,
    "delete": deleting.delete,
    "deletecollection": deleting.delete_collection,
}

_OBJECT_PARTS = frozenset({"status", "finalize", "resize"})
"""Subresources that show the whole object and take a part of it."""

_PARTS: dict[tuple[str, str], Handler] = {
    ("pods", "log"): proxy.logs,
    ("pods", "exec"): proxy.exec_,
    ("pods", "attach"): proxy.exec_,
    ("pods", "portforward"): proxy.port_forward,
    ("pods", "binding"): pods.bind,
    ("pods", "eviction"): pods.evict,
    ("serviceaccounts", "token"): accounts.token,
    ("pods", "ephemeralcontainers"): pods.debug,
    ("nodes", "proxy"): proxy.node,
    ("pods", "proxy"): forwarding.pod,
    ("services", "proxy"): forwarding.service,
}


def _handler(kind: Kind, info: RequestInfo) -> Handler | None:
    named = bool(info.name)
    if (info.verb in {"update", "patch"} and not named) or (
        info.verb == "create" and named and not info.subresource
    ):
        return None
    if not info.subresource:
        if (kind.group, kind.plural) == ("", "bindings"):
            return pods.bind
        return _MAIN.get(info.verb) if info.verb in kind.verbs else None
    part = kind.subresource(info.subresource)
    if part is None:
        return None
    if part.name == "scale":
        return scale.handle if info.verb in part.verbs else None
    if part.name in _OBJECT_PARTS:
        return _MAIN.get(info.verb) if info.verb in part.verbs else None
    return _PARTS.get((kind.plural, part.name))


class Server:
    """Answers requests: who asks, whether they may, then what they asked for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._running: set[asyncio.Task[Any]] = set()

    def cancel(self) -> None:
        """Ends all requests: watches and streams would never end by themselves."""
        for task in self._running:
            task.cancel()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request; no error leaves but as a Status."""
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._running.add(task)
        try:
            return await self._respond(request)
        finally:
            self._running.discard(task)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        info = requests.parse(request.method, request.path, request.query)
        call = Call(request, info, ANONYMOUS)
        try:
            return await self._answer(call)
        except ApiError as error:
            response = call.plain(error.status(), error.code)
            if wait := (error.details or {}).get("retryAfterSeconds"):
                response.headers["Retry-After"] = str(wait)
            if error.code == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="serinus-lab"'
            return response
        except errors.NoSuchPath:
            return web.Response(status=404, text="404 page not found\n")
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            refusal = errors.internal(f"{type(error).__name__}: {error}")
            return call.plain(refusal.status(), refusal.code)

    async def _answer(self, call: Call) -> web.StreamResponse:
        info, api = call.info, self._api
        if info.path in _HEALTH:
            return web.Response(text="ok")
        call.user = self._user(call.http)
        api.authorizer.check(call.user, Attributes.of(info))
        if not info.is_resource:
            if info.verb not in {"get", "head"}:
                raise errors.method_not_allowed()
            if info.path.rstrip("/") == swagger.PATH:
                return _swagger(call)
            return call.plain(self._document(info.path))
        if reviews.is_review(info.group, info.resource):
            return await reviews.answer(api, call)
        kind = api.registry.by_resource(info.group, info.version, info.resource)
        if kind is None and not api.registry.serves(info.group, info.version):
            raise errors.NoSuchPath
        if kind is None or (kind.namespaced is False and info.namespace and not _is_own(info)):
            raise errors.no_such_path()
        if kind.namespaced and not info.namespace and (info.name or info.verb == "create"):
            raise errors.no_such_path()
        handler = _handler(kind, info)
        if handler is None:
            if info.subresource and kind.subresource(info.subresource) is None:
                raise errors.no_such_path()
            raise errors.method_not_allowed()
        return await handler(api, call, kind)

    def _document(self, path: str) -> Obj:
        api = self._api
        match [part for part in path.split("/") if part]:
            case []:
                return discovery.paths(api)
            case ["api"]:
                return discovery.core_versions()
            case ["api", version]:
                return discovery.resource_list(api, "", version)
            case ["apis"]:
                return discovery.group_list(api)
            case ["apis", group]:
                return discovery.group(api, group)
            case ["apis", group, version]:
                return discovery.resource_list(api, group, version)
            case ["version"]:
                return discovery.VERSION
            case ["openapi", "v3"]:
                return openapi.index(api.registry)
            case ["openapi", "v3", *rest]:
                document = openapi.document(api.registry, "/".join(rest))
                if document is not None:
                    return document
        raise errors.NoSuchPath

    def _user(self, request: web.BaseRequest) -> User:
        """The caller, or whom the caller may act as (Impersonate headers)."""
        user = self._api.authenticator.authenticate(request.headers.get("Authorization", ""))
        name = request.headers.get("Impersonate-User")
        if not name:
            return user
        groups = request.headers.getall("Impersonate-Group", [])
        resource, short = "users", name
        if name.startswith("system:serviceaccount:") and name.count(":") == 3:
            resource, short = "serviceaccounts", name.rpartition(":")[2]
            space = name.split(":")[2]
            groups = groups or ["system:serviceaccounts", f"system:serviceaccounts:{space}"]
        wanted = Attributes("impersonate", resource=resource, name=short)
        self._api.authorizer.check(user, wanted)
        for group in request.headers.getall("Impersonate-Group", []):
            self._api.authorizer.check(user, replace(wanted, resource="groups", name=group))
        if AUTHENTICATED not in groups:
            groups = [*groups, AUTHENTICATED]
        return User(name, tuple(groups), request.headers.get("Impersonate-Uid", ""))


def _swagger(call: Call) -> web.Response:
    if swagger.PROTOBUF_ACCEPTED not in call.http.headers.get("Accept", ""):
        return call.plain(swagger.DOCUMENT)
    return web.Response(
        body=swagger.protobuf(), headers={"Content-Type": swagger.PROTOBUF_CONTENT_TYPE}
    )


def _is_own(info: RequestInfo) -> bool:
    """``/api/v1/namespaces/NAME``: the namespace is the object."""
    return info.resource == "namespaces" and info.namespace == info.name
