"""Killed between any two of its writes, the operator comes to the same end by the same steps."""

import random

import pytest

from executor.peers import Cut
from executor.scene import Scene

KILLS = 12


class Killer:
    """Kills an operator around one of its next writes, and has another one started."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._random = random.Random(seed)
        self.kills = 0

    def until(self, phase: str, kills: int) -> None:
        """Kill up to ``kills`` times on the way to ``phase``."""
        scene, left = self._scene, kills
        while True:
            operator = scene.start()
            if left > 0:
                at, ahead = self._random.randint(1, 4), self._random.random() < 0.5
                scene.peers.cut = Cut(at, ahead, operator.kill)
            scene.canaries.until(lambda: scene.phase() == phase or not operator.runs, phase)  # noqa: B023
            scene.peers.cut = None
            if operator.runs:
                operator.stop()
                return
            operator.wait()
            self.kills += 1
            left -= 1


@pytest.mark.parametrize("seed", [3])
def test_killed_at_any_write(scene: Scene, seed: int) -> None:
    _ = scene.routes, scene.events, scene.deployments
    killer = Killer(scene, seed)
    scene.apply(scene.target(), *scene.mesh_services(), scene.canary())
    killer.until("Initialized", 3)
    scene.release("v2")
    killer.until("Succeeded", KILLS // 2)
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    scene.peers.success = 0.0
    scene.release("v3")
    killer.until("Failed", KILLS // 2)
    assert scene.weights()[4:] == [(75, 25), (100, 0)]
    assert killer.kills >= KILLS * 2 // 3
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]
    assert [phase for phase in scene.phases() if phase] == [
        *("Initializing", "Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"),
        *("Progressing", "Failed"),
    ]
    name = f"podinfo.{scene.namespace}"
    told = scene.messages()
    assert told[f"Advance {name} canary weight 25"] <= 2, "once in each rollout"
    assert told[f"Advance {name} canary weight 50"] <= 1
    assert scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0
