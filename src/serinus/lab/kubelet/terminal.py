"""Programs run in a container for a person: with pipes, or with a terminal."""

import asyncio
import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from serinus.lab.kubelet.channels import CLOSE, Channel, Channels, exited, failure, success
from serinus.lab.kubelet.console import Console, resize, write_all
from serinus.lab.kubelet.sandbox import Running, StartFailed, abandon

_UNLOCK, _NUMBER = 0x40045431, 0x80045430
"""TIOCSPTLCK and TIOCGPTN of ioctl_tty(2), which Python's `termios` does not name."""

_CHANNELS = {"stdout": Channel.STDOUT, "stderr": Channel.STDERR}


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What ``kubectl exec`` asks for."""

    command: list[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


async def run(running: Running, request: ExecRequest, channels: Channels) -> None:
    """Run the command, its streams on the channels, and say how it ended.

    When the client goes away, so does the command.
    """
    try:
        if request.tty:
            await _with_terminal(running, request, channels)
        else:
            await _with_pipes(running, request, channels)
    except StartFailed as error:
        await channels.finish(failure(str(error)))


async def attach(console: Console, channels: Channels, *, stdin: bool) -> None:
    """Show what the container prints from now on; with ``stdin``, let the client type."""
    pieces = console.log.listen()

    async def show() -> None:
        while (piece := await pieces.get()) is not None:
            stream, data = piece
            if not await channels.send(_CHANNELS[stream], data):
                return
        await channels.finish(success())

    async def listen() -> None:
        while (message := await channels.receive()) is not None:
            channel, data = message
            if channel == Channel.RESIZE:
                console.resize(data)
            elif channel == Channel.STDIN and data and stdin:
                await console.type(data)
            elif channel == Channel.STDIN or (channel, data) == (CLOSE, bytes([Channel.STDIN])):
                console.client_ended_input()

    tasks = [asyncio.create_task(show()), asyncio.create_task(listen())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        console.log.unlisten(pieces)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if stdin:
            console.client_ended_input()


async def _with_pipes(running: Running, request: ExecRequest, channels: Channels) -> None:
    process = await running.enter(
        request.command,
        stdin=subprocess.PIPE if request.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE if request.stdout else subprocess.DEVNULL,
        stderr=subprocess.PIPE if request.stderr else subprocess.DEVNULL,
    )

    async def work() -> int:
        pumps = []
        if process.stdout:
            pumps.append(channels.pump(process.stdout, Channel.STDOUT))
        if process.stderr:
            pumps.append(channels.pump(process.stderr, Channel.STDERR))
        await asyncio.gather(*pumps)
        return await process.wait()

    async def listen() -> None:
        while (message := await channels.receive()) is not None:
            channel, data = message
            if process.stdin is None:
                continue
            if channel == Channel.STDIN and data:
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(data)
                    await process.stdin.drain()
            elif channel == Channel.STDIN or (channel, data) == (CLOSE, bytes([Channel.STDIN])):
                process.stdin.close()

    await _until_either(process, asyncio.create_task(work()), listen(), channels)


async def _with_terminal(running: Running, request: ExecRequest, channels: Channels) -> None:
    master, slave = _open_terminal(running)
    try:
        process = await running.enter(
            request.command, stdin=slave, stdout=slave, stderr=slave, terminal=True
        )
    except StartFailed:
        os.close(master)
        raise
    finally:
        os.close(slave)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(master), "rb", 0)
    )

    async def work() -> int:
        # A terminal whose other side is closed answers EIO instead of an end.
        with contextlib.suppress(OSError):
            await channels.pump(reader, Channel.STDOUT)
        return await process.wait()

    async def listen() -> None:
        while (message := await channels.receive()) is not None:
            channel, data = message
            if channel == Channel.STDIN and data:
                await write_all(master, data)
            elif channel == Channel.RESIZE:
                resize(master, data)

    try:
        await _until_either(process, asyncio.create_task(work()), listen(), channels)
    finally:
        transport.close()
        os.close(master)


def _open_terminal(running: Running) -> tuple[int, int]:
    """A terminal among the container's own devices, so that programs there find its name."""
    devices = Path(f"/proc/{running.inner}/root/dev/pts")
    try:
        master = os.open(devices / "ptmx", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise StartFailed(f"cannot open a terminal in the container: {error}") from None
    fcntl.ioctl(master, _UNLOCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _NUMBER, struct.pack("i", 0)))
    return master, os.open(devices / str(number), os.O_RDWR | os.O_NOCTTY)


async def _until_either(
    process: asyncio.subprocess.Process,
    working: asyncio.Task[int],
    listening: Coroutine[object, object, None],
    channels: Channels,
) -> None:
    listener = asyncio.create_task(listening)
    try:
        await asyncio.wait({working, listener}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            status = working.result()
            await channels.finish(exited(128 - status if status < 0 else status))
    finally:
        for task in (working, listener):
            task.cancel()
        await asyncio.gather(working, listener, return_exceptions=True)
        if process.returncode is None:
            await abandon(process)
