"""A steady caller: ``python -m serinus.lab.demo.traffic URL``, the program of ``serinus/traffic``.

It sends requests at a fixed rate, whether or not the answers keep up, and prints what came back
once a second as a line of JSON (`serinus.lab.demo.counts` reads it). Only the standard library is
used, and of that what is cheap: this runs in a pod beside everything else.

Anything but a 200 counts as a failure. Nothing is tried twice: a caller that retried would hide
just what this one is here to see. Counting begins with the first good answer, since a name that
nobody serves yet is no failure of a rollout.
"""

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

FRESH = 10
"""Every so many requests one gets a connection of its own: what a reused connection never meets
(name lookup, redirection, the listener) is then seen too."""

TIMEOUT = 5.0
"""Seconds that an answer may take."""

KEPT_FAILURES = 20
"""How many failures of one second are told in words; all are counted."""


class BadAnswer(Exception):
    """What came back is no HTTP answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "Target":
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"an address like http://podinfo.test:9898/ is needed, not {url!r}")
        return cls(parts.hostname, parts.port or 80, parts.path or "/")

    @property
    def request(self) -> bytes:
        head = f"GET {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
        return f"{head}User-Agent: serinus-traffic\r\n\r\n".encode()


@dataclass(slots=True)
class Connection:
    """One connection and what is read from it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reusable: bool = True

    @classmethod
    async def open(cls, target: Target) -> "Connection":
        return cls(*await asyncio.open_connection(target.host, target.port))

    @property
    def closed_by_peer(self) -> bool:
        """Whether the other side has hung up while the connection lay idle."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def get(self, target: Target) -> tuple[int, bytes]:
        """Status and body of one answer."""
        self.writer.write(target.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        if len(words) < 2 or not words[1].isdecimal():
            raise BadAnswer(f"not an answer: {head[0]!r}")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.reusable = headers.get("connection", "").lower() != "close"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return int(words[1]), await self._chunks()
        return int(words[1]), await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    def close(self) -> None:
        self.writer.close()


@dataclass(slots=True)
class Tally:
    """What came back since the last report."""

    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    failed: int = 0

    def answer(self, version: str, status: int, seconds: float) -> None:
        """Count an answer; ``version`` is empty when it does not say which one it came from."""
        by_status = self.answers.setdefault(version, {})
        by_status[str(status)] = by_status.get(str(status), 0) + 1
        self.latencies.setdefault(version, []).append(seconds)

    def failure(self, began: float, why: str) -> None:
        """Count a request that was not answered with a 200."""
        self.failed += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append({"at": round(began, 3), "why": why})

    def report(self, number: int) -> str:
        """The line that tells it. ``p99_ms`` is by version."""
        p99 = {
            version: round(sorted(found)[math.ceil(0.99 * len(found)) - 1] * 1000, 1)
            for version, found in self.latencies.items()
        }
        line = {"number": number, "at": round(time.time(), 3), "answers": self.answers}
        line |= {"p99_ms": p99, "failed": self.failed, "failures": self.failures}
        return json.dumps(line)


class Caller:
    """Sends the requests and keeps the connections."""

    def __init__(self, target: Target) -> None:
        self.tally = Tally()
        self._target = target
        self._idle: list[Connection] = []
        self._sent = 0

    async def wait_until_served(self) -> None:
        """Return after the first good answer."""
        while True:
            with contextlib.suppress(OSError, EOFError, BadAnswer, ValueError, TimeoutError):
                async with asyncio.timeout(TIMEOUT):
                    connection = await Connection.open(self._target)
                    try:
                        status, _ = await connection.get(self._target)
                    finally:
                        connection.close()
                if status == 200:
                    return
            await asyncio.sleep(0.1)

    async def call(self) -> None:
        """One request, counted."""
        self._sent += 1
        began, clock = time.time(), time.perf_counter()
        fresh = self._sent % FRESH == 0
        try:
            async with asyncio.timeout(TIMEOUT):
                status, body = await self._get(fresh=fresh)
        except TimeoutError:
            connection = "a connection of its own" if fresh else "a connection kept alive"
            self.tally.failure(began, f"no answer within {TIMEOUT:g}s on {connection}")
        except (OSError, EOFError, BadAnswer, ValueError) as error:
            self.tally.failure(began, f"{type(error).__name__}: {error}")
        else:
            version = version_of(body) if status == 200 else ""
            self.tally.answer(version, status, time.perf_counter() - clock)
            if status != 200:
                self.tally.failure(began, f"{status}: {body[:200].decode(errors='replace')}")

    async def _get(self, *, fresh: bool) -> tuple[int, bytes]:
        connection = await Connection.open(self._target) if fresh else await self._connection()
        try:
            answer = await connection.get(self._target)
        except BaseException:
            connection.close()
            raise
        if fresh or not connection.reusable:
            connection.close()
        else:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed_by_peer:
                return connection
            connection.close()
        return await Connection.open(self._target)


def version_of(body: bytes) -> str:
    """What podinfo's answer says of its version; empty when it says nothing."""
    try:
        return str(json.loads(body).get("version", ""))
    except (ValueError, AttributeError):
        return ""


async def call_steadily(caller: Caller, rate: float, ended: asyncio.Event) -> None:
    """``rate`` requests a second until ``ended``, then wait for the last answers."""
    calls: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not ended.is_set():
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(caller.call())
        calls.add(task)
        task.add_done_callback(calls.discard)
        # After a stall of this process the backlog is not made up for: it would be a burst.
        due = max(due + 1 / rate, time.monotonic() - 1.0)
    await asyncio.gather(*calls)


async def report_every_second(caller: Caller, first: int = 1) -> None:
    """Print the tally and begin a new one, for ever."""
    number = first
    while True:
        await asyncio.sleep(1.0)
        say(caller, number)
        number += 1


def say(caller: Caller, number: int) -> None:
    """Print what was counted since the last time."""
    tally, caller.tally = caller.tally, Tally()
    sys.stdout.write(tally.report(number) + "\n")
    sys.stdout.flush()


async def run(target: Target, rate: float) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    caller = Caller(target)
    served = asyncio.create_task(caller.wait_until_served())
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait((served, ending), return_when=asyncio.FIRST_COMPLETED)
    if served.done():
        reporter = asyncio.create_task(report_every_second(caller))
        await call_steadily(caller, rate, ended)
        reporter.cancel()
        say(caller, sys.maxsize)
    served.cancel()
    ending.cancel()


def main(arguments: Sequence[str]) -> None:
    """Read the command line and call."""
    parser = argparse.ArgumentParser(prog="traffic", description="A steady caller.")
    parser.add_argument("url", help="where to send requests, such as http://podinfo.test:9898/")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    options = parser.parse_args(arguments)
    try:
        target = Target.parse(options.url)
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(run(target, options.rate))


if __name__ == "__main__":
    main(sys.argv[1:])
