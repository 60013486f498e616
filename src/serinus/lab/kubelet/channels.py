"""Kubernetes' channel protocol over a WebSocket, for exec, attach and port-forward.

Each binary message begins with the number of its channel. Version 5 adds one thing: message
``255 N`` closes channel N.
"""

import asyncio
import contextlib
from enum import IntEnum
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
CLOSE = 255
CHUNK = 32 * 1024


class Channel(IntEnum):
    """The channels of exec and attach."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4


class Channels:
    """The server's side of one connection."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, channel: int, data: bytes) -> bool:
        """Send on a channel; False when the client has gone."""
        if self._socket.closed:
            return False
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(bytes([channel]) + data)
            return True
        return False

    async def pump(self, reader: asyncio.StreamReader, channel: int) -> None:
        """Send what a stream brings, until its end."""
        while data := await reader.read(CHUNK):
            if not await self.send(channel, data):
                return

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message's channel and content; None when the client has gone.

        ``(CLOSE, channel)`` closes a channel.
        """
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return message.data[0], bytes(message.data[1:])
        return None

    async def finish(self, status: dict[str, Any]) -> None:
        """Say how it ended, and close."""
        await self.send(Channel.ERROR, msgspec.json.encode(status))
        with contextlib.suppress(ConnectionError):
            await self._socket.close()


async def accept(request: web.Request) -> tuple[web.WebSocketResponse, Channels]:
    """Upgrade a request; raises a 400 that says what is spoken here."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, compress=False, max_msg_size=0)
    if not socket.can_prepare(request).ok:
        raise web.HTTPBadRequest(text=f"only WebSocket is spoken here: {' or '.join(PROTOCOLS)}")
    await socket.prepare(request)
    return socket, Channels(socket)


def success() -> dict[str, Any]:
    """The command ended with 0."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def exited(status: int) -> dict[str, Any]:
    """The command ended with ``status``."""
    if status == 0:
        return success()
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {status}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(status)}]},
    }


def failure(message: str) -> dict[str, Any]:
    """The command could not be run."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "InternalError",
        "message": message,
        "code": 500,
    }
