"""What Flagger leaves behind: its primary, and its status with none of our fields."""

import json
from typing import Any

from executor.scene import Scene

Object = dict[str, Any]

FLAGGERS_HASH = "5d8f7c6b9c"
"""A hash of a pod template as Flagger writes them; nobody else can compute it."""

REASONS = {"Initialized": "True", "Succeeded": "True", "Failed": "False", "Progressing": "Unknown"}


def flaggers_status(phase: str, weight: int = 0) -> Object:
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


def leave(scene: Scene, phase: str, *, tag: str, primary: str, weight: int = 0) -> None:
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
    set_status(scene, flaggers_status(phase, weight))


def set_status(scene: Scene, status: Object) -> None:
    scene.within(
        *("patch", "canary", "podinfo", "--subresource=status", "--type=merge", "-p"),
        json.dumps({"status": status}),
    )
