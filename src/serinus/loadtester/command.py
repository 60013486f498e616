"""Running one command: in its own process group, for a bounded time, with bounded output."""

import asyncio
import os
import signal
from dataclasses import dataclass

MOST_OUTPUT = 64 * 1024
"""Bytes that are kept of each of stdout and stderr. What follows is read and thrown away, so that
the command never stands still because nobody reads."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended; ``error`` is empty when it ended well."""

    output: str
    errors: str
    error: str

    @property
    def words(self) -> str:
        """Everything it said."""
        return "\n".join(part for part in (self.output.strip(), self.errors.strip()) if part)


async def run(shell: str, text: str, timeout: float) -> Result:
    """Run ``text`` by ``shell`` (`sh` or `bash`) for ``timeout`` seconds at most.

    It has ended when its output has ended, as for Flagger's load tester, so a command that leaves
    a talking process behind is waited for. Nothing of its process group outlives it: not after
    the end, not after the timeout, not when this is cancelled. Raises OSError when the shell
    cannot be started.
    """
    process = await _started(shell, text)
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
        _kill_group(process.pid)
        await process.wait()
    return Result(output.text(), errors.text(), error)


async def _started(shell: str, text: str) -> asyncio.subprocess.Process:
    # When asyncio is cancelled while it starts a process, it ends that one, but not its group.
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            shell,
            "-c",
            text,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        _kill_group(process.pid)
        await process.wait()
        raise


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


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
