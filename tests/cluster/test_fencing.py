"""Whether this process may write is asked last: nothing lies between the answer and the bytes.

A process can be stopped anywhere, for longer than its lease holds. What it had asked before a
connection was opened would be out of date when it wakes.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.scripted_api import scripted_api, status
from cluster.test_client import refuse
from cluster.tls_server import authority, tls_server
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.connection import Connection
from serinus.cluster.errors import NotLeading
from serinus.cluster.events import EventRecorder, ObjectRef
from serinus.cluster.kinds import CANARIES, EVENTS, SERVICES

WRITES: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "POST": lambda client: client.create(EVENTS, "test", {"kind": "Event"}),
    "PUT": lambda client: client.replace(SERVICES, "test", "a", {"kind": "Service"}),
    "PATCH": lambda client: client.patch(
        CANARIES, "test", "a", {"status": {}}, PatchKind.MERGE, subresource="status"
    ),
    "DELETE": lambda client: client.delete(SERVICES, "test", "a"),
    "without a body": lambda client: client.request("POST", "/api/v1/namespaces/test/services"),
    "of 200 KiB": lambda client: client.replace(SERVICES, "test", "a", {"big": "x" * 200_000}),
}

every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


class Listener:
    """A server that looks, without waiting, at what has arrived."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections: list[socket.socket] = []

    def arrived(self) -> bytes:
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.connections.append(self.socket.accept()[0])
        content = b""
        for connection in self.connections:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                content += connection.recv(1_000_000)
        return content

    def answer(self) -> None:
        self.connections[-1].sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )

    def close(self) -> None:
        for one in (self.socket, *self.connections):
            one.close()


async def until(holds: Callable[[], object]) -> None:
    """Let the loop go on, turn by turn."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


@every_write
@pytest.mark.parametrize("connection", ["new", "kept"])
async def test_the_bytes_leave_in_the_moment_of_the_last_answer(
    write: Callable[[Client], Awaitable[Any]], connection: str
) -> None:
    """What the loop does next after the answer, it does after the request has gone."""
    listener, left = Listener(), list[bytes]()

    def may_write() -> bool:
        asyncio.get_running_loop().call_soon(lambda: left.append(listener.arrived()))
        return True

    async def answered(asked: Awaitable[Any]) -> None:
        sending = asyncio.ensure_future(asked)
        await until(lambda: any(left))
        listener.answer()
        await sending

    async with Client(Connection(listener.address), may_write=may_write) as client:
        if connection == "kept":
            await answered(WRITES["PUT"](client))
            left.clear()
        await answered(write(client))
    assert len(listener.connections) == 1
    listener.close()
    assert left[-1].startswith((b"POST /", b"PUT /", b"PATCH /", b"DELETE /"))
    assert b"".join(left[:-1]) == b"", "one of the questions before came too late"


@every_write
async def test_what_changes_while_a_connection_is_opened_counts(
    tmp_path: Path, write: Callable[[Client], Awaitable[Any]]
) -> None:
    keys, leads = authority(tmp_path), True

    def lose() -> None:
        nonlocal leads
        leads = False

    async with tls_server(keys) as server:
        connection = Connection.with_token(server.address, "t", ca_file=str(keys.ca.cert))
        async with Client(connection, may_write=lambda: leads) as client:
            server.greeted = lose
            with pytest.raises(NotLeading, match="was not sent: this process does not lead"):
                await write(client)
            assert not leads, "the handshake had begun"
            await client.get(SERVICES, "test", "a")
            assert server.requests == ["GET /api/v1/namespaces/test/services/a"]
            leads = True
            await write(client)
            assert len(server.requests) == 2


@every_write
async def test_each_attempt_is_asked_about(write: Callable[[Client], Awaitable[Any]]) -> None:
    async with scripted_api() as api:
        leads, busy = True, status(429, "TooManyRequests", "busy")

        async def lose(_: object) -> None:
            nonlocal leads
            leads = False

        api.on_request, api.answers = lose, [refuse(busy, 429, Retry_After="0")]
        async with Client(api.client.connection, may_write=lambda: leads) as client:
            with pytest.raises(NotLeading):
                await write(client)
        assert len(api.requests) == 1


async def test_what_aiohttp_sends_again_is_asked_about() -> None:
    """It repeats a PUT by itself when a kept connection turns out to be closed."""
    listener, leads = Listener(), True
    async with Client(Connection(listener.address), may_write=lambda: leads) as client:
        sending = asyncio.ensure_future(WRITES["PUT"](client))
        await until(listener.arrived)
        listener.answer()
        await sending
        again = asyncio.ensure_future(WRITES["PUT"](client))
        await until(listener.arrived)
        leads = False
        listener.connections.pop().close()
        with pytest.raises(NotLeading):
            await again
    assert listener.arrived() == b""
    listener.close()


async def test_an_event_is_not_told_by_one_that_leads_no_more() -> None:
    async with scripted_api() as api:
        leads = False
        async with Client(api.client.connection, may_write=lambda: leads) as client:
            recorder = EventRecorder(client)
            running = asyncio.create_task(recorder.run())
            ref = ObjectRef(CANARIES.api_version, CANARIES.kind, "test", "a")
            recorder.record(ref, "Normal", "Synced", "unheard")
            await recorder.close()
            leads = True
            recorder.record(ref, "Normal", "Synced", "heard")
            await recorder.close()
            running.cancel()
        assert [(body or {})["message"] for *_, body in api.requests] == ["heard"]
        assert recorder.dropped == 1
