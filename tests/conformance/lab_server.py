"""The lab's API server as a process, with the controllers that deletions need and no more
(Deployments and Pods stay as they are written), or with all of them and a kubelet that plays."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from controlplane.api import Answer, Api
from controlplane.kubelet import Kubelet
from controlplane.plane import KUBECTL
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.lab import pki
from serinus.lab.apiserver.access.tokens import MASTERS, write_tokens
from serinus.lab.controllers import run_controllers
from serinus.lab.controllers.garbage import GarbageCollector
from serinus.lab.controllers.inventory import Inventory
from serinus.lab.controllers.namespace import NamespaceController
from serinus.lab.controllers.serviceaccount import NamespaceContents
from serinus.lab.controllers.view import View
from serinus.lab.paths import LabPaths

ADMIN, CONTROLLERS = "admin-token", "controllers-token"
PATIENCE = 60.0


class LabServer:
    """Use with ``with``. ``lively``: with all controllers, and pods that are played."""

    def __init__(self, root: Path, *, lively: bool = False) -> None:
        self._paths = LabPaths(root)
        self._lively = lively
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._control()))

    def __enter__(self) -> Self:
        keys = pki.ensure(self._paths.pki)
        users: dict[str, tuple[str, tuple[str, ...]]] = {
            ADMIN: ("admin", (MASTERS,)),
            CONTROLLERS: ("system:kube-controller-manager", (MASTERS,)),
            "bob-token": ("bob", ()),
        }
        write_tokens(self._paths.tokens, users)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        self._log = self._paths.root / "apiserver.log"
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "serinus.lab.apiserver"]
            self._process = subprocess.Popen(
                [*command, "--root", str(self._paths.root), "--fd", str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stderr=log,
            )
        listener.close()
        self._api = Api(self.address, keys.ca.cert, ADMIN)
        pki.write_kubeconfig(
            self._paths.kubeconfig, "conformance", self.address, keys.ca.cert, ADMIN
        )
        try:
            self._until_served("/readyz")
            self._thread.start()
            self._until_served("/api/v1/namespaces/default/serviceaccounts/default")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread.ident is not None:
            self._thread.join()
        self._api.close()
        self._process.terminate()
        self._process.wait(10)

    def _until_served(self, path: str) -> None:
        end = time.monotonic() + PATIENCE
        while self.request("GET", path).status != 200:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, f"waited {PATIENCE} s in vain for {path}"
            time.sleep(0.03)

    async def _control(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        authority = pki.Pki(self._paths.pki).ca.cert.read_text()
        connection = Connection.with_token(self.address, CONTROLLERS, ca_pem=authority)
        try:
            async with Client(connection, field_manager="controllers") as client:
                if self._lively:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(Kubelet(client).run())
                        group.create_task(run_controllers(client, ca_pem=authority))
                else:
                    await _for_deletions(client, authority)
        except asyncio.CancelledError:
            return

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        return self._api.request(method, path, body, token, **headers)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", str(self._paths.kubeconfig), *arguments],
            input=stdin,
            env={"HOME": str(self._paths.root), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}"
        return done.stdout


async def _for_deletions(client: Client, authority: str) -> None:
    view = View(client)
    inventory = Inventory(view)
    parts = (
        NamespaceContents(view, authority),
        GarbageCollector(view, inventory),
        NamespaceController(view, inventory),
        inventory,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(view.run())
        await view.synced()
        for part in parts:
            group.create_task(part.run())
