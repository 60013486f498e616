"""A GitOps tool applies the same manifests for ever, in every phase, and nothing flaps."""

import itertools
from typing import Any

import pytest

from executor.git_repository import Apply, Repository, client_side, server_side
from executor.scene import Scene

Object = dict[str, Any]


BOTH = pytest.mark.parametrize("apply", [client_side, server_side])


def _autoscaler(scene: Scene) -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "podinfo", "namespace": scene.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "minReplicas": 2,
            "maxReplicas": 4,
        },
    }


def _canary(scene: Scene) -> Object:
    made = scene.canary(threshold=1)
    made["spec"]["autoscalerRef"] = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "name": "podinfo",
    }
    return made


def _replicas(scene: Scene, name: str = "podinfo") -> int:
    return int(scene.deployments.latest[name]["spec"]["replicas"])


def _changes(numbers: list[int]) -> list[int]:
    return [number for number, _ in itertools.groupby(numbers)]


@BOTH
def test_manifests_without_replicas_may_be_applied_for_ever(scene: Scene, apply: Apply) -> None:
    scene.start()
    _ = scene.canaries, scene.events, scene.deployments, scene.services, scene.routes
    scene.apply(*scene.mesh_services())
    git = Repository(scene, apply, [scene.target(tag="v1"), _autoscaler(scene), _canary(scene)])
    with git.reconciling():
        scene.await_phase("Initialized")
        scene.deployments.until(lambda: _replicas(scene) == 0)
        _nothing_moves(git)

        git.objects = [scene.target(tag="v2"), *git.objects[1:]]
        scene.await_phase("Succeeded")
        scene.deployments.until(lambda: _replicas(scene) == 0)
        _nothing_moves(git)

        scene.peers.success = 0.0
        git.objects = [scene.target(tag="v3"), *git.objects[1:]]
        scene.await_phase("Failed")
        scene.deployments.until(lambda: _replicas(scene) == 0)
        _nothing_moves(git)

    assert scene.phases()[-7:] == [
        *("Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"),
        *("Progressing", "Failed"),
    ]
    # Zero, up, zero: three times at zero, and never another in between.
    target = [
        one["spec"]["replicas"]
        for one in list(scene.deployments.history)
        if one["metadata"]["name"] == "podinfo"
    ]
    assert len([number for number in _changes(target) if number == 0]) == 3
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]
    told = scene.messages()
    assert told[f"New revision detected! Scaling up podinfo.{scene.namespace}"] == 2
    assert not [message for message in told if "Repairing" in message or "Restarting" in message]


@BOTH
def test_replicas_in_a_manifest_are_not_fought_over(scene: Scene, apply: Apply) -> None:
    """The tool has its way at rest: pods that serve nobody, one scaling by Serinus per rollout."""
    scene.start()
    _ = scene.canaries, scene.events, scene.deployments
    scene.apply(*scene.mesh_services())
    git = Repository(scene, apply, [scene.target(tag="v1", replicas=1), scene.canary()])
    with git.reconciling():
        scene.await_phase("Initialized")
        git.applied_anew(3)
        git.objects = [scene.target(tag="v2", replicas=1), git.objects[1]]
        scene.await_phase("Succeeded")
        git.applied_anew(3)
        scene.deployments.until(lambda: _replicas(scene) == 1)
        generation = scene.deployments.latest["podinfo"]["metadata"]["generation"]
        git.applied_anew(3)
        assert scene.deployments.latest["podinfo"]["metadata"]["generation"] == generation

    target = [
        one["spec"]["replicas"]
        for one in list(scene.deployments.history)
        if one["metadata"]["name"] == "podinfo"
    ]
    assert _changes(target) == [1, 0, 1, 0, 1]
    assert scene.phases()[-5:] == [
        *("Initialized", "Progressing", "Promoting", "Finalising", "Succeeded")
    ]
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]


def _nothing_moves(git: Repository) -> None:
    scene = git.scene
    before = scene.generated(), scene.canaries.latest["podinfo"]["metadata"]["resourceVersion"]
    replicas = _replicas(scene)
    git.applied_anew()
    after = scene.generated(), scene.canaries.latest["podinfo"]["metadata"]["resourceVersion"]
    assert after == before
    assert _replicas(scene) == replicas == 0
