"""Programs run in a container for a person: with pipes, or with a terminal."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Coroutine
from dataclasses import dataclass

import msgspec

from serinus.lab.kubelet.channels import CLOSE, Channel, Channels, exited, failure
from serinus.lab.kubelet.sandbox import Running, StartFailed, abandon


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What ``kubectl exec`` asks for."""

    command: list[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class _Size(msgspec.Struct, rename="pascal"):
    width: int
    height: int


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
    master, slave = pty.openpty()
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
                await loop.run_in_executor(None, os.write, master, data)
            elif channel == Channel.RESIZE:
                with contextlib.suppress(msgspec.MsgspecError):
                    size = msgspec.json.decode(data, type=_Size)
                    packed = struct.pack("HHHH", size.height, size.width, 0, 0)
                    fcntl.ioctl(master, termios.TIOCSWINSZ, packed)

    try:
        await _until_either(process, asyncio.create_task(work()), listen(), channels)
    finally:
        transport.close()
        os.close(master)


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
