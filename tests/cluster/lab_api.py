"""The lab's API server as a process: with an administrator, and with bob, who has no rights."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import Unreachable
from serinus.cluster.kinds import NAMESPACES, SECRETS
from serinus.lab import pki
from serinus.lab.apiserver.access.tokens import write_tokens
from serinus.lab.paths import LabPaths


class LabApi:
    """``client`` is the administrator's, ``bob`` the other one's."""

    def __init__(self, client: Client, bob: Client) -> None:
        self.client = client
        self.bob = bob

    async def namespace(self, name: str) -> str:
        await self.client.create(NAMESPACES, None, {"metadata": {"name": name}})
        return name

    async def secret(self, namespace: str, name: str, **values: str) -> None:
        body: dict[str, Any] = {"metadata": {"name": name}, "stringData": values}
        await self.client.create(SECRETS, namespace, body)

    async def rotate(self, namespace: str, name: str, **values: str) -> None:
        await self.client.patch(SECRETS, namespace, name, {"stringData": values})


@contextlib.asynccontextmanager
async def lab_api(directory: Path) -> AsyncIterator[LabApi]:
    paths = LabPaths(directory)
    pki.ensure(paths.pki)
    write_tokens(paths.tokens, {"secret": ("admin", ["system:masters"]), "bob": ("bob", [])})
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with (directory / "apiserver.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "serinus.lab.apiserver", "--root", str(paths.root)),
            *("--fd", str(listener.fileno())),
            pass_fds=[listener.fileno()],
            stderr=log,
        )
    listener.close()
    ca = str(pki.Pki(paths.pki).ca.cert)
    try:
        async with (
            Client(Connection.with_token(address, "secret", ca_file=ca)) as client,
            Client(Connection.with_token(address, "bob", ca_file=ca)) as bob,
        ):
            async with asyncio.timeout(60):
                while not await _ready(client):  # noqa: ASYNC110 (it can only be polled)
                    await asyncio.sleep(0.05)
            yield LabApi(client, bob)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(client: Client) -> bool:
    try:
        await client.request("GET", "/readyz")
    except Unreachable:
        return False
    return True
