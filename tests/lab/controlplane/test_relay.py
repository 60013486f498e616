"""Connections through the relay are like direct ones."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from serinus.lab.controlplane.relay import relay

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECONDS = 60.0


@asynccontextmanager
async def relayed(answer: Answer) -> AsyncIterator[int]:
    """A server that is reached through a relay; yields the relay's port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carrying = asyncio.create_task(
            relay(listener.fileno(), *server.sockets[0].getsockname()[:2])
        )
        try:
            async with asyncio.timeout(SECONDS):
                yield listener.getsockname()[1]
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            server.close()


async def test_all_that_is_sent_arrives_and_so_does_the_end() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Only when the other side has ended what it sends does it get an answer.
        writer.write(await reader.read())
        writer.close()

    sent = bytes(range(256)) * 8000
    async with relayed(answer) as port:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent
            writer.close()


async def test_who_hangs_up_is_missed_on_the_other_side() -> None:
    missed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        finally:
            missed.set()
            writer.close()

    async with relayed(answer) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hi")
        await writer.drain()
        writer.transport.abort()
        await missed.wait()


async def test_without_a_server_a_connection_ends_at_once_and_the_next_one_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        nobody = found.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carrying = asyncio.create_task(relay(listener.fileno(), "127.0.0.1", nobody))
        async with asyncio.timeout(SECONDS):
            for _ in range(2):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                assert await reader.read() == b""
                writer.close()
        assert not carrying.done()
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
