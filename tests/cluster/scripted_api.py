"""A small API server whose every move the test decides."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from serinus.cluster.client import Client
from serinus.cluster.connection import Connection

Json = dict[str, Any]


def thing(name: str, version: int | str, namespace: str = "test", **data: Any) -> Json:
    """A ConfigMap, as far as a cache cares."""
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {"kind": "ConfigMap", "metadata": metadata, "data": data}


def status(code: int, reason: str, message: str, **details: Any) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


class Watch:
    """One watch that a client opened; the test feeds it."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self.version = request.query["resourceVersion"]
        self.query = dict(request.query)
        self.response = response
        self.request = request
        self.over = asyncio.Event()

    async def send(self, kind: str, item: Json) -> None:
        await self.raw(json.dumps({"type": kind, "object": item}).encode() + b"\n")

    async def bookmark(self, version: int) -> None:
        await self.send("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})

    async def raw(self, data: bytes) -> None:
        await self.response.write(data)

    def close(self) -> None:
        """End the answer in good order."""
        self.over.set()

    def cut(self) -> None:
        """Drop the connection in the middle of the answer."""
        assert self.request.transport is not None
        self.request.transport.abort()
        self.over.set()


@dataclass
class Api:
    """``items`` at ``version`` are what a list shows; watches come out of ``watches``."""

    client: Client
    items: list[Json] = field(default_factory=list)
    version: int = 1
    lists: list[dict[str, str]] = field(default_factory=list)
    watches: "asyncio.Queue[Watch]" = field(default_factory=asyncio.Queue)
    requests: "list[tuple[str, str, dict[str, str], str, Json | None]]" = field(
        default_factory=list
    )
    answers: list[web.Response] = field(default_factory=list)
    """Scripted answers, given before anything else."""
    refuse_watch: Json | None = None
    on_request: Callable[[web.Request], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.on_request is not None:
            await self.on_request(request)
        text = await request.text()
        self.requests.append(
            (
                request.method,
                request.path,
                dict(request.query),
                request.headers.get("Content-Type", ""),
                json.loads(text) if text else None,
            )
        )
        if self.answers:
            return self.answers.pop(0)
        if request.query.get("watch") == "true":
            return await self._watch(request)
        if request.method == "GET":
            return self._list(request)
        return web.json_response({"metadata": {"name": "x"}})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_watch is not None:
            return web.json_response(self.refuse_watch, status=self.refuse_watch["code"])
        response = web.StreamResponse()
        await response.prepare(request)
        watch = Watch(request, response)
        self.watches.put_nowait(watch)
        await watch.over.wait()
        return response

    def _list(self, request: web.Request) -> web.Response:
        self.lists.append(dict(request.query))
        start = int(request.query.get("continue", "0"))
        end = start + int(request.query.get("limit", "1000"))
        metadata = {"resourceVersion": str(self.version)}
        if end < len(self.items):
            metadata["continue"] = str(end)
        return web.json_response({"metadata": metadata, "items": self.items[start:end]})


@asynccontextmanager
async def scripted_api() -> AsyncIterator[Api]:
    holder: list[Api] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return await holder[0].handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    client = Client(Connection(f"http://{host}:{port}"))
    holder.append(Api(client))
    try:
        yield holder[0]
    finally:
        await client.close()
        await runner.cleanup()
