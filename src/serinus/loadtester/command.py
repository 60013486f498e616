"""Running one command: in its own process group, for a bounded time, with bounded output."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from serinus.loadtester.work import Result

MOST_OUTPUT = 64 * 1024
"""Bytes that are kept of each of stdout and stderr. What follows is read and thrown away, so that
the command never stands still because nobody reads."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments.

    It has ended when its output has ended, as for Flagger's load tester, so a command that leaves
    a talking process behind is waited for. Nothing of its process group outlives it: not after
    the end, not after the timeout, not when this is cancelled.
    """

    arguments: Sequence[str]

    async def run(self, timeout: float) -> Result:
        try:
            process = await _started(self.arguments)
        except FileNotFoundError:
            program = self.arguments[0]
            return Result(error=f"there is no program {program} in this load tester's image")
        except (OSError, ValueError) as refusal:
            return Result(error=f"cannot start {self.arguments[0]}: {refusal}")
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = _Kept(), _Kept()
        error = ""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(output.read(process.stdout), errors.read(process.stderr))
                status = await process.wait()
                error = _error(status)
        except TimeoutError:
            error = f"killed: it ran longer than {timeout:g}s"
        finally:
            await _end(process)
        return Result(output.text(), errors.text(), error)


async def _started(arguments: Sequence[str]) -> asyncio.subprocess.Process:
    # When asyncio is cancelled while it starts a process, it ends that one, but not its group.
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole process group of a leader, and leave no zombie of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    # What the leader has left behind becomes a child of process 1, which in a pod is this one.
    if _adopted(process.pid, os.WNOHANG):
        await asyncio.to_thread(_adopted, process.pid, 0)


def _adopted(group: int, options: int) -> bool:
    """Wait for this process's children of a group; whether some were still running."""
    try:
        while os.waitpid(-group, options)[0]:
            pass
    except ChildProcessError:
        return False
    return True


class _Kept:
    """The beginning of a stream."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._more = 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(MOST_OUTPUT):
            kept = chunk[: MOST_OUTPUT - len(self._bytes)]
            self._bytes += kept
            self._more += len(chunk) - len(kept)

    def text(self) -> str:
        text = self._bytes.decode(errors="replace")
        return f"{text}\n({self._more} bytes more)" if self._more else text


def _error(status: int) -> str:
    if status < 0:
        return f"signal: {signal.Signals(-status).name}"
    return f"exit status {status}" if status else ""
