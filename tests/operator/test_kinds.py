"""Kuma is upgraded, installed and removed under a running operator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.features import keda
from executor.process import Operator
from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import V2_14, V3_0, KumaVersion
from serinus.routing.kuma.addressing import DISPLAY_NAME

Object = dict[str, Any]


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


def upgrade(scene: Scene, version: KumaVersion) -> None:
    """As far as an operator sees it: the definitions are replaced, those of old kinds go."""
    wanted = definitions(version)
    names = {each["metadata"]["name"] for each in wanted}
    found = json.loads(scene.kubectl("get", "crd", "-o", "json"))["items"]
    old = [each["metadata"]["name"] for each in found if each["spec"]["group"] == "kuma.io"]
    scene.apply(*wanted)
    for name in old:
        if name not in names:
            scene.kubectl("delete", "crd", name)


def shares(scene: Scene) -> list[tuple[int, int]]:
    """Each split by labels that the route has carried, in order, without repetitions."""
    found = []
    for route in list(scene.routes.history):
        for entry in route["spec"]["to"]:
            refs = entry["rules"][0]["default"]["backendRefs"]
            by_label = {one.get("labels", {}).get(DISPLAY_NAME): one.get("weight") for one in refs}
            split = (by_label.get("podinfo-primary"), by_label.get("podinfo-canary"))
            if None not in split and split not in found[-1:]:
                found.append(split)
    return found


def split_of(route: Object) -> list[int]:
    return [ref["weight"] for ref in route["spec"]["to"][0]["rules"][0]["default"]["backendRefs"]]


def split_by_tags(scene: Scene) -> list[int]:
    """Of the one route that there is."""
    (route,) = scene.routes.latest.values()
    return split_of(route)


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
    upgrade(scene, V3_0)
    await_log(scene, operator, "the cluster's kinds have changed")
    scene.routes.until(lambda: shares(scene) == [(75, 25)])
    assert scene.status()["canaryWeight"] == 25
    assert scene.status()["phase"] == "Progressing"

    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    scene.routes.until(lambda: shares(scene) == [(75, 25), (50, 50), (100, 0)])
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
    """The route moves from the control plane's namespace, which is played by the scene's, to the
    canary's, where it has another name."""
    operator = scene.start(f"-kuma-system-namespace={scene.namespace}", everywhere=True)
    _ = scene.routes, scene.events
    scene.apply(scene.dataplane())
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.await_weight(25)
    scene.peers.success = 0.0
    scene.canaries.until(lambda: scene.status().get("failedChecks", 0) > 0)
    assert list(scene.routes.latest) == [f"podinfo-{scene.namespace}"]
    scene.routes.until(lambda: split_by_tags(scene) == [75, 25])

    scene.routes.history.clear()
    upgrade(scene, V2_14)
    scene.routes.until(lambda: list(scene.routes.latest) == ["podinfo"])
    assert split_by_tags(scene) == [75, 25]
    assert scene.status()["canaryWeight"] == 25
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    seen = [split_of(route) for route in list(scene.routes.history)]
    assert {tuple(one) for one in seen} == {(75, 25), (50, 50), (100, 0)}
    assert [line for line in operator.log() if line["level"] == "error"] == []


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
