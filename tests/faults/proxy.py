"""Between the operator and those whom it asks: answers that come late, in part, wrong or never.

Faults follow rules: which requests (by method, path and body), from which one on, how often, with
what chance. The chances are drawn from a seeded generator, so a run can be had again.
"""

import asyncio
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from executor.peers import Peers, Request

REASONS = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
LONGEST_HOLD = 1.0
"""Seconds that an answer is held back at the most while no watch event comes."""

PASSED_ON = ("Authorization", "Content-Type", "Accept")


@dataclass(frozen=True)
class Delay:
    """Pass the request on after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """Close the connection; ``done``: once the request has been obeyed."""

    done: bool = False


@dataclass(frozen=True)
class Hang:
    """Never answer; ``done``: once the request has been obeyed."""

    done: bool = False


@dataclass(frozen=True)
class Truncate:
    """Close the connection after so many bytes of the answer."""

    size: int


@dataclass(frozen=True)
class Refuse:
    """Answer in the server's place."""

    status: int
    retry_after: int | None = None


@dataclass(frozen=True)
class Late:
    """Hold the answer until so many watch events that came after it have been passed on."""

    events: int = 1


Fault = Delay | Drop | Hang | Truncate | Refuse | Late


@dataclass
class Rule:
    """``fault`` for the requests whose method is in ``methods``, in whose path and query ``path``
    is found, and whose body has ``words``: ``times`` of them, beginning with the ``first``, each
    with that ``chance``."""

    fault: Fault
    path: str = ""
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
    words: bytes = b""
    first: int = 1
    times: int = 1_000_000
    chance: float = 1.0
    matched: int = 0
    used: int = 0

    def wants(self, seen: Request, chances: random.Random) -> bool:
        if (
            seen.method not in self.methods
            or re.search(self.path, f"{seen.path}?{seen.query}") is None
            or self.words not in seen.body
        ):
            return False
        self.matched += 1
        if self.matched < self.first or self.used >= self.times or chances.random() >= self.chance:
            return False
        self.used += 1
        return True


@dataclass
class Proxy(Peers):
    """Peers that misbehave by ``rules``, towards the API server and as Prometheus and hook."""

    rules: list[Rule] = field(default_factory=list)
    chances: random.Random = field(default_factory=lambda: random.Random(1))
    failing: set[str] = field(default_factory=set)
    """The canaries' targets half of whose requests fail."""
    answered: int = 0
    """How many questions Prometheus has answered in full."""
    watching: list[Request] = field(default_factory=list)
    """Watches that are open now."""
    refused_in_stream: int = 0
    """How many watches have been told 410 in an event."""
    events_passed: int = 0
    unreachable: bool = False
    """As if the network between operator and API server were cut."""
    _frozen: list[Request] = field(default_factory=list)
    _dropped: list[Request] = field(default_factory=list)

    def freeze(self) -> list[Request]:
        """From now on the watches that are open tell nothing more, and stay open; which."""
        self._frozen = list(self.watching)
        return self._frozen

    def drop_watches(self) -> None:
        """Close the watches that are open."""
        self._dropped = list(self.watching)

    def cut_off(self) -> None:
        """Close everything, and answer nothing until `reconnect`."""
        self.unreachable = True

    def reconnect(self) -> None:
        self.unreachable = False

    def heal(self) -> None:
        """No further faults."""
        self.rules, self.unreachable = [], False

    def _fault(self, seen: Request) -> Fault | None:
        return next((rule.fault for rule in self.rules if rule.wants(seen, self.chances)), None)

    # -- the way to the API server ---------------------------------------------------------

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        seen = Request(request.method, request.path, request.query_string, await request.read())
        self.requests.append(seen)
        if self.unreachable:
            return _hang_up(request)
        fault = self._fault(seen)
        if fault is not None and not isinstance(fault, Truncate):
            early = await self._before(request, fault)
            if early is not None:
                seen.status = early.status
                return early
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        try:
            async with self._session.request(
                request.method,
                self.upstream + request.raw_path,
                headers=headers,
                data=seen.body or None,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                seen.status = answer.status
                if seen.watches:
                    size = fault.size if isinstance(fault, Truncate) else None
                    return await self._stream(request, seen, answer, size)
                return await self._after(request, fault, answer)
        except aiohttp.ClientError:
            return _hang_up(request)

    async def _before(self, request: web.Request, fault: Fault) -> web.Response | None:
        """What is answered without asking anybody; None when somebody is to be asked."""
        match fault:
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Drop(done=False):
                return _hang_up(request)
            case Hang(done=False):
                await asyncio.get_running_loop().create_future()
            case Refuse():
                return _refusal(fault)
        return None

    async def _after(
        self, request: web.Request, fault: Fault | None, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        body = await answer.read()
        passed = self.events_passed
        match fault:
            case Drop():
                return _hang_up(request)
            case Hang():
                await asyncio.get_running_loop().create_future()
            case Late(events):
                held = 0.0
                while self.events_passed < passed + events and held < LONGEST_HOLD:
                    await asyncio.sleep(0.02)
                    held += 0.02
        headers = {
            name: answer.headers[name]
            for name in ("Retry-After", "Content-Encoding", "Content-Type")
            if name in answer.headers
        }
        if isinstance(fault, Truncate):
            return await _cut_short(request, answer.status, headers, body, fault.size)
        return web.Response(status=answer.status, body=body, headers=headers)

    async def _stream(
        self,
        request: web.Request,
        seen: Request,
        answer: aiohttp.ClientResponse,
        size: int | None,
    ) -> web.StreamResponse:
        reply = web.StreamResponse(status=answer.status)
        reply.content_type = answer.content_type
        await reply.prepare(request)
        self.watching.append(seen)
        sent = 0

        def over() -> bool:
            return self.unreachable or _among(seen, self._dropped)

        try:
            async for chunk in _until(over, answer.content):
                if _among(seen, self._frozen):
                    continue
                if b'"type":"ERROR"' in chunk and b'"code":410' in chunk:
                    self.refused_in_stream += 1
                if size is not None and sent + len(chunk) > size:
                    await reply.write(chunk[: size - sent])
                    return _hang_up(request)
                await reply.write(chunk)
                sent += len(chunk)
                self.events_passed += chunk.count(b"\n")
            if over():
                return _hang_up(request)
            await reply.write_eof()
        except ConnectionResetError:
            pass  # The operator has ended.
        finally:
            self.watching = [one for one in self.watching if one is not seen]
        return reply

    # -- Prometheus and the hook -----------------------------------------------------------

    async def _query(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        fault = self._fault(Request(request.method, request.path, request.query_string, b""))
        if fault is not None and not isinstance(fault, Truncate):
            early = await self._before(request, fault)
            if early is not None:
                return early
        answer = await super()._query(request)
        if isinstance(fault, Truncate):
            assert isinstance(answer.body, bytes)
            headers = {"Content-Type": "application/json"}
            return await _cut_short(request, answer.status, headers, answer.body, fault.size)
        self.answered += 1
        return answer

    def _samples(self, query: str) -> dict[str, Any]:
        told = super()._samples(query)
        if told["data"]["resultType"] == "scalar":
            return told
        for series in told["data"]["result"]:
            labels, good = series["metric"], "500"
            about = [value for value in labels.values() if "-canary_" in value]
            bad = any(one.startswith(f"{name}-canary_") for one in about for name in self.failing)
            if bad and (labels.get("le") == "10" or "envoy_response_code" in labels):
                series["values"][0][1] = good
        return told


def _among(seen: Request, some: list[Request]) -> bool:
    """Whether it is one of these itself, not one that reads the same."""
    return any(seen is one for one in some)


def _hang_up(request: web.Request) -> web.Response:
    """As a server that has gone: no answer at all."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refusal(fault: Refuse) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the proxy says so",
        "reason": REASONS[fault.status],
        "code": fault.status,
    }
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.Response(
        status=fault.status,
        text=json.dumps(status),
        content_type="application/json",
        headers=headers,
    )


async def _cut_short(
    request: web.Request, status: int, headers: dict[str, str], body: bytes, size: int
) -> web.StreamResponse:
    reply = web.StreamResponse(status=status, headers=headers)
    reply.content_length = len(body)
    await reply.prepare(request)
    await reply.write(body[: min(size, len(body) - 1)])
    if request.transport is not None:
        # What has been written is still to arrive.
        await asyncio.sleep(0.05)
        request.transport.abort()
    return reply


async def _until(over: Any, content: aiohttp.StreamReader) -> Any:
    """What comes of ``content``, until it ends or ``over`` says so."""
    while not over():
        try:
            async with asyncio.timeout(0.2):
                chunk = await content.readany()
        except TimeoutError:
            continue
        if not chunk:
            return
        yield chunk
