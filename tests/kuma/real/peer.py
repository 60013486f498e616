"""A real Kuma control plane on a real kube-apiserver, installed as its own chart says.

Everything listens on loopback. What the chart prints is applied as it is, RBAC included: kuma-cp
runs as its own ServiceAccount, and its Deployment is there for who looks for it. Changed is only
what a process beside the cluster needs: the webhooks' address, and where files and ports are.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from controlplane import ControlPlane, Missing, program
from controlplane.plane import STOP_SECONDS, free_port
from serinus.lab.mesh.defaults import namespaces
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_7

Object = dict[str, Any]

RELEASES = {"1.8.1": V1_8, "2.7.20": V2_7}
"""Those that are built, and which of the lab's each is held beside."""

BUILD = "tests/kuma/real/build"
BUILT = Path(__file__).parents[3] / ".setup" / "kuma"

_MOUNTED = "/var/run/secrets/kuma.io/tls-cert"
_PORTS = {
    "KUMA_API_SERVER_HTTP_PORT": "api",
    "KUMA_API_SERVER_HTTPS_PORT": "api over TLS",
    "KUMA_DIAGNOSTICS_SERVER_PORT": "diagnostics",
    "KUMA_DP_SERVER_PORT": "data planes",
    "KUMA_INTER_CP_SERVER_PORT": "other control planes",
    "KUMA_MONITORING_ASSIGNMENT_SERVER_PORT": "Prometheus",
    "KUMA_RUNTIME_KUBERNETES_ADMISSION_SERVER_PORT": "webhooks",
}
_INTERFACES = (
    "KUMA_API_SERVER_HTTP_INTERFACE",
    "KUMA_API_SERVER_HTTPS_INTERFACE",
    "KUMA_RUNTIME_KUBERNETES_ADMISSION_SERVER_ADDRESS",
)
_READY_SECONDS = 60.0

_MOUNTS = (
    "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && "
    f"echo -n {SYSTEM_NAMESPACE} > /run/secrets/kubernetes.io/serviceaccount/namespace && "
    'exec "$@"'
)
_IN_A_POD = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", _MOUNTS, "sh")
"""Kuma 1.8 finds out its namespace from the file that every pod has."""


class Refused(Exception):
    """The API server did not take an object; ``reason`` and the message are its Status'."""

    def __init__(self, status: Object) -> None:
        super().__init__(status.get("message", ""))
        self.reason = str(status.get("reason", ""))
        self.code = int(status.get("code", 0))


class RealKuma:
    """Start with ``with``; raises `Missing` when the programs have not been built."""

    def __init__(self, root: Path, release: str) -> None:
        self.root = root
        self.release = release
        self.lab = RELEASES[release]
        self._built = BUILT / release
        self.plane = ControlPlane(root / "plane")
        self.ports = {what: free_port() for what in _PORTS.values()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not os.access(self._built / "kuma-cp", os.X_OK):
            raise Missing(f"kuma-cp has not been built: run `make test-kuma`, or {BUILD} alone")
        try:
            self.plane.start()
            self._install()
            self._run()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.plane.stop()

    # -- installing -------------------------------------------------------------------------

    def _install(self) -> None:
        plane = self.plane
        for folder in ("crds", "gateway-api"):
            plane.kubectl("create", "-f", str(self._built / folder))
        plane.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
        plane.apply(*namespaces())
        chart = self._chart()
        plane.apply(*chart)
        self._environment = self._of_the_deployment(chart)

    def _chart(self) -> list[Object]:
        """What the chart installs, without the hooks that come before and after."""
        chart = self._built / "chart"
        command = [program("helm"), "template", "kuma", chart, "-n", SYSTEM_NAMESPACE]
        # A module's chart is of no release, and lets each image be told, but not all at once.
        images = ("controlPlane.image", "dataPlane.image", "dataPlane.initImage")
        tags = [f"--set-string={image}.tag={self.release}" for image in images]
        told = subprocess.run([*command, *tags], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        found = [one for one in yaml.safe_load_all(told.stdout) if one]
        found = [one for one in found if not _is_hook(one)]
        for one in found:
            for webhook in one.get("webhooks", ()):
                self._lead_here(webhook["clientConfig"])
        return found

    def _lead_here(self, config: Object) -> None:
        path = config.pop("service")["path"]
        config["url"] = f"https://127.0.0.1:{self.ports['webhooks']}{path}"
        config["caBundle"] = self.plane.keys.ca_bundle

    def _of_the_deployment(self, chart: list[Object]) -> dict[str, str]:
        """The environment that the Deployment gives, with the files and ports that are here."""
        files = self.root / "tls"
        files.mkdir()
        keys = self.plane.keys
        for name, file in (
            ("tls.crt", keys.webhook.cert),
            ("tls.key", keys.webhook.key),
            ("ca.crt", keys.ca.cert),
        ):
            shutil.copy(file, files / name)
        (deployment,) = (one for one in chart if one["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given = {
            one["name"]: (
                str(one["value"]).replace(_MOUNTED, str(files))
                if "value" in one
                else self._of_the_pod(one["valueFrom"]["fieldRef"]["fieldPath"])
            )
            for one in container["env"]
        }
        account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
        token = self.plane.token(SYSTEM_NAMESPACE, account)
        config = self.plane.write_kubeconfig(account, token, namespace=SYSTEM_NAMESPACE)
        return {
            **given,
            **{name: str(self.ports[what]) for name, what in _PORTS.items()},
            **dict.fromkeys(_INTERFACES, "127.0.0.1"),
            "KUMA_GENERAL_WORK_DIR": str(self.root / "work"),
            "KUBECONFIG": str(config),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.plane.port),
            "HOME": str(self.root),
            "PATH": os.environ["PATH"],
        }

    def _of_the_pod(self, field: str) -> str:
        """A field of the pod that the Deployment has: it stands for the process."""
        if field == "status.podIP":
            return "127.0.0.1"
        assert field == "metadata.name", field
        selector = "app=kuma-control-plane"
        self.until(lambda: self.plane.all("pods", SYSTEM_NAMESPACE, selector))
        return str(self.plane.all("pods", SYSTEM_NAMESPACE, selector)[0]["metadata"]["name"])

    def _run(self) -> None:
        log = self.root / "kuma-cp.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_IN_A_POD, str(self._built / "kuma-cp"), "run", "--log-level=info"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=self.root,
            )
        self.until(self._is_ready, log.read_text)
        self.until(lambda: self.plane.get("mesh", "default"), log.read_text)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.root / "kuma-cp.log").read_text()[-4000:]
        try:
            return self._ask("diagnostics", "/ready")[0] == 200
        except OSError:
            return False

    # -- asking -----------------------------------------------------------------------------

    def until(
        self,
        holds: Callable[[], object],
        told: Callable[[], str] = str,
        patience: float = _READY_SECONDS,
    ) -> None:
        """Wait until ``holds`` says yes; fails the test with what is ``told`` if it never does."""
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end, f"waited {patience} s in vain: {told()[-4000:]}"
            time.sleep(0.1)

    def _ask(self, port: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def api(self, path: str) -> Any:
        """What the control plane's own API says; fails the test when it says no."""
        status, content = self._ask("api", path)
        assert status == 200, f"{path}: {status} {content.decode(errors='replace')}"
        return json.loads(content)

    def config(self, pod: str, namespace: str) -> Object:
        """The Envoy configuration that a pod's sidecar is given, as the control plane makes it
        now: resources by kind and name."""
        answered = self.api(f"/meshes/default/dataplanes/{pod}.{namespace}/_config")
        return {kind.rpartition(".")[2]: found for kind, found in answered["xds"].items()}

    def create(self, item: Object) -> Object:
        """As `kubectl create` with strict validation; raises `Refused`."""
        answer = self.plane.request("POST", f"{collection(item)}?fieldValidation=Strict", item)
        if answer.status >= 300:
            raise Refused(answer.json)
        made: Object = answer.json
        return made

    def delete(self, item: Object) -> None:
        """Returns once it is gone."""
        path = f"{collection(item)}/{item['metadata']['name']}"
        self.plane.request("DELETE", path)
        self.until(lambda: self.plane.request("GET", path).status == 404)


_CLUSTER_SCOPED = {"TrafficRoute": "trafficroutes", "Mesh": "meshes"}


def collection(item: Object) -> str:
    """Where objects of this kind are made."""
    kind = item["kind"]
    root = f"/apis/{item['apiVersion']}"
    if kind in _CLUSTER_SCOPED:
        return f"{root}/{_CLUSTER_SCOPED[kind]}"
    plural = kind.lower()
    plural = f"{plural[:-1]}ies" if plural.endswith("ry") else f"{plural}s"
    plural = plural.replace("patchs", "patches")
    return f"{root}/namespaces/{item['metadata']['namespace']}/{plural}"


def _is_hook(item: Object) -> bool:
    return "helm.sh/hook" in (item["metadata"].get("annotations") or {})
