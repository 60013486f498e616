"""Bytes between a listening socket of the machine and a server in the lab's network.

kube-apiserver cannot be given a socket that is open already, and one that it opens is in the
lab's network, where nobody outside reaches it.
"""

import asyncio
import socket
from typing import Final

CHUNK: Final = 64 * 1024


async def relay(fd: int, host: str, port: int) -> None:
    """Carry every connection that ``fd`` accepts to ``host:port``, until cancelled.

    While nobody answers there, a connection is closed at once. ``fd`` itself stays open.
    """
    loop = asyncio.get_running_loop()
    with socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as group:
            while True:
                accepted, _ = await loop.sock_accept(listener)
                group.create_task(_carry(accepted, host, port))


async def _carry(accepted: socket.socket, host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(sock=accepted)
    try:
        inner_reader, inner_writer = await asyncio.open_connection(host, port)
    except OSError:
        writer.close()
        return
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, inner_writer))
            group.create_task(_pump(inner_reader, writer))
    finally:
        inner_writer.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, to its end, which is passed on too."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side hung up in the midst: the other one is to see it, too.
        writer.transport.abort()
