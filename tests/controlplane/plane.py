"""Starts a real control plane on loopback, breaks it on request, and ends it."""

import asyncio
import base64
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from controlplane.api import Answer, Api
from controlplane.kubelet import Kubelet
from controlplane.programs import FRUGAL, program
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.lab import pki

Object = dict[str, Any]

PATIENCE = 60.0
"""Seconds that anything may take that a test waits for."""

STOP_SECONDS = 10.0

ADMIN, CONTROLLERS, KUBELET = "admin", "system:kube-controller-manager", "system:node:lab"
MASTERS = "system:masters"

ISSUER = "https://kubernetes.default.svc"

CONTROLLER_NAMES = (
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
)

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

KUBECTL = os.environ.get("SERINUS_TEST_KUBECTL", str(Path(sys.executable).with_name("kubectl")))

# Below the ports that the kernel gives to connections, so that a server which is started again
# finds its port free.
_PORTS = range(20000, 30000)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class ControlPlane:
    """Start with `start` or ``with``; raises `Missing` when the programs have not been built.

    ``root`` takes all files. ``audit`` has the API server write a line per request (`audited`).
    ``users`` are further people with a token each, ``NAME-token``, and their groups; what they may
    do is RBAC's to say. ``controllers`` are those of kube-controller-manager; none, and it is not
    started. ``frugal`` trades CPU for memory in the three programs. More flags go as they are.
    """

    def __init__(
        self,
        root: Path,
        *,
        audit: bool = False,
        users: Mapping[str, Sequence[str]] | None = None,
        controllers: Sequence[str] = CONTROLLER_NAMES,
        kubelet: bool = True,
        frugal: bool = True,
        api_server_flags: Sequence[str] = (),
        controller_flags: Sequence[str] = (),
        etcd_flags: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.port = free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        self.etcd_address = f"http://127.0.0.1:{free_port()}"
        self.keys = pki.Pki(root / "pki")
        self.kubelet: Kubelet | None = None
        self.api_server: subprocess.Popen[bytes] | None = None
        self.etcd: subprocess.Popen[bytes] | None = None
        self.controller_manager: subprocess.Popen[bytes] | None = None
        self._users = {ADMIN: [MASTERS], CONTROLLERS: [MASTERS], KUBELET: [MASTERS]}
        self._users |= {name: list(groups) for name, groups in (users or {}).items()}
        self._audit = root / "audit.log" if audit else None
        self._controllers = tuple(controllers)
        self._plays_kubelet = kubelet
        self._environment = {**os.environ, **(FRUGAL if frugal else {})}
        self._flags = {
            "etcd": tuple(etcd_flags),
            "kube-apiserver": tuple(api_server_flags),
            "kube-controller-manager": tuple(controller_flags),
        }
        self._health = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

    # -- beginning and end ------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the API server is ready, and with it the namespace ``default``."""
        for name in self._flags:
            program(name)
        self.root.mkdir(parents=True, exist_ok=True)
        pki.ensure(self.keys.root)
        self._write_tokens()
        self.start_etcd()
        self.start_apiserver()
        self.kubeconfig = self.write_kubeconfig(ADMIN, f"{ADMIN}-token")
        if self._controllers:
            self.start_controllers()
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self.until(lambda: self.request("GET", account).status == 200)
        if self._plays_kubelet:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._play()))
            self._thread.start()
            self.until(lambda: self.request("GET", "/api/v1/nodes/lab").status == 200)

    def stop(self) -> None:
        """Ends what runs; files stay."""
        if self._thread is not None:
            if self._loop is not None and self._main is not None:
                self._loop.call_soon_threadsafe(self._main.cancel)
            self._thread.join()
            self._thread = None
        if hasattr(self, "api"):
            self.api.close()
        # In this order each still has what it needs for a clean end.
        for running in (self.controller_manager, self.api_server, self.etcd):
            if running is not None:
                _end(running)

    async def _play(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        try:
            async with self.client(KUBELET) as client:
                self.kubelet = Kubelet(client)
                await self.kubelet.run()
        except asyncio.CancelledError:
            return

    # -- the three programs -----------------------------------------------------------------

    def start_etcd(self) -> None:
        peers = f"http://127.0.0.1:{free_port()}"
        self.etcd = self._run(
            "etcd",
            f"--data-dir={self.root / 'etcd'}",
            f"--listen-client-urls={self.etcd_address}",
            f"--advertise-client-urls={self.etcd_address}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        port = int(self.etcd_address.rpartition(":")[2])
        self._until_up("etcd", self.etcd, lambda: _plain(port, "GET", "/health") is not None)

    def start_apiserver(self) -> None:
        """On the port that it has always had, with the certificates that are there now."""
        keys = self.keys
        flags = [
            f"--etcd-servers={self.etcd_address}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            # It would look for a way to the internet to find out its own address.
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={keys.api_server.cert}",
            f"--tls-private-key-file={keys.api_server.key}",
            f"--client-ca-file={keys.ca.cert}",
            f"--token-auth-file={self.root / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={keys.service_account_key}",
            f"--service-account-signing-key-file={keys.service_account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--allow-privileged=true",
            "--profiling=false",
            "--v=1",
        ]
        if self._audit is not None:
            policy = self.root / "audit-policy.yaml"
            policy.write_text(yaml.safe_dump(AUDIT_POLICY))
            flags += [f"--audit-policy-file={policy}", f"--audit-log-path={self._audit}"]
        self.api_server = self._run("kube-apiserver", *flags)
        self.api = Api(self.address, keys.ca.cert, f"{ADMIN}-token")
        self._until_up(
            "kube-apiserver",
            self.api_server,
            lambda: self.request("GET", "/readyz").status == 200,
        )

    def start_controllers(self) -> None:
        config = self.write_kubeconfig(CONTROLLERS, f"{CONTROLLERS}-token", "controllers")
        self._health = free_port()
        self.controller_manager = self._run(
            "kube-controller-manager",
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._health}",
            f"--cert-dir={self.root / 'controllers'}",
            f"--root-ca-file={self.keys.ca.cert}",
            f"--controllers={','.join(self._controllers)}",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--v=1",
        )

    def _run(self, name: str, *flags: str) -> "subprocess.Popen[bytes]":
        with (self.root / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [program(name), *flags, *self._flags[name]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.root,
            )

    def _until_up(
        self, name: str, started: "subprocess.Popen[bytes]", up: Callable[[], bool]
    ) -> None:
        def answers() -> bool:
            if started.poll() is not None:
                end = (self.root / f"{name}.log").read_text()[-4000:]
                raise AssertionError(f"{name} ended with {started.returncode}:\n{end}")
            try:
                return up()
            except (OSError, http.client.HTTPException):
                return False

        self.until(answers)

    # -- faults -----------------------------------------------------------------------------

    def stop_apiserver(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, cleanly or (SIGKILL) not."""
        assert self.api_server is not None
        self.api.close()
        _end(self.api_server, number)

    def kill_apiserver(self) -> None:
        self.stop_apiserver(signal.SIGKILL)

    def restart_apiserver(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and start it again on the same port; returns when it is ready."""
        self.stop_apiserver(number)
        self.start_apiserver()

    def signal_apiserver(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it with all its connections open, SIGCONT has it go on."""
        assert self.api_server is not None
        self.api_server.send_signal(number)

    def renew_certificates(self) -> None:
        """A new authority and new certificates, in use from the next start of the API server.

        Kubeconfigs and tokens written before stay as they are: the key that signs tokens is kept.
        Controllers and kubelet go on with the old authority, so they are cut off.
        """
        shutil.copytree(self.keys.root, self.root / "old-pki", dirs_exist_ok=True)
        kept = self.keys.service_account_key
        for file in self.keys.root.iterdir():
            if file != kept:
                file.unlink()
        pki.ensure(self.keys.root)
        self.kubeconfig = self.write_kubeconfig(ADMIN, f"{ADMIN}-token")

    def compact(self) -> int:
        """Have etcd forget all but the present; returns the revision. A watch or a page from an
        older one is answered by 410, once the API server's own cache does not reach so far."""
        port = int(self.etcd_address.rpartition(":")[2])
        found = _plain(port, "POST", "/v3/kv/range", {"key": base64.b64encode(b"\0").decode()})
        revision = int(found["header"]["revision"])
        _plain(port, "POST", "/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    # -- who may ask ------------------------------------------------------------------------

    def _write_tokens(self) -> None:
        lines = [
            f'{user}-token,{user},{user},"{",".join(groups)}"'
            for user, groups in self._users.items()
        ]
        (self.root / "tokens.csv").write_text("\n".join(lines) + "\n")

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        """A token of a ServiceAccount (600 s at the least, by the API server's rule)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        asked = {"spec": {"expirationSeconds": seconds}}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", **asked}
        return str(self.api.post(path, body)["status"]["token"])

    def write_kubeconfig(
        self,
        user: str,
        token: str | None = None,
        name: str | None = None,
        *,
        token_file: Path | None = None,
        server: str | None = None,
        namespace: str = "default",
    ) -> Path:
        """``ROOT/NAME.kubeconfig`` of someone with a token, or with one in a file that is read
        anew. ``server`` is for a way through a proxy, in clear text then."""
        address = server or self.address
        cluster: Object = {"server": address}
        if address.startswith("https:"):
            authority = self.keys.ca.cert.read_bytes()
            cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
        credentials = {"tokenFile": str(token_file)} if token_file else {"token": token}
        context = {"cluster": "test", "user": user, "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
        }
        path = self.root / f"{(name or user).replace(':', '-')}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    # -- asking -----------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        return self.api.request(method, path, body, token, **headers)

    def client(self, user: str = ADMIN) -> Client:
        """Serinus' own client, as one of the users."""
        ca = self.keys.ca.cert.read_text()
        connection = Connection.with_token(self.address, f"{user}-token", ca_pem=ca)
        return Client(connection, field_manager=user.rpartition(":")[2])

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl printed, errors included; fails the test when it failed."""
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            env={"HOME": str(self.root), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}"
        return done.stdout

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

    def until(self, holds: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until ``holds`` says yes; fails the test when it never does."""
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end, f"waited {patience} s in vain"
            time.sleep(0.03)

    # -- counting ---------------------------------------------------------------------------

    def audited(self, since: int = 0) -> list[Object]:
        """What the API server has written down of each request, from byte ``since`` on."""
        assert self._audit is not None, "start the control plane with audit=True"
        with self._audit.open("rb") as file:
            file.seek(since)
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    @property
    def audit_size(self) -> int:
        """How many bytes have been written down so far: the ``since`` of a later `audited`."""
        assert self._audit is not None, "start the control plane with audit=True"
        return self._audit.stat().st_size

    def counted(self, user: str, since: int = 0) -> Counter[tuple[str, str]]:
        """How often ``user`` did what: (verb, resource), subresources as ``canaries/status``.

        A watch is written down when it begins and when it ends; it counts once, at its beginning.
        """
        found: Counter[tuple[str, str]] = Counter()
        for event in self.audited(since):
            if event["user"].get("username") != user:
                continue
            if event["verb"] == "watch" and event["stage"] != "ResponseStarted":
                continue
            about = event.get("objectRef") or {"resource": event["requestURI"]}
            name = about.get("resource", "")
            if about.get("subresource"):
                name += f"/{about['subresource']}"
            found[event["verb"], name] += 1
        return found


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _plain(port: int, method: str, path: str, body: Object | None = None) -> Any:
    """What etcd says; None when it says no."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        content = response.read()
        return json.loads(content) if response.status == 200 else None
    finally:
        connection.close()
