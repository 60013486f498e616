"""What Flagger left behind is taken over, and what is described anew is the same: no rollout."""

import json
from copy import deepcopy
from typing import Any

import pytest

from executor.scene import Scene

Object = dict[str, Any]

FLAGGERS_HASH = "5d8f7c6b9c"
"""A hash of a pod template as Flagger writes them; nobody else can compute it."""

REASONS = {"Initialized": "True", "Succeeded": "True", "Failed": "False", "Progressing": "Unknown"}


def _flaggers_status(phase: str, weight: int = 0) -> Object:
    """A status with all fields that Flagger writes, and none that is ours."""
    return {
        "phase": phase,
        "failedChecks": 0,
        "canaryWeight": weight,
        "iterations": 0,
        "lastAppliedSpec": FLAGGERS_HASH,
        "lastPromotedSpec": "68b4c8d9f6" if phase in ("Failed", "Progressing") else FLAGGERS_HASH,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "trackedConfigs": {},
        "conditions": [
            {
                "type": "Promoted",
                "status": REASONS[phase],
                "reason": phase,
                "message": "as Flagger has it",
                "lastUpdateTime": "2026-01-02T03:04:05Z",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }
        ],
    }


def _leave(scene: Scene, phase: str, *, tag: str, primary: str, weight: int = 0) -> None:
    """A namespace as Flagger leaves it: target, primary, Canary with its status; no Serinus."""
    target = scene.target(tag=tag, replicas=0 if weight == 0 else 1)
    canary = scene.canary()
    scene.apply(*scene.mesh_services(), target, canary)
    made = scene.target("podinfo-primary", tag=primary, replicas=1)
    made["spec"]["template"]["metadata"]["annotations"] = {
        "flagger-id": "0b8c4a52-5a0e-4a37-9d2e-8f3b1f0e7a11"
    }
    _ = scene.canaries
    scene.canaries.until(lambda: "podinfo" in scene.canaries.latest)
    made["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "name": "podinfo",
            "uid": scene.canaries.latest["podinfo"]["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    scene.apply(made)
    _set_status(scene, _flaggers_status(phase, weight))


def _set_status(scene: Scene, status: Object) -> None:
    scene.within(
        *("patch", "canary", "podinfo", "--subresource=status", "--type=merge", "-p"),
        json.dumps({"status": deepcopy(status)}),
    )


def _await_adopted(scene: Scene) -> None:
    scene.canaries.until(lambda: scene.status().get("lastAppliedSpec", "").startswith("v1:"))


def _no_rollout(scene: Scene) -> None:
    told = scene.messages()
    assert not [one for one in told if "New revision" in one or "Restarting" in one], told


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded"])
def test_a_rested_canary_of_flaggers_stays_at_rest(scene: Scene, phase: str) -> None:
    _ = scene.events, scene.deployments
    _leave(scene, phase, tag="v1", primary="v1")
    scene.start()
    _await_adopted(scene)
    assert scene.phases() == ["", phase]
    assert scene.images("podinfo-primary") == ["play:v1"]
    assert scene.deployments.latest["podinfo-primary"]["metadata"]["generation"] == 1
    _no_rollout(scene)

    scene.release("v2")
    scene.await_phase("Progressing")


def test_a_failed_canary_of_flaggers_is_not_tried_again(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    _leave(scene, "Failed", tag="v2", primary="v1")
    scene.start()
    _await_adopted(scene)
    assert scene.phases() == ["", "Failed"]
    assert scene.image("podinfo-primary") == "play:v1"
    _no_rollout(scene)

    scene.release("v3")
    scene.await_phase("Progressing")


def test_a_target_that_truly_differs_is_rolled_out(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    _leave(scene, "Succeeded", tag="v2", primary="v1")
    scene.start()
    scene.await_phase("Progressing")


def test_an_analysis_of_flaggers_is_finished(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    _leave(scene, "Progressing", tag="v2", primary="v1", weight=25)
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
def test_another_form_of_hash_starts_nothing_at_rest(scene: Scene, end: str) -> None:
    """As after an upgrade of Serinus, or one of Kubernetes that adds a defaulted field: the hash
    is another and the generation is not."""
    _ = scene.events, scene.deployments
    operator = scene.start()
    scene.begin(scene.canary(threshold=1))
    scene.peers.success = 100.0 if end == "Succeeded" else 0.0
    scene.release("v2")
    scene.await_phase(end)
    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    operator.stop()

    before = scene.phases(), scene.images("podinfo-primary"), scene.messages()
    ours = scene.status()["lastAppliedSpec"]
    _set_status(scene, {"lastAppliedSpec": "v0:another"})
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == "v0:another")
    scene.start()
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == ours)
    assert (scene.phases(), scene.images("podinfo-primary"), scene.messages()) == before


def test_another_form_of_hash_does_not_restart_an_analysis(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    operator = scene.start()
    scene.hold()
    operator.stop()
    _set_status(scene, {"lastAppliedSpec": "v0:another"})
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == "v0:another")
    scene.peers.success = 100.0
    scene.start()
    scene.await_phase("Succeeded")
    told = scene.messages()
    assert told[f"New revision detected! Scaling up podinfo.{scene.namespace}"] == 1
    assert not [one for one in told if "Restarting" in one]
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]
