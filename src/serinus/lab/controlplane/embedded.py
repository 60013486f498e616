"""The control plane that needs nothing but this package: an API server and controllers in Python.

The API server is a process of its own, the controllers run in the node's.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from serinus.lab import components, pki
from serinus.lab.addresses import API_SERVER_PORT, NODE_IP
from serinus.lab.controlplane.plane import Part
from serinus.lab.paths import LabPaths
from serinus.lab.supervision import keep_running


@dataclass(frozen=True, slots=True)
class Embedded:
    """Our own. ``fd`` is the listening socket for people."""

    paths: LabPaths
    fd: int

    def servers(self) -> Mapping[str, Part]:
        return {"API server": self._api_server}

    def controllers(self) -> Mapping[str, Part]:
        return {"controllers": self._controllers}

    async def _api_server(self) -> None:
        command = [sys.executable, "-m", "serinus.lab.apiserver", "--root", str(self.paths.root)]
        command += ["--fd", str(self.fd), "--listen", f"{NODE_IP}:{API_SERVER_PORT}"]
        await keep_running("API server", command, pass_fds=[self.fd])

    async def _controllers(self) -> None:
        # Read while the API server starts.
        from serinus.lab.controllers import run_controllers

        authority = pki.Pki(self.paths.pki).ca.cert.read_text()
        async with components.client_for(components.CONTROLLERS, self.paths) as client:
            await run_controllers(client, ca_pem=authority)
