"""A ConfigMap's content rolls out as an image does, with an operator and a person with kubectl."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KumaCluster]:
    played = KumaCluster(tmp_path_factory.mktemp("kuma"), "2.14")
    try:
        played.start()
        yield played
    finally:
        played.stop()


@pytest.fixture
def scene(cluster: KumaCluster) -> Iterator[Scene]:
    with new_scene(cluster) as made:
        yield made


def config_map(scene: Scene, color: str) -> dict[str, Any]:
    metadata = {"name": "ui", "namespace": scene.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"c": color}}


def begin(scene: Scene, color: str, **analysis: Any) -> None:
    """Have an initialized canary whose target takes its environment from a ConfigMap."""
    target = scene.target()
    (container,) = target["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "ui"}}]
    scene.apply(config_map(scene, color), target, *scene.mesh_services(), scene.canary(**analysis))
    scene.await_phase("Initialized")


def color_of(scene: Scene, name: str) -> str:
    found = scene.within("get", "configmap", name, "-o", "json", "--ignore-not-found")
    return str(json.loads(found)["data"]["c"]) if found else ""


def promotions(scene: Scene) -> str:
    primary = scene.deployments.latest["podinfo-primary"]
    return str(primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"])


def test_content_is_judged_and_promoted(scene: Scene) -> None:
    scene.start()
    _ = scene.deployments
    begin(scene, "blue")
    first, known = promotions(scene), scene.status()["trackedConfigs"]
    assert color_of(scene, "ui-primary") == "blue"
    assert list(known) == ["configmap/ui"]

    scene.apply(config_map(scene, "red"))
    scene.await_weight(25)
    assert color_of(scene, "ui-primary") == "blue"
    scene.await_phase("Succeeded")
    assert color_of(scene, "ui-primary") == "red"
    assert promotions(scene) != first, "the primary's pods are made anew"
    assert scene.status()["trackedConfigs"] != known

    scene.within("delete", "canary", "podinfo")
    scene.cluster.until(lambda: color_of(scene, "ui-primary") == "")
    assert color_of(scene, "ui") == "red"


def test_content_that_fails_stays_with_the_canary(scene: Scene) -> None:
    scene.start()
    _ = scene.deployments
    begin(scene, "blue", threshold=1)
    first = promotions(scene)
    scene.peers.success = 0.0
    scene.apply(config_map(scene, "red"))
    scene.await_phase("Failed")
    assert color_of(scene, "ui-primary") == "blue"
    scene.peers.success = 100.0
    failed = scene.status()["trackedConfigs"]
    scene.apply(config_map(scene, "blue"))
    scene.canaries.until(lambda: scene.status()["trackedConfigs"] != failed)
    assert scene.phase() == "Failed", "back at what the primary runs: nothing to judge"
    assert promotions(scene) == first


def test_content_that_changes_during_its_analysis_is_judged_from_the_start(scene: Scene) -> None:
    scene.start()
    begin(scene, "blue", threshold=10_000)
    scene.apply(config_map(scene, "red"))
    scene.await_weight(25)
    scene.peers.success = 0.0
    scene.canaries.until(lambda: scene.status().get("failedChecks", 0) > 0)
    before = scene.status()["trackedConfigs"]
    scene.apply(config_map(scene, "green"))
    scene.canaries.until(lambda: scene.status()["trackedConfigs"] != before)
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    assert color_of(scene, "ui-primary") == "green"


def test_a_missing_config_map_is_said_and_awaited(scene: Scene) -> None:
    scene.start()
    target = scene.target()
    (container,) = target["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "ui"}}]
    scene.apply(target, *scene.mesh_services(), scene.canary())
    scene.await_ready("False", f"configmap ui.{scene.namespace} does not exist")
    scene.apply(config_map(scene, "blue"))
    scene.await_phase("Initialized")
    assert color_of(scene, "ui-primary") == "blue"


def test_without_tracking_both_sides_share_the_config_map(scene: Scene) -> None:
    scene.start("-enable-config-tracking=false")
    begin(scene, "blue")
    assert color_of(scene, "ui-primary") == ""
    assert not scene.status().get("trackedConfigs")
