"""Programs of the lab that have a process of their own: kept running, and ended with the lab."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

STOP_SECONDS: Final = 2.0
"""How long a program has to end by itself; what is left then ends with the namespaces."""

AGAIN_SECONDS: Final = 0.5

LAST_BYTES: Final = 1500
"""How much of its output is told of a program that ended."""

log = structlog.get_logger(__name__)


async def keep_running(
    name: str,
    command: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> None:
    """Run a program for ever, whenever it ends anew; when cancelled, end it.

    ``environment`` is what it has beyond this process' own. What it prints goes to the file
    ``output``, or where this process prints.
    """
    while True:
        with contextlib.ExitStack() as stack:
            printed = stack.enter_context(output.open("ab")) if output else None
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=pass_fds,
                env={**os.environ, **(environment or {})},
            )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        log.error(
            "a program of the lab ended and is started again",
            program=name,
            status=status,
            **({"last_words": _last_words(output)} if output else {}),
        )
        await asyncio.sleep(AGAIN_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError, ProcessLookupError):
        process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()


def _last_words(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - LAST_BYTES))
        return file.read().decode(errors="replace").strip()
