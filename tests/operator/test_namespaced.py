"""An operator of one namespace with a Role in it, and no right at all on the cluster."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from executor.peers import Peers
from executor.process import REPOSITORY, Operator
from executor.scene import Scene
from serinus.routing.kuma.discovery import CRD_NAMES

Start = Callable[..., Operator]


@pytest.fixture
def peers(scene: Scene) -> Iterator[Peers]:
    with Peers(scene.cluster.address) as made:
        yield made


@pytest.fixture
def start(scene: Scene, peers: Peers, tmp_path: Path) -> Iterator[Start]:
    """Starts the operator under the account of `deploy/kustomize/namespaced`."""
    done = subprocess.run(
        [REPOSITORY / ".venv/bin/kubectl", "kustomize", REPOSITORY / "deploy/kustomize/namespaced"],
        capture_output=True,
        text=True,
        check=True,
    )
    text = done.stdout.replace("namespace: test", f"namespace: {scene.namespace}")
    rights = [one for one in yaml.safe_load_all(text) if one["kind"] != "Deployment"]
    scene.apply(*rights)
    config = yaml.safe_load(scene.cluster.account.read_text())
    config["clusters"][0]["cluster"]["server"] = peers.api
    config["users"][0]["user"]["token"] = scene.within("create", "token", "flagger").strip()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    started: list[Operator] = []

    def begin(*flags: str) -> Operator:
        started.append(
            Operator(
                kubeconfig,
                tmp_path / "log",
                f"-namespace={scene.namespace}",
                "-minimum-interval=100ms",
                "-route-propagation=50ms",
                f"-metrics-server={scene.peers.http}",
                *flags,
            )
        )
        started[-1].wait_ready()
        return started[-1]

    yield begin
    for operator in started:
        operator.stop()


def test_a_role_suffices(scene: Scene, peers: Peers, start: Start) -> None:
    operator = start("-mesh-services-mode=Exclusive", "-enable-leader-election")
    _ = scene.routes, scene.events
    scene.begin()
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    scene.peers.success = 0.0
    scene.release("v3")
    scene.await_phase("Failed")
    scene.await_message("Rolling back")
    tried = {str(seen) for seen in peers.requests if seen.status == 403}
    crds = "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert tried == {
        f"{crds} 403",
        *(f"{crds}/{name} 403" for name in CRD_NAMES),
        "GET /apis/kuma.io/v1alpha1/meshes 403",
        "GET /apis/kuma.io/v1alpha1/trafficroutes 403",
    }, "what it tries in vain, so that it notices when it is allowed"
    assert any("may not be watched" in line["msg"] for line in operator.log())
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_what_it_has_to_be_told_is_said(scene: Scene, start: Start) -> None:
    start()
    scene.apply(scene.target(), *scene.mesh_services(), scene.canary())
    scene.await_ready("False", "may not read meshes.kuma.io", "-mesh-services-mode")


@pytest.mark.parametrize("version", ["3.0"])
def test_in_kuma_3_it_has_to_be_told_nothing(scene: Scene, start: Start) -> None:
    start()
    scene.begin()
    scene.release("v2")
    scene.await_phase("Succeeded")


@pytest.mark.parametrize("version", ["1.8"])
def test_where_only_traffic_routes_would_do_it_is_said(scene: Scene, start: Start) -> None:
    start("-mesh-services-mode=Disabled")
    scene.apply(scene.target(), scene.canary())
    scene.await_ready("False", "may not read trafficroutes.kuma.io", "ClusterRole")
