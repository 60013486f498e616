"""The control plane itself changes in mid-rollout: forgets, restarts, changes tokens and keys."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane import ControlPlane
from executor.scene import Scene
from faults.invariants import expected_splits, replay
from faults.proxy import Delay, Proxy, Rule
from serinus.cluster import kubeconfig
from serinus.cluster.backoff import Backoff
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import CONFIGMAPS

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
SECRETS = "/api/v1/namespaces/default/secrets"
TOKENS = "/api/v1/namespaces/default/serviceaccounts/flagger/token"


def proxy_of(scene: Scene) -> Proxy:
    assert isinstance(scene.peers, Proxy)
    return scene.peers


def goes_on_to_the_end(scene: Scene) -> None:
    scene.peers.success = 100.0
    scene.canaries.until(lambda: scene.phase() == "Succeeded", "Succeeded", 90)
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    history = [*scene.canaries.history, *scene.routes.history, *scene.deployments.history]
    assert replay("podinfo", history).broken == []


def hold(scene: Scene) -> None:
    _ = scene.routes, scene.deployments
    scene.hold()


def test_what_has_been_compacted_is_listed_anew(scene: Scene) -> None:
    """The watches break off, and when they can go on the server reaches back no longer."""
    proxy, plane = proxy_of(scene), scene.cluster.plane
    operator = scene.start()
    hold(scene)
    told, mark = proxy.refused_in_stream, len(proxy.requests)
    proxy.rules = [Rule(Delay(15), "watch=true")]
    plane.compact()
    # Its own memory would else still reach back to before.
    plane.restart_apiserver(signal.SIGKILL)
    scene.within("annotate", "deployment", "podinfo", "unseen=1")

    def gone() -> int:
        answers = [seen for seen in proxy.requests[mark:] if seen.watches and seen.status == 410]
        return len(answers) + proxy.refused_in_stream - told

    plane.until(gone)
    proxy.heal()
    goes_on_to_the_end(scene)
    assert [line for line in operator.log() if line["level"] == "error"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_api_server_is_started_again(scene: Scene, number: signal.Signals) -> None:
    operator = scene.start()
    hold(scene)
    scene.cluster.plane.restart_apiserver(number)
    goes_on_to_the_end(scene)
    assert operator.get("/readyz")[0] == 200
    assert [line for line in operator.log() if line["level"] == "error"] == []


@pytest.fixture
def tokens(scene: Scene, tmp_path: Path) -> Iterator[Path]:
    """A file with the operator's token, that its kubeconfig names."""
    path, before = tmp_path / "token", scene.cluster.account
    scene.cluster.account = scene.cluster.plane.write_kubeconfig(
        "flagger", name="rotated", token_file=path, server=scene.peers.api
    )
    yield path
    scene.cluster.account = before


def bound_token(scene: Scene, secret: str) -> str:
    """One that is worth nothing any more once the Secret is gone."""
    api = scene.cluster.plane.api
    made = api.post(SECRETS, {"metadata": {"name": secret}})
    bound = {"kind": "Secret", "apiVersion": "v1", "name": secret, "uid": made["metadata"]["uid"]}
    answer = api.post(TOKENS, {"spec": {"expirationSeconds": 600, "boundObjectRef": bound}})
    return str(answer["status"]["token"])


@pytest.mark.timeout(240)
def test_a_token_that_expired_is_read_anew(scene: Scene, tokens: Path) -> None:
    """The worst case: the old one is refused before anybody looked at the file again."""
    proxy, api = proxy_of(scene), scene.cluster.plane.api
    tokens.write_text(bound_token(scene, f"{scene.namespace}-1"))
    scene.start()
    hold(scene)
    tokens.write_text(bound_token(scene, f"{scene.namespace}-2"))
    api.delete(f"{SECRETS}/{scene.namespace}-1")
    proxy.drop_watches()
    scene.cluster.plane.until(lambda: any(seen.status == 401 for seen in list(proxy.requests)))
    goes_on_to_the_end(scene)


async def test_a_new_authority_is_trusted_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pod sees it: first its `ca.crt` holds both authorities, then the server changes over."""
    monkeypatch.setattr(kubeconfig, "TOKEN_AGE", 0.2)
    plane = ControlPlane(tmp_path, controllers=(), kubelet=False)
    with plane:
        account = tmp_path / "account"
        account.mkdir()
        old = plane.keys.ca.cert.read_text()
        (account / "ca.crt").write_text(old)
        (account / "token").write_text("admin-token")
        host, _, port = plane.address.removeprefix("https://").rpartition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        connection = kubeconfig.in_cluster(environ, account)
        async with Client(connection) as client:
            cache: Cache[Object] = Cache(
                client, CONFIGMAPS, msgspec.json.decode, backoff=Backoff(0.1, 0.5)
            )
            running = asyncio.create_task(cache.run())
            await cache.synced.wait()
            plane.renew_certificates()
            (account / "ca.crt").write_text(old + plane.keys.ca.cert.read_text())
            await asyncio.to_thread(plane.restart_apiserver)
            made = await asyncio.to_thread(
                plane.api.post, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}}
            )
            version = made["metadata"]["resourceVersion"]
            assert await cache.reached("default", "a", version, 30)
            running.cancel()
