"""A tiny Kubernetes-like REST store on loopback: objects, merge and JSON patches, watches.

Enough for what routing and workload do with an API server: no schemas, no defaults, no access
control. ``requests`` records what was asked, so that tests can say "and no request at all".
"""

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Self

import jsonpatch
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.resource import Resource

Json = dict[str, Any]
Key = tuple[str, str, str]
"""Collection (``group/version/plural``), namespace, name."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def refusal(status: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": status, "reason": reason, "message": message}
    return web.json_response(body, status=status)


class ApiServer:
    """The store and its server; use as a context manager."""

    def __init__(self) -> None:
        self.objects: dict[Key, Json] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.admit: Callable[[Json], Json] = lambda item: item
        """What a mutating webhook does to each written object."""
        self.forbidden: set[str] = set()
        """Plurals of kinds that the asker has no right to."""
        self._events: list[tuple[Key, str, Json]] = []
        self._grown = asyncio.Condition()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server(shutdown_timeout=1)
        self.client = Client(Connection(server=str(self._server.make_url("")).rstrip("/")))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self._server.close()

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [request for request in self.requests if request[0] != "GET"]

    @property
    def version(self) -> str:
        """The resourceVersion of the last change."""
        return str(len(self._events))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        collection = f"{resource.group}/{resource.version}/{resource.plural}"
        return self.objects.get((collection, namespace or "", name))

    async def put(self, resource: Resource, item: Json) -> Json:
        """Store an object as somebody else would, past `requests` and `admit`."""
        meta = item["metadata"]
        collection = f"{resource.group}/{resource.version}/{resource.plural}"
        key = (collection, meta.get("namespace", ""), meta["name"])
        return await self._store(key, item)

    async def _store(self, key: Key, item: Json) -> Json:
        known = self.objects.get(key)
        stored = deepcopy(item)
        meta = stored["metadata"]
        meta["resourceVersion"] = str(len(self._events) + 1)
        meta.setdefault("uid", f"uid-{len(self._events) + 1}")
        generation = 0 if known is None else known["metadata"]["generation"]
        changed = known is None or known.get("spec") != stored.get("spec")
        meta["generation"] = generation + changed
        self.objects[key] = stored
        await self._publish(key, "ADDED" if known is None else "MODIFIED", stored)
        return stored

    async def _publish(self, key: Key, kind: str, item: Json) -> None:
        async with self._grown:
            self._events.append((key, kind, deepcopy(item)))
            self._grown.notify_all()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        group, parts = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
        version, *parts = parts
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        collection = f"{group}/{version}/{parts[0]}"
        body = await request.json() if request.can_read_body else None
        if request.query.get("watch") == "true":
            return await self._watch(request, collection, namespace)
        self.requests.append((request.method, request.path, body))
        if parts[0] in self.forbidden:
            return refusal(403, "Forbidden", f"{parts[0]}.{group} is forbidden")
        if len(parts) == 1:
            if request.method == "POST":
                key = (collection, namespace, body["metadata"]["name"])
                if key in self.objects:
                    return refusal(409, "AlreadyExists", f"{key[2]} already exists")
                return web.json_response(await self._store(key, self.admit(body)), status=201)
            items = [
                item
                for key, item in self.objects.items()
                if key[0] == collection and namespace in ("", key[1])
            ]
            page = {"metadata": {"resourceVersion": str(len(self._events))}, "items": items}
            return web.json_response(page)
        return await self._one(request, (collection, namespace, parts[1]), body)

    async def _one(self, request: web.Request, key: Key, body: Any) -> web.Response:
        known = self.objects.get(key)
        if known is None:
            return refusal(404, "NotFound", f"{key[0]} {key[2]} not found")
        if request.method == "GET":
            return web.json_response(known)
        if request.method == "DELETE":
            del self.objects[key]
            meta = {**known["metadata"], "resourceVersion": str(len(self._events) + 1)}
            await self._publish(key, "DELETED", {**known, "metadata": meta})
            return web.json_response({"kind": "Status", "status": "Success"})
        if request.content_type == "application/json-patch+json":
            wanted = jsonpatch.apply_patch(known, body)
        else:
            fence = body.get("metadata", {}).get("resourceVersion")
            if fence not in (None, known["metadata"]["resourceVersion"]):
                return refusal(409, "Conflict", f"{key[2]} has been modified")
            wanted = merge(known, body)
        return web.json_response(await self._store(key, self.admit(wanted)))

    async def _watch(
        self, request: web.Request, collection: str, namespace: str
    ) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        position = int(request.query["resourceVersion"])
        while True:
            async with self._grown:
                while len(self._events) <= position:
                    await self._grown.wait()
                fresh, position = self._events[position:], len(self._events)
            for key, kind, item in fresh:
                if key[0] == collection and namespace in ("", key[1]):
                    line = json.dumps({"type": kind, "object": item})
                    await stream.write(line.encode() + b"\n")
