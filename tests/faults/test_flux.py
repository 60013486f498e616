"""On the real control plane: manifests without replicas, applied for ever as Flux does."""

import pytest

from executor.git_repository import Repository, server_side
from executor.scene import Scene

pytestmark = pytest.mark.controlplane


def test_nothing_flaps_through_a_promotion_and_a_rollback(scene: Scene) -> None:
    scene.start()
    _ = scene.canaries, scene.events, scene.deployments
    scene.apply(*scene.mesh_services())

    def replicas() -> int:
        return int(scene.deployments.latest["podinfo"]["spec"]["replicas"])

    git = Repository(scene, server_side, [scene.target(tag="v1"), scene.canary(threshold=1)])
    with git.reconciling():
        for tag, end in (("v1", "Initialized"), ("v2", "Succeeded"), ("v3", "Failed")):
            scene.peers.success = 0.0 if end == "Failed" else 100.0
            git.objects = [scene.target(tag=tag), git.objects[1]]
            scene.await_phase(end)
            scene.deployments.until(lambda: replicas() == 0)
            before = scene.generated()
            git.applied_anew()
            assert scene.generated() == before
            assert scene.phase() == end
            assert replicas() == 0
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]
    told = scene.messages()
    assert told[f"New revision detected! Scaling up podinfo.{scene.namespace}"] == 2
    assert not [one for one in told if "Repairing" in one or "Restarting" in one]
