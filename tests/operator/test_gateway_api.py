"""The Gateway API is installed under an operator, and whole rollouts go by its HTTPRoutes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.scene import KumaCluster, Object, Scene
from executor.scene import scene as new_scene
from serinus.lab.mesh.crds.gateway import gateway_definitions

FORBIDDEN = 403


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


def canary(scene: Scene) -> Object:
    made = scene.canary()
    made["spec"]["provider"] = "gatewayapi:v1"
    made["spec"]["service"]["gatewayRefs"] = [{"group": "", "kind": "Service", "name": "podinfo"}]
    return made


def shares(scene: Scene) -> list[dict[str, int]]:
    """Each split that the HTTPRoute has carried, in order, without repetitions."""
    found: list[dict[str, int]] = []
    for route in list(scene.watch("apis/gateway.networking.k8s.io/v1/httproutes").history):
        (rule,) = route["spec"]["rules"]
        split = {ref["name"].removeprefix("podinfo-"): ref["weight"] for ref in rule["backendRefs"]}
        if split not in found[-1:]:
            found.append(split)
    return found


def names(scene: Scene, kinds: str) -> list[str]:
    items = json.loads(scene.within("get", kinds, "-o", "json"))["items"]
    return [f"{item['kind']}/{item['metadata']['name']}" for item in items]


def split(primary: int) -> dict[str, int]:
    return {"primary": primary, "canary": 100 - primary}


def test_from_its_installation_to_another_provider(scene: Scene) -> None:
    operator = scene.start(everywhere=True)
    _ = scene.events
    scene.apply(scene.target(), canary(scene))
    scene.await_ready("False", "spec.provider", "install the Gateway API")

    scene.apply(*gateway_definitions())
    scene.await_phase("Initialized")
    _ = shares(scene)
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.image("podinfo-primary") == "play:v2"
    assert shares(scene) == [split(100), split(75), split(50), split(100)]

    scene.peers.success = 90.0
    scene.release("v3")
    scene.await_phase("Failed")
    assert shares(scene)[3:] == [split(100), split(75), split(100)]
    assert scene.image("podinfo-primary") == "play:v2"
    assert names(scene, "httproutes,meshhttproutes") == ["HTTPRoute/podinfo"]

    scene.patch("canary", "podinfo", {"spec": {"provider": "kuma"}})
    scene.await_ready("False", "spec.service.gatewayRefs", "use provider gatewayapi:v1")
    scene.patch("canary", "podinfo", {"spec": {"service": {"gatewayRefs": None}}})
    scene.routes.until(lambda: "podinfo" in scene.routes.latest)
    routes = scene.watch("apis/gateway.networking.k8s.io/v1/httproutes")
    routes.until(lambda: "podinfo" not in routes.latest)
    assert [str(seen) for seen in scene.peers.requests if seen.status == FORBIDDEN] == []
    assert operator.stop() == 0
    assert [line for line in operator.log() if line["level"] == "error"] == []
