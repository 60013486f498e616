"""Whole rollouts by the real operator, under exactly the rights that its manifest gives it."""

import json

import pytest

from executor.scene import Scene

BOTH = pytest.mark.parametrize("version", ["1.8", "2.14"])
FORBIDDEN = 403


def assert_never_refused(scene: Scene) -> None:
    assert [str(seen) for seen in scene.peers.requests if seen.status == FORBIDDEN] == []


@BOTH
def test_a_good_revision_becomes_the_primary(scene: Scene) -> None:
    operator = scene.start()
    _ = scene.routes, scene.events
    hook = {"name": "gate", "type": "pre-rollout", "url": f"{scene.peers.http}/hook"}
    scene.begin(scene.canary(webhooks=[hook]))
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.phases()[-5:] == [
        *("Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"),
    ]
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    primary = json.loads(scene.within("get", "deployment", "podinfo-primary", "-o", "json"))
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "play:v2"
    target = json.loads(scene.within("get", "deployment", "podinfo", "-o", "json"))
    assert target["spec"]["replicas"] == 0
    apex = json.loads(scene.within("get", "service", "podinfo", "-o", "json"))
    assert apex["spec"]["selector"] == {"app": "podinfo-primary"}
    assert [hook["phase"] for hook in scene.peers.hooks] == ["Progressing"]
    scene.within("wait", "canary/podinfo", "--for=condition=promoted", "--timeout=1s")
    scene.await_message("Promotion completed! Scaling down podinfo." + scene.namespace)
    assert_never_refused(scene)
    assert operator.stop() == 0
    assert [line for line in operator.log() if line["level"] == "error"] == []


@BOTH
def test_a_bad_revision_goes_back(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    scene.peers.success = 90.0
    scene.release("v2")
    scene.await_phase("Failed")
    assert scene.phases()[-3:] == ["Initialized", "Progressing", "Failed"]
    assert scene.weights() == [(100, 0), (75, 25), (100, 0)]
    scene.await_message("success rate 90.00% < 99%")
    scene.await_message(f"Rolling back podinfo.{scene.namespace} failed checks threshold reached 2")
    primary = json.loads(scene.within("get", "deployment", "podinfo-primary", "-o", "json"))
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "play:v1"
    target = json.loads(scene.within("get", "deployment", "podinfo", "-o", "json"))
    assert target["spec"]["replicas"] == 0
    assert_never_refused(scene)
