"""The real server as a process, and the real kubectl in front of it.

``SERINUS_TEST_KUBECTL`` names another kubectl to test with.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from serinus.lab import pki
from serinus.lab.apiserver.access.tokens import write_tokens
from serinus.lab.paths import LabPaths

KUBECTL = os.environ.get("SERINUS_TEST_KUBECTL", str(Path(sys.executable).with_name("kubectl")))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line]


@dataclass
class ApiServer:
    """One server process over one state directory; it can be stopped and started again."""

    paths: LabPaths
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    idle: list[http.client.HTTPSConnection] = field(default_factory=list)

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        log = (self.paths.root / "log").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "serinus.lab.apiserver"),
                *("--root", str(self.paths.root), "--fd", str(listener.fileno())),
            ],
            pass_fds=[listener.fileno()],
            stderr=log,
        )
        listener.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                assert self.request("GET", "/readyz").body == b"ok"
                break
            except OSError:
                assert self.process.poll() is None, (self.paths.root / "log").read_text()
                assert time.monotonic() < deadline
        for user in ("admin", "bob"):
            pki.write_kubeconfig(
                self.kubeconfig(user),
                "test",
                f"https://127.0.0.1:{self.port}",
                self.paths.pki / "ca.crt",
                f"{user}-token",
            )

    def kubeconfig(self, user: str) -> Path:
        return self.paths.root / f"{user}.kubeconfig"

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        for connection in self.idle:
            connection.close()
        self.idle.clear()
        self.process.send_signal(number)
        code = self.process.wait(10)
        assert code == (0 if number == signal.SIGTERM else -number)

    def request(
        self, method: str, path: str, body: Any = None, user: str = "admin", **headers: str
    ) -> Answer:
        sent = {"Authorization": f"Bearer {user}-token", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = self.idle.pop() if self.idle else self._connect()
        connection.request(method, path, content, sent)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.headers), response.read())
        self.idle.append(connection)
        return answer

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)

    def environment(self, user: str = "admin") -> dict[str, str]:
        home = str(self.paths.root)
        return {"HOME": home, "PATH": os.environ["PATH"], "KUBECONFIG": str(self.kubeconfig(user))}

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        user: str = "admin",
        fails: bool = False,
        env: dict[str, str] | None = None,
    ) -> str:
        """What kubectl says, stdout and stderr together."""
        done = subprocess.run(
            [KUBECTL, *arguments],
            input=stdin,
            env=self.environment(user) | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"kubectl {arguments}: {done.stdout}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any] | str, flags: tuple[str, ...] = ()) -> str:
        text = "\n---\n".join(
            one if isinstance(one, str) else yaml.safe_dump(one) for one in objects
        )
        return self.kubectl("apply", *flags, "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    paths = LabPaths(tmp_path_factory.mktemp("lab"))
    masters = ("system:masters",)
    write_tokens(paths.tokens, {"admin-token": ("admin", masters), "bob-token": ("bob", ())})
    running = ApiServer(paths)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def namespace(server: ApiServer, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, with its ServiceAccount (a controller makes it in the lab)."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].lower()
    for path, kind in (
        ("/api/v1/namespaces", "Namespace"),
        (f"/api/v1/namespaces/{name}/serviceaccounts", "ServiceAccount"),
    ):
        obj = {"apiVersion": "v1", "kind": kind, "metadata": {}}
        obj["metadata"] = {"name": name if kind == "Namespace" else "default"}
        assert server.request("POST", path, obj).status == 201
    return name
