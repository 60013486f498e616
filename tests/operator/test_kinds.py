"""Kuma is upgraded, installed and removed under a running operator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.features import keda
from executor.process import Operator
from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE


@pytest.fixture
def version() -> str:
    return "2.14"


@pytest.fixture
def scene(tmp_path: Path, version: str) -> Iterator[Scene]:
    """On a cluster of its own, whose kinds may be changed."""
    cluster = KumaCluster(tmp_path, version)
    try:
        cluster.start()
        with new_scene(cluster) as made:
            yield made
    finally:
        cluster.stop()


def by_labels(scene: Scene) -> bool:
    """Whether the route names Services as Kuma 3 wants it."""
    route = scene.routes.latest["podinfo"]
    return "labels" in route["spec"]["to"][0]["targetRef"]


def readings(scene: Scene, plural: str) -> int:
    return sum(f"/{plural}" in seen.path for seen in list(scene.peers.requests))


def await_log(scene: Scene, operator: Operator, words: str, times: int = 1) -> None:
    def told() -> bool:
        return sum(line["msg"] == words for line in operator.log()) >= times

    scene.canaries.until(told, words)


def test_from_2_14_to_3_in_mid_rollout(scene: Scene) -> None:
    operator = scene.start(everywhere=True)
    _ = scene.routes, scene.events
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.await_weight(25)
    scene.peers.success = 0.0
    scene.canaries.until(lambda: scene.status().get("failedChecks", 0) > 0)
    assert scene.weights() == [(100, 0), (75, 25)]

    scene.routes.history.clear()
    scene.cluster.upgrade("3.0")
    await_log(scene, operator, "the cluster's kinds have changed")
    scene.routes.until(lambda: by_labels(scene))
    assert scene.weights() == [(75, 25)]
    assert scene.status()["canaryWeight"] == 25
    assert scene.status()["phase"] == "Progressing"

    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    scene.routes.until(lambda: scene.weights() == [(75, 25), (50, 50), (100, 0)])
    assert scene.image("podinfo-primary") == "play:v2"
    assert operator.get("/readyz")[0] == 200
    asked = readings(scene, "trafficroutes")
    scene.release("v3")
    scene.await_phase("Progressing")
    scene.await_phase("Succeeded")
    assert readings(scene, "trafficroutes") == asked, "a kind that is gone is let alone"
    assert [line for line in operator.log() if line["level"] == "error"] == []


@pytest.mark.parametrize("version", ["2.7"])
def test_from_2_7_to_2_14_in_mid_rollout(scene: Scene) -> None:
    """The route moves from the control plane's namespace to the canary's, where it has another
    name."""
    operator = scene.start(f"-kuma-system-namespace={SYSTEM_NAMESPACE}", everywhere=True)
    _ = scene.routes, scene.events
    scene.apply(scene.dataplane())
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.await_weight(25)
    scene.peers.success = 0.0
    scene.canaries.until(lambda: scene.status().get("failedChecks", 0) > 0)
    before = scene.routes
    assert list(before.latest) == [f"podinfo-{scene.namespace}"]
    assert scene.weights() == [(100, 0), (75, 25)]

    scene.cluster.upgrade("2.14")
    assert scene.routes is not before
    scene.routes.until(lambda: list(scene.routes.latest) == ["podinfo"])
    before.until(lambda: not before.latest)
    assert scene.weights() == [(75, 25)]
    assert scene.status()["canaryWeight"] == 25
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    assert scene.weights() == [(75, 25), (50, 50), (100, 0)]
    assert [line for line in operator.log() if line["level"] == "error"] == []


@pytest.mark.parametrize("version", ["2.7"])
def test_a_control_plane_that_is_elsewhere_is_asked_for(scene: Scene) -> None:
    scene.start("-kuma-system-namespace=nowhere", everywhere=True)
    scene.apply(scene.target(), scene.canary())
    scene.await_message('namespaces "nowhere" not found')
    scene.await_message("tell the operator by -kuma-system-namespace")


def test_a_kind_that_comes_is_followed_at_once(scene: Scene) -> None:
    """Well before it would be looked up where the API server tells nothing."""
    operator = scene.start(everywhere=True)
    scene.begin()
    scene.apply(keda())
    await_log(scene, operator, "ready", times=2)
    scene.canaries.until(
        lambda: any(
            "/scaledobjects" in seen.path and seen.watches for seen in list(scene.peers.requests)
        ),
        "ScaledObjects are watched",
    )
    assert [line for line in operator.log() if line["level"] == "error"] == []
