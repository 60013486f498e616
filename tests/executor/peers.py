"""What an operator talks to: a way to the API server that counts and cuts, Prometheus, a hook.

All three are real HTTP servers of one thread.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

READING = {"GET", "HEAD"}


@dataclass
class Request:
    """One that the operator made of the API server; ``status`` is 0 while it is not answered."""

    method: str
    path: str
    query: str
    body: bytes
    status: int = 0
    at: float = field(default_factory=time.monotonic)

    @property
    def watches(self) -> bool:
        return "watch=true" in self.query

    @property
    def writes(self) -> bool:
        return self.method not in READING

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


@dataclass
class Cut:
    """Do ``action`` at the ``at``-th write from now on that has ``words`` in its body, ahead of it
    or once it is done."""

    at: int
    ahead: bool
    action: Callable[[], None]
    words: bytes = b""


@dataclass
class Peers:
    """Start with ``with``. ``upstream`` is the API server's address."""

    upstream: str
    requests: list[Request] = field(default_factory=list)
    cut: Cut | None = None
    refused: str = ""
    """Writes to paths with this in them are refused, as an admission webhook does."""
    success: float = 100.0
    """Percent of the canary's requests that Prometheus says were good."""
    prometheus: Callable[[str], web.Response] | None = None
    """Answers in the place of a healthy Prometheus."""
    queries: list[str] = field(default_factory=list)
    hook_status: int = 200
    hooks: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(limit=0, ssl=False)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        api, others = web.Application(client_max_size=2**24), web.Application()
        api.router.add_route("*", "/{path:.*}", self._forward)
        others.router.add_get("/api/v1/query", self._query)
        others.router.add_post("/hook", self._hook)
        runners = [
            # A watch ends with the operator that held it.
            web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            for app in (api, others)
        ]
        ports = []
        for runner in runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ports.append(runner.addresses[0][1])
        self.api, self.http = (f"http://127.0.0.1:{port}" for port in ports)
        self._started.set()
        await self._stop.wait()
        await self._session.close()
        for runner in runners:
            await runner.cleanup()

    # -- the way to the API server ---------------------------------------------------------

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        seen = Request(request.method, request.path, request.query_string, await request.read())
        self.requests.append(seen)
        if self.refused and seen.writes and self.refused in seen.path:
            words = {"kind": "Status", "message": "not here", "reason": "Forbidden", "code": 403}
            return web.json_response(words, status=403)
        cut = self._cut_now(seen)
        if cut is not None and cut.ahead:
            cut.action()
            raise web.HTTPServiceUnavailable
        headers = {
            key: value
            for key, value in request.headers.items()
            if key in ("Authorization", "Content-Type", "Accept")
        }
        try:
            async with self._session.request(
                request.method,
                self.upstream + request.raw_path,
                headers=headers,
                data=seen.body or None,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                if cut is not None:
                    await answer.read()
                    cut.action()
                return await self._pass_on(request, seen, answer)
        except aiohttp.ClientError:
            # As a server that has gone: no answer at all.
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    async def _pass_on(
        self, request: web.Request, seen: Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        seen.status = answer.status
        reply = web.StreamResponse(status=answer.status)
        reply.content_type = answer.content_type
        for name in ("Retry-After", "Content-Encoding"):
            if name in answer.headers:
                reply.headers[name] = answer.headers[name]
        await reply.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await reply.write(chunk)
            await reply.write_eof()
        except ConnectionResetError:
            pass  # The operator has ended.
        return reply

    def _cut_now(self, seen: Request) -> Cut | None:
        cut = self.cut
        if cut is None or not seen.writes or cut.words not in seen.body:
            return None
        cut.at -= 1
        if cut.at > 0:
            return None
        self.cut = None
        return cut

    def writes(self) -> list[Request]:
        """Those that people would miss: all but Events."""
        return [seen for seen in self.requests if seen.writes and "/events" not in seen.path]

    # -- Prometheus and the hook -----------------------------------------------------------

    async def _query(self, request: web.Request) -> web.Response:
        query = request.query["query"]
        self.queries.append(query)
        if self.prometheus is not None:
            return self.prometheus(query)
        return web.json_response(self._samples(query))

    def _samples(self, query: str) -> dict[str, Any]:
        """1000 requests of each canary asked about in the window, the good ones within 10 ms."""
        good, now = self.success * 10, time.time()
        if query == "vector(1)":
            return {"status": "success", "data": {"resultType": "scalar", "result": [now, "1"]}}
        if query.startswith("count({"):
            one = [{"metric": {}, "value": [now, "1"]}]
            return {"status": "success", "data": {"resultType": "vector", "result": one}}
        if query.startswith("last_over_time"):
            return {"status": "success", "data": {"resultType": "vector", "result": []}}
        if "_bucket" in query:
            counts = {("le", "10"): good, ("le", "10000"): 1000.0, ("le", "+Inf"): 1000.0}
        else:
            code = "envoy_response_code"
            counts = {(code, "200"): good, (code, "503"): 1000 - good}
        metric, label = re.match(r"(\w+)\{(\w+)=~", query).groups()
        result = [
            {
                "metric": {"__name__": metric, label: f"{tag}9898", name: value},
                "values": [[now, str(count)]],
            }
            for tag in re.findall(r"[\w-]+-canary_[\w-]+?_svc_", query)
            for (name, value), count in counts.items()
        ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    async def _hook(self, request: web.Request) -> web.Response:
        self.hooks.append(json.loads(await request.read()))
        return web.Response(status=self.hook_status, text="the hook's own words")
