"""A GitOps tool applies the same manifests for ever, in every phase, and nothing flaps."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from executor.scene import Scene

Object = dict[str, Any]
Apply = Callable[[Scene, list[Object]], None]


def _client_side(scene: Scene, objects: list[Object]) -> None:
    scene.apply(*objects)


def _server_side(scene: Scene, objects: list[Object]) -> None:
    """As Flux does: its own field manager, which takes what is in the manifest."""
    scene.within(
        *("apply", "--server-side", "--force-conflicts"),
        *("--field-manager=kustomize-controller", "-f", "-"),
        stdin="\n---\n".join(map(json.dumps, objects)),
    )


BOTH = pytest.mark.parametrize("apply", [_client_side, _server_side])


class Repository:
    """What is in Git: applied by `reconciling` again and again, counted."""

    def __init__(self, scene: Scene, apply: Apply, objects: list[Object]) -> None:
        self.scene = scene
        self.objects = objects
        self._apply = apply
        self._turn = threading.Condition()
        self._done = 0

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        stopped = threading.Event()
        failures: list[AssertionError] = []

        def run() -> None:
            while not stopped.is_set():
                try:
                    self._apply(self.scene, self.objects)
                except AssertionError as failure:
                    failures.append(failure)
                    return
                with self._turn:
                    self._done += 1
                    self._turn.notify_all()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        assert not failures, failures

    def applied_anew(self, times: int = 2) -> None:
        """Wait until it has been applied whole that many times; one may be under way now."""
        with self._turn:
            wanted = self._done + times + 1
            assert self._turn.wait_for(lambda: self._done >= wanted, timeout=30)


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
