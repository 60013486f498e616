"""A chat service on loopback: keeps what is posted, answers what the test lays out, gets stuck."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from serinus.api.canary import Canary


@dataclass
class Posted:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class ChatService:
    url: str = ""
    answers: list[Callable[[web.Request], web.Response]] = field(default_factory=list)
    """Given one after the other; when they are used up, everything is fine."""
    posted: "asyncio.Queue[Posted]" = field(default_factory=asyncio.Queue)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, no request is answered."""

    async def handle(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        self.posted.put_nowait(Posted(request.raw_path, dict(request.headers), body))
        await self.free.wait()
        return self.answers.pop(0)(request) if self.answers else web.Response(text="ok")

    async def next(self) -> Posted:
        async with asyncio.timeout(60):
            return await self.posted.get()


@contextlib.asynccontextmanager
async def chat_service() -> AsyncIterator[ChatService]:
    service = ChatService()
    service.free.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    service.free.set()
    await runner.cleanup()


def canary(name: str = "podinfo", *, namespace: str = "test", **analysis: Any) -> Canary:
    """A small canary; ``analysis`` adds to its analysis."""
    document = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 60,
            "service": {"port": 9898},
            "analysis": {
                "interval": "30s",
                "threshold": 5,
                "maxWeight": 50,
                "stepWeight": 5,
                **analysis,
            },
        },
        "status": {"phase": "Progressing", "lastAppliedSpec": "85d557f47b"},
    }
    return msgspec.convert(document, Canary)


class Sleeps:
    """Instead of waiting, remembers for how long."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
