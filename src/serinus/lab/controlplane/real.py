"""Kubernetes' own control plane: etcd, kube-apiserver and kube-controller-manager.

They take the place of the embedded API server and of those of our controllers that
kube-controller-manager has; our scheduler and our autoscaler stay.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serinus.lab import components
from serinus.lab.addresses import API_SERVER_PORT, NODE_IP
from serinus.lab.controlplane import commands, files
from serinus.lab.controlplane.plane import Part
from serinus.lab.controlplane.programs import Programs
from serinus.lab.controlplane.relay import relay
from serinus.lab.paths import LabPaths
from serinus.lab.supervision import keep_running

POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Real:
    """The programs of a directory, in the lab's namespaces, with its tokens and keys. ``fd`` is
    the listening socket for people."""

    programs: Programs
    paths: LabPaths
    fd: int

    def servers(self) -> Mapping[str, Part]:
        files.write(self.paths)
        return {"etcd": self._etcd, "API server": self._api_server, "relay": self._relay}

    def controllers(self) -> Mapping[str, Part]:
        return {"controller manager": self._controller_manager, "controllers": self._controllers}

    async def _etcd(self) -> None:
        await self._run(commands.etcd(self.programs, self.paths))

    async def _api_server(self) -> None:
        # It would fill its log with complaints, and wait longer each time.
        await _listening(commands.ETCD_SOCKET)
        await self._run(commands.api_server(self.programs, self.paths))

    async def _controller_manager(self) -> None:
        await self._run(commands.controller_manager(self.programs, self.paths))

    async def _run(self, command: list[str]) -> None:
        name = Path(command[0]).name
        output = self.paths.logs / f"{name}.log"
        await keep_running(name, command, environment=commands.FRUGAL, output=output)

    async def _relay(self) -> None:
        await relay(self.fd, str(NODE_IP), API_SERVER_PORT)

    async def _controllers(self) -> None:
        from serinus.lab.controllers import run_beside_real_ones

        async with components.client_for(components.CONTROLLERS, self.paths) as client:
            await run_beside_real_ones(client)


async def _listening(where: str) -> None:
    """Return when something listens on a Unix socket."""
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(where)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
        else:
            writer.close()
            return
