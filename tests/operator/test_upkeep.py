"""What people and their tools change is put back, and nothing else is stirred by it."""

from typing import Any

import pytest

from executor.scene import Scene

BOTH = pytest.mark.parametrize("version", ["1.8", "2.14"])
Object = dict[str, Any]


def _route(scene: Scene) -> str:
    return "trafficroute" if scene.by_traffic_route else "meshhttproute"


def _weights_at(scene: Scene, primary: int, canary: int) -> list[Object]:
    paths = (
        ("/spec/conf/split/0/weight", "/spec/conf/split/1/weight")
        if scene.by_traffic_route
        else (
            "/spec/to/0/rules/0/default/backendRefs/0/weight",
            "/spec/to/0/rules/0/default/backendRefs/1/weight",
        )
    )
    return [
        {"op": "replace", "path": path, "value": value}
        for path, value in zip(paths, (primary, canary), strict=True)
    ]


@BOTH
def test_a_route_in_use_is_repaired_and_its_weights_survive_labels(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.hold()
    name = next(
        name for name in scene.routes.latest if name in ("podinfo", f"podinfo-{scene.namespace}")
    )
    scene.patch(_route(scene), name, _weights_at(scene, 10, 90))
    scene.routes.until(lambda: scene.weights()[-3:] == [(75, 25), (10, 90), (75, 25)])

    scene.patch(_route(scene), name, {"metadata": {"labels": {"team": "blue"}}})
    # A TrafficRoute without the mark of its canary would be taken for one of Flagger's.
    unmanaged = "kustomize.toolkit.fluxcd.io/reconcile"
    scene.patch(_route(scene), name, {"metadata": {"annotations": {unmanaged: None}}})
    scene.await_message(f"somebody changed metadata.annotations[{unmanaged}]")
    scene.routes.until(
        lambda: scene.routes.latest[name]["metadata"]["annotations"].get(unmanaged) == "disabled"
    )
    assert scene.routes.latest[name]["metadata"]["labels"]["team"] == "blue"

    where = "sources" if scene.by_traffic_route else "targetRef"
    other: Any = (
        [{"match": {"kuma.io/service": "one"}}]
        if scene.by_traffic_route
        else {"kind": "MeshSubset", "tags": {"app": "one"}}
    )
    whole = scene.routes.latest[name]["spec"][where]
    scene.patch(_route(scene), name, {"spec": {where: other}})
    scene.await_message(f"somebody changed spec.{where}")
    scene.routes.until(lambda: scene.routes.latest[name]["spec"][where] == whole)

    scene.within("delete", _route(scene), name)
    scene.routes.until(lambda: name in scene.routes.latest)
    assert scene.weights()[-3:] == [(75, 25), (10, 90), (75, 25)]
    assert scene.phase() == "Progressing"


def test_generated_objects_are_put_back(scene: Scene) -> None:
    scene.start()
    _ = scene.services, scene.deployments
    scene.begin()

    def selector(name: str) -> Object:
        found: Object = scene.services.latest.get(name, {}).get("spec", {}).get("selector", {})
        return found

    scene.patch("service", "podinfo", {"spec": {"selector": {"app": "podinfo"}}})
    scene.services.until(lambda: selector("podinfo") == {"app": "podinfo-primary"})
    uid = scene.services.latest["podinfo-primary"]["metadata"]["uid"]
    scene.within("delete", "service", "podinfo-primary")
    scene.services.until(
        lambda: (
            scene.services.latest.get("podinfo-primary", {}).get("metadata", {}).get("uid", uid)
            != uid
        )
    )
    scene.patch("service", "podinfo-canary", {"metadata": {"labels": {"team": "blue"}}})
    scene.services.until(
        lambda: "team" not in scene.services.latest["podinfo-canary"]["metadata"]["labels"]
    )
    uid = scene.deployments.latest["podinfo-primary"]["metadata"]["uid"]
    scene.within("delete", "deployment", "podinfo-primary")
    scene.deployments.until(
        lambda: (
            scene.deployments.latest.get("podinfo-primary", {}).get("metadata", {}).get("uid", uid)
            != uid
        )
    )
    assert scene.image("podinfo-primary") == "play:v1"
    assert scene.phases()[-1] == "Initialized"


def test_applying_the_same_again_stirs_nothing(scene: Scene) -> None:
    """As a GitOps tool does, in every phase that lasts."""
    scene.start()
    _ = scene.routes, scene.events
    canary = scene.canary(threshold=10_000)
    scene.begin(canary)

    def apply_again(tag: str) -> None:
        before = scene.generated()
        for _ in range(2):
            scene.apply(scene.target(tag=tag), canary)
        # Annotating brings a look for sure, and does not change the revision.
        scene.within("annotate", "deployment", "podinfo", f"at={scene.phase()}", "--overwrite")
        assert scene.generated() == before

    apply_again("v1")
    scene.apply(scene.target(tag="v2"))
    scene.await_weight(25)
    scene.peers.success = 0.0
    apply_again("v2")
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    apply_again("v2")
    scene.peers.success = 0.0
    scene.patch("canary", "podinfo", {"spec": {"analysis": {"threshold": 1}}})
    canary["spec"]["analysis"]["threshold"] = 1
    scene.apply(scene.target(tag="v3"))
    scene.await_phase("Failed")
    apply_again("v3")
    scene.begin(scene.canary("other", target="other"))
    assert scene.phases()[-7:] == [
        *("Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"),
        *("Progressing", "Failed"),
    ]
    told = scene.messages()
    scene.events.until(
        lambda: scene.messages()[
            f"New revision detected! Scaling up podinfo.{scene.namespace}"
        ] == 2
    )  # fmt: skip
    assert not [message for message in told if "Restarting" in message or "Repairing" in message]
