"""Carrying TCP connections into pods, over the API server's WebSocket.

The protocol is that of `pods/portforward` with ``*.channel.k8s.io``: each message begins with its
channel's number, 0 for data and 1 for errors of the first port; on both, the first message from
the server is the port's number and nothing else. In version 5 the message ``255 0`` closes
channel 0.
"""

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp

from serinus.cli.destination import Destination, DestinationError, Target, find
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import ApiError, Unreachable
from serinus.cluster.kinds import PODS
from serinus.cluster.kubeconfig import from_kubeconfig

HALF_CLOSING = "v5.channel.k8s.io"
PROTOCOLS = (HALF_CLOSING, "v4.channel.k8s.io")
DATA = 0
CHUNK = 32 * 1024

Tell = Callable[[str], None]


async def serve(kubeconfig: str, target: Target, remote: str, local: int, tell: Tell) -> None:
    """Listen on 127.0.0.1 until cancelled. ``tell`` is told the address, and what goes wrong with
    single connections.

    Raises OSError when the port cannot be had, and what `find` and `from_kubeconfig` raise.
    """
    connection = await from_kubeconfig(kubeconfig)
    async with Client(connection) as client, aiohttp.ClientSession() as session:
        await find(client, target, remote)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                destination = await find(client, target, remote)
                await carry(session, connection, destination, reader, writer)
            except (ApiError, Unreachable, DestinationError) as error:
                tell(f"connection lost: {error}")
            except (aiohttp.ClientError, ConnectionError) as error:
                tell(f"connection lost: {error or type(error).__name__}")
            finally:
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", local)
        port = server.sockets[0].getsockname()[1]
        tell(f"Forwarding from 127.0.0.1:{port} to port {remote} of {target}")
        async with server:
            await server.serve_forever()


async def carry(
    session: aiohttp.ClientSession,
    connection: Connection,
    destination: Destination,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Carry one connection to its end; `DestinationError` has the pod's side's words."""
    path = PODS.path(destination.namespace, destination.pod, "portforward")
    async with session.ws_connect(
        connection.server + path,
        params={"ports": str(destination.port)},
        headers=await connection.headers(),
        ssl=connection.ssl or True,
        protocols=PROTOCOLS,
        max_msg_size=0,
    ) as socket:
        there = asyncio.create_task(_send(reader, socket))
        try:
            await _receive(socket, writer)
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)


async def _send(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    try:
        while data := await reader.read(CHUNK):
            await socket.send_bytes(bytes([DATA]) + data)
    except ConnectionError:
        await socket.close()
        return
    if socket.protocol == HALF_CLOSING:
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(bytes([255, DATA]))


async def _receive(socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    opened: set[int] = set()
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel in (DATA, DATA + 1) and channel not in opened:
            opened.add(channel)
        elif channel == DATA:
            writer.write(data)
            await writer.drain()
        else:
            raise DestinationError(data.decode(errors="replace"))
