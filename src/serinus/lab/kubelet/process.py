"""Short-lived commands of this machine, and what they said when they failed."""

import asyncio
import subprocess
from collections.abc import Sequence


class CommandFailed(RuntimeError):
    """A command of the machine ended with another status than 0; the message has its words."""


async def run(argv: Sequence[str], *, given: str = "", env: dict[str, str] | None = None) -> str:
    """Run ``argv`` with ``given`` on its standard input; its standard output.

    Raises `CommandFailed` when it fails, with what it printed.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
    )
    output, _ = await process.communicate(given.encode())
    text = output.decode("utf-8", "replace")
    if process.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)} ended with {process.returncode}: {text.strip()}")
    return text
