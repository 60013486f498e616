"""A real API server, the real controllers, and a kubelet that only says what pods do.

The API server is a process of its own; controllers and kubelet run in a thread, so that tests can
run kubectl and wait for it like a person does.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import ApiError, Conflict, NotFound, Unreachable
from serinus.cluster.kinds import NODES, PODS
from serinus.lab import pki
from serinus.lab.apiserver.access.tokens import MASTERS, write_tokens
from serinus.lab.controllers import run_controllers
from serinus.lab.paths import LabPaths

REPOSITORY = Path(__file__).parents[3]
PATIENCE = 60.0
TOKEN = "play"

Object = dict[str, Any]


class Kubelet:
    """Marks pods as their image's tag says: ``ready``, ``unready``, ``succeeds``, ``fails``.

    ``cpu`` is what each pod is said to use, in nanocores.
    """

    def __init__(self, client: Client) -> None:
        self.cpu = 0
        self.summaries = 0
        self._client = client
        self._pods: Cache[Object] = Cache(client, PODS, msgspec.json.decode)
        self._due: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._last_ip = 0
        self._pods.subscribe(self._changed)

    def _changed(self, change: Change[Object]) -> None:
        if change.new is not None:
            self._due.put_nowait(change.key)

    async def run(self, keys: pki.Pki) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(keys.kubelet.cert, keys.kubelet.key)
        app = web.Application()
        app.router.add_get("/stats/summary", self._summary)
        runner = web.AppRunner(app)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener, ssl_context=tls).start()
        await self._register(listener.getsockname()[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run())
            while True:
                key = await self._due.get()
                pod = self._pods.get(*key)
                if pod is not None and pod["spec"].get("nodeName") == "lab":
                    try:
                        await self._play(pod)
                    except (ApiError, Unreachable):
                        # Tests kill the API server, and start it anew.
                        group.create_task(self._later(key))

    async def _later(self, key: tuple[str, str]) -> None:
        await asyncio.sleep(0.1)
        self._due.put_nowait(key)

    async def _register(self, port: int) -> None:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "lab"}}
        await self._client.create(NODES, None, node)
        await self._client.patch(NODES, None, "lab", {"status": status}, subresource="status")

    async def _play(self, pod: Object) -> None:
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        tag = pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        try:
            if metadata.get("deletionTimestamp"):
                await self._client.delete(PODS, namespace, name, grace_period_seconds=0)
            elif (pod.get("status") or {}).get("phase") in (None, "Pending"):
                body = {"status": self._status(pod, tag)}
                await self._client.patch(PODS, namespace, name, body, subresource="status")
        except (NotFound, Conflict):
            return

    def _status(self, pod: Object, tag: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._last_ip += 1
        ready = tag not in ("unready", "succeeds", "fails")
        phase = {"succeeds": "Succeeded", "fails": "Failed"}.get(tag, "Running")
        return {
            "phase": phase,
            "podIP": f"10.244.1.{self._last_ip % 250 + 1}",
            "conditions": [
                {"type": "Ready", "status": str(ready), "lastTransitionTime": now},
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }

    async def _summary(self, _request: web.Request) -> web.Response:
        self.summaries += 1
        pods = [
            {
                "podRef": {key: pod["metadata"][key] for key in ("name", "namespace", "uid")},
                "containers": [{"name": "app", "cpu": {"usageNanoCores": self.cpu}}],
            }
            for pod in self._pods.values()
        ]
        return web.json_response({"pods": pods})


class Cluster:
    """Start with `start`, end with `stop`."""

    def __init__(self, root: Path) -> None:
        self._paths = LabPaths(root)
        self._server: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self.kubelet: Kubelet | None = None

    def start(self) -> None:
        keys = pki.ensure(self._paths.pki)
        write_tokens(self._paths.tokens, {TOKEN: ("admin", (MASTERS,))})
        listener = socket.create_server(("127.0.0.1", 0))
        self._address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        log = (self._paths.root / "apiserver.log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "serinus.lab.apiserver", "--root", str(self._paths.root),
             "--fd", str(listener.fileno())],
            pass_fds=[listener.fileno()], stderr=log,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        )  # fmt: skip
        listener.close()
        pki.write_kubeconfig(self._paths.kubeconfig, "play", self._address, keys.ca.cert, TOKEN)
        self._thread.start()
        self.until(self._has_begun)

    def _has_begun(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._paths.root / "apiserver.log").read_text()
        return "default" in self.kubectl("get", "serviceaccounts", check=False)

    def stop(self) -> None:
        if self._thread.is_alive() and self._loop is not None and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        if self._server is not None:
            self._server.terminate()
            self._server.wait()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        keys = pki.Pki(self._paths.pki)
        ca = keys.ca.cert.read_text()
        connection = Connection.with_token(self._address, TOKEN, ca_pem=ca)
        try:
            async with Client(connection, field_manager="play") as client:
                while True:
                    try:
                        await client.request("GET", "/readyz", timeout=5)
                        break
                    except (ApiError, Unreachable):
                        await asyncio.sleep(0.05)
                self.kubelet = Kubelet(client)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.kubelet.run(keys))
                    group.create_task(run_controllers(client, ca_pem=ca, autoscaler_period=0.5))
        except asyncio.CancelledError:
            return

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl printed, errors included; fails the test when it failed."""
        result = subprocess.run(
            [REPOSITORY / ".venv/bin/kubectl", "--kubeconfig", self._paths.kubeconfig, *arguments],
            input=stdin, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        printed = result.stdout + result.stderr
        assert not check or result.returncode == 0, f"kubectl {' '.join(arguments)}: {printed}"
        return printed

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """One object; {} when it is not there."""
        printed = self.kubectl(
            "get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found"
        )
        found: Object = json.loads(printed or "{}")
        return found

    def all(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        listed = self.kubectl("get", kind, "-n", namespace, "-l", selector, "-o", "json")
        items: list[Object] = json.loads(listed)["items"]
        return items

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until ``holds`` says yes; fails the test when it never does."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"waited {PATIENCE} s in vain"
            time.sleep(0.05)


def deployment(name: str, tag: str = "v1", **spec: Any) -> Object:
    """A Deployment of one container whose image's tag tells the kubelet what to play."""
    container = {"name": "app", "image": f"play:{tag}", "resources": {"requests": {"cpu": "100m"}}}
    container["ports"] = [{"name": "http", "containerPort": 9898}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container]},
            },
            **spec,
        },
    }
