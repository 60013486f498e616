"""Whole rollouts of targets of other kinds, by an operator in a cluster with its controllers."""

from collections.abc import Iterator
from typing import Any

import pytest

from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene
from serinus.workload.views import PARKED

Object = dict[str, Any]
DAEMONSETS = "apis/apps/v1/daemonsets"


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


def canary_of(scene: Scene, kind: str, api_version: str) -> Object:
    made = scene.canary()
    made["spec"]["targetRef"] |= {"apiVersion": api_version, "kind": kind}
    return made


def parked(daemonset: Object) -> bool:
    return PARKED in (daemonset["spec"]["template"]["spec"].get("nodeSelector") or {})


def image(daemonset: Object) -> str:
    return str(daemonset["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.mark.parametrize("passes", [True, False])
def test_a_daemonset_is_rolled_out(scene: Scene, passes: bool) -> None:
    sets = scene.watch(DAEMONSETS)
    target = {**scene.target(), "kind": "DaemonSet"}
    scene.start()
    scene.apply(target, *scene.mesh_services(), canary_of(scene, "DaemonSet", "apps/v1"))
    scene.await_phase("Initialized")
    sets.until(lambda: parked(sets.latest["podinfo"]))
    assert not parked(sets.latest["podinfo-primary"])

    scene.peers.success = 100.0 if passes else 0.0
    scene.within("set", "image", "daemonset/podinfo", "app=play:v2")
    scene.await_phase("Succeeded" if passes else "Failed")
    sets.until(lambda: parked(sets.latest["podinfo"]))
    assert image(sets.latest["podinfo-primary"]) == ("play:v2" if passes else "play:v1")
    assert not any(parked(one) for one in sets.history if one["metadata"]["name"] != "podinfo")


@pytest.mark.parametrize("passes", [True, False])
def test_a_service_is_rolled_out(scene: Scene, passes: bool) -> None:
    services = scene.services
    target: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "podinfo", "namespace": scene.namespace},
        "spec": {
            "selector": {"release": "v1"},
            "ports": [{"name": "http", "port": 9898, "appProtocol": "http"}],
        },
    }
    scene.start()
    scene.apply(target, *scene.mesh_services(), canary_of(scene, "Service", "v1"))
    scene.await_phase("Initialized")
    assert services.latest["podinfo-primary"]["spec"]["selector"] == {"release": "v1"}

    scene.peers.success = 100.0 if passes else 0.0
    scene.patch("service", "podinfo", {"spec": {"selector": {"release": "v2"}}})
    scene.await_phase("Succeeded" if passes else "Failed")
    assert services.latest["podinfo-canary"]["spec"]["selector"] == {"release": "v2"}
    held = "v2" if passes else "v1"
    assert services.latest["podinfo-primary"]["spec"]["selector"] == {"release": held}
    assert services.latest["podinfo"]["spec"]["selector"] == {"release": "v2"}
