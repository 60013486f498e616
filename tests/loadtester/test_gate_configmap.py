"""Gates in a ConfigMap: the shipped manifests on the lab's API server, and load testers that see
the files of a pod with the shipped ServiceAccount."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from conformance.lab_server import LabServer
from loadtester.asking import CLOSED, DONE, OPEN, gate, load_tester, metric
from loadtester.test_process import process
from serinus.lab.paths import LabPaths
from serinus.lab.pki import Pki
from serinus.loadtester.gate_configmap import SERVICE_ACCOUNT, ConfigMapGates
from serinus.loadtester.gates import GatesUnavailable

REPOSITORY = Path(__file__).parents[2]
NAME = "flagger-loadtester-gates"
CONFIGMAP = f"configmap/{NAME}"
N = ("-n", "test")
RUN = Path("/var/run").resolve()
"""A bind mount needs the folder itself, not the link to it."""


@dataclass
class Pod:
    """What a pod of the tester's folder would find."""

    server: LabServer
    account: Path

    @property
    def environ(self) -> dict[str, str]:
        url = URL(self.server.address)
        return {
            "KUBERNETES_SERVICE_HOST": str(url.host),
            "KUBERNETES_SERVICE_PORT": str(url.port),
        }

    def gates(self, name: str = NAME) -> ConfigMapGates:
        return ConfigMapGates(name, self.environ, self.account)

    def apply(self) -> str:
        """The folder's objects but for the Deployment, which nobody would run here."""
        folder = REPOSITORY / "deploy/kustomize/tester"
        kubectl = Path(sys.executable).parent / "kubectl"
        made = subprocess.run([kubectl, "kustomize", folder], capture_output=True, check=True)
        return self.server.kubectl("apply", "-f", "-", stdin=made.stdout.decode())

    def sign_in(self, account: str = "flagger-loadtester") -> None:
        token = self.server.kubectl(*N, "create", "token", account).strip()
        (self.account / "token").write_text(token + "\n")

    def kept(self) -> str:
        return self.server.kubectl(*N, "get", CONFIGMAP, "-o", "jsonpath={.data}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LabServer]:
    with LabServer(root) as running:
        running.kubectl("create", "namespace", "test")
        yield running


@pytest.fixture
def pod(server: LabServer, root: Path, tmp_path: Path) -> Pod:
    made = Pod(server, tmp_path)
    made.apply()
    server.kubectl(*N, "patch", CONFIGMAP, "--type=merge", "-p", '{"data":null}')
    made.sign_in()
    (tmp_path / "namespace").write_text("test")
    (tmp_path / "ca.crt").write_text(Pki(LabPaths(root).pki).ca.cert.read_text())
    return made


async def test_two_load_testers_share_gates_and_a_third_finds_them(pod: Pod) -> None:
    async with load_tester(gates=pod.gates()) as one, load_tester(gates=pod.gates()) as other:
        assert await gate(other, "/gate/check") == CLOSED
        assert await gate(one, "/gate/open") == DONE
        assert await gate(other, "/gate/check") == OPEN
        assert await gate(other, "/rollback/open", gate="late") == DONE
        assert await metric(one, "serinus_loadtester_gates_open") == 2
        assert pod.kept() == '{"podinfo.test":"open","rollback_podinfo.test_late":"open"}'
    async with load_tester(gates=pod.gates()) as later:
        assert await gate(later, "/rollback/check", gate="late") == OPEN
        assert await gate(later, "/gate/close") == DONE
        assert await gate(later, "/gate/close") == DONE
        assert pod.kept() == '{"rollback_podinfo.test_late":"open"}'


async def test_each_replica_opens_and_closes_without_undoing_the_others(pod: Pod) -> None:
    stores = [pod.gates() for _ in range(3)]
    keys = [f"c{number}.test" for number in range(30)]
    await asyncio.gather(*(stores[i % 3].put(key, True) for i, key in enumerate(keys)))
    assert await stores[0].opened() == set(keys)
    await asyncio.gather(*(stores[i % 2].put(key, False) for i, key in enumerate(keys[1:])))
    assert await stores[2].opened() == {"c0.test"}
    for store in stores:
        await store.close()


async def test_a_person_can_open_a_gate_with_kubectl_and_applying_anew_keeps_it(pod: Pod) -> None:
    patch = '{"data":{"podinfo.test":"open"}}'
    pod.server.kubectl(*N, "patch", CONFIGMAP, "--type=merge", "-p", patch)
    async with load_tester(gates=pod.gates()) as client:
        assert await gate(client, "/gate/check") == OPEN
        assert "unchanged" in pod.apply()
        assert await gate(client, "/gate/check") == OPEN


async def test_the_shipped_rights_are_enough_and_no_more(pod: Pod) -> None:
    account = "--as=system:serviceaccount:test:flagger-loadtester"
    listed = pod.server.kubectl(*N, "auth", "can-i", account, "--list")
    own = [line for line in listed.splitlines() if "configmaps" in line]
    assert [line.split() for line in own] == [["configmaps", "[]", f"[{NAME}]", "[get", "patch]"]]
    for denied in (("get", "secrets"), ("create", "pods"), ("create", "configmaps")):
        said = pod.server.kubectl(*N, "auth", "can-i", account, *denied, check=False)
        assert said.strip() == "no"


async def test_what_is_wrong_with_the_store_is_told(pod: Pod) -> None:
    pod.server.kubectl(*N, "create", "configmap", "other")
    async with load_tester(gates=pod.gates("other")) as client:
        status, text = await gate(client, "/gate/check")
        assert status == 503
        assert text.startswith("the ConfigMap test/other: HTTP 403: ")
        assert text.endswith("its Role must allow get and patch, see deploy/kustomize/tester")
    pod.server.kubectl(*N, "delete", "configmap", "other")
    async with load_tester(gates=pod.gates()) as client:
        pod.server.kubectl(*N, "delete", CONFIGMAP)
        for what in ("check", "open"):
            status, text = await gate(client, f"/gate/{what}")
            assert status == 503
            assert text.endswith("create it, empty: kubectl create configmap")
        pod.apply()
        assert await gate(client, "/gate/check") == CLOSED
        (pod.account / "token").write_text("nonsense")
        status, text = await gate(client, "/gate/check")
        assert (status, "token is not accepted" in text) == (503, True)
        # Rotated: the next request already uses it.
        pod.sign_in()
        assert await gate(client, "/gate/check") == CLOSED
        (pod.account / "token").unlink()
        status, text = await gate(client, "/gate/check")
        assert (status, "is automountServiceAccountToken false?" in text) == (503, True)


async def test_an_api_server_that_is_away_is_503_until_it_is_back(pod: Pod) -> None:
    environ = {**pod.environ, "KUBERNETES_SERVICE_PORT": "9"}
    gates = ConfigMapGates(NAME, environ, pod.account)
    async with load_tester(gates=gates) as client:
        status, text = await gate(client, "/gate/check")
        assert (status, f"the ConfigMap test/{NAME}: Cannot connect" in text) == (503, True)
        assert await gate(client, "/gate/approve") == (200, "OK")


def test_a_pod_without_a_token_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(GatesUnavailable, match="is automountServiceAccountToken false"):
        ConfigMapGates(NAME, {"KUBERNETES_SERVICE_HOST": "::1"}, tmp_path)


@asynccontextmanager
async def in_pod(pod: Pod) -> AsyncIterator[str]:
    """The load tester as a process that finds its ServiceAccount where a pod has it."""
    words = (
        *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", str(RUN)),
        *("--ro-bind", str(pod.account), str(RUN / SERVICE_ACCOUNT.relative_to("/var/run"))),
        *(word for name, text in pod.environ.items() for word in ("--setenv", name, text)),
        "--die-with-parent",
    )
    async with process("-port=0", f"-gates-configmap={NAME}", before=words) as (_, url):
        yield url


async def test_processes_share_gates_and_restarts_keep_them(pod: Pod) -> None:
    body = {"name": "podinfo", "namespace": "test"}

    async def answer(url: str, path: str) -> int:
        async with aiohttp.request("POST", f"{url}{path}", json=body) as answered:
            return answered.status

    async with in_pod(pod) as one, in_pod(pod) as other:
        assert await answer(one, "rollback/open") == 202
        assert await answer(other, "rollback/check") == 200
    async with in_pod(pod) as later:
        assert await answer(later, "rollback/check") == 200
        assert await answer(later, "gate/check") == 403
