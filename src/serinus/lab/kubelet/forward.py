"""Port forwarding into a pod: to 127.0.0.1 as the pod sees it, so past any sidecar."""

import asyncio
import contextlib

from serinus.lab.kubelet.channels import CHUNK, CLOSE, Channels
from serinus.lab.kubelet.network import PodNetwork, socket_in

CONNECT_SECONDS = 10.0


async def forward(network: PodNetwork, ports: list[int], channels: Channels) -> None:
    """Connect each port; channels 2N and 2N+1 are the data and the errors of the N-th.

    Each channel's first message is its port (two bytes, little-endian). Ends when all connections
    have, or the client goes.
    """
    writers: dict[int, asyncio.StreamWriter] = {}
    pumps: set[asyncio.Task[None]] = set()
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await channels.send(channel, port.to_bytes(2, "little"))
        try:
            reader, writers[2 * index] = await _connect(network, port)
        except OSError as error:
            words = error.strerror or error
            message = f"cannot reach port {port} of the pod: {words}"
            await channels.send(2 * index + 1, message.encode())
            continue
        pumps.add(asyncio.create_task(channels.pump(reader, 2 * index)))
    listener = asyncio.create_task(_listen(channels, writers))
    try:
        while pumps and not listener.done():
            _, pumps = await asyncio.wait({listener, *pumps}, return_when=asyncio.FIRST_COMPLETED)
            pumps.discard(listener)
    finally:
        for task in (listener, *pumps):
            task.cancel()
        await asyncio.gather(listener, *pumps, return_exceptions=True)
        for writer in writers.values():
            writer.close()


async def _connect(
    network: PodNetwork, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    last = OSError(f"nothing listens on 127.0.0.1 or {network.address}")
    for host in ("127.0.0.1", str(network.address)):
        made = socket_in(network)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(made, (host, port))
        except OSError as error:
            made.close()
            last = error
            continue
        return await asyncio.open_connection(sock=made, limit=CHUNK)
    raise last


async def _listen(channels: Channels, writers: dict[int, asyncio.StreamWriter]) -> None:
    while (message := await channels.receive()) is not None:
        channel, data = message
        if channel == CLOSE and data and data[0] in writers:
            writer = writers[data[0]]
            if writer.can_write_eof():
                writer.write_eof()
        elif channel in writers:
            with contextlib.suppress(ConnectionError):
                writers[channel].write(data)
                await writers[channel].drain()
