"""One promotion and one rollback under each fault: the same ends, by the same steps, as without.

What the operator did is read by watches of their own on the real API server.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from executor.process import Operator
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.invariants import expected_splits, replay, rollouts
from faults.proxy import Delay, Drop, Hang, Late, Proxy, Refuse, Rule, Truncate
from faults.real_cluster import RealCluster

pytestmark = pytest.mark.controlplane

OURS = r"/(canaries|deployments|services|meshhttproutes|trafficroutes)"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
PROMETHEUS = "^/api/v1/query"
WATCHES = "watch=true"
PATIENCE = 90.0

NOTHING: list[Rule] = []
FAULTS: dict[str, list[Rule]] = {
    "none": NOTHING,
    "slow answers": [Rule(Delay(0.4), OURS, chance=0.3)],
    "writes refused by a cut connection": [Rule(Drop(), OURS, WRITES, chance=0.4, times=6)],
    "writes obeyed, answers lost": [Rule(Drop(done=True), OURS, WRITES, chance=0.4, times=6)],
    "a status is saved, the answer never comes": [
        Rule(Hang(done=True), "/canaries/.*/status", WRITES, words=b'"canaryWeight":25', times=1)
    ],
    "answers cut short": [Rule(Truncate(80), OURS, WRITES, chance=0.4, times=6)],
    "conflicts": [Rule(Refuse(409), OURS, WRITES, chance=0.5, times=8)],
    "429 with Retry-After": [Rule(Refuse(429, 1), OURS, WRITES, chance=0.5, times=8)],
    "500": [Rule(Refuse(500), OURS, WRITES, chance=0.5, times=6)],
    "503 with Retry-After": [Rule(Refuse(503, 1), OURS, WRITES, chance=0.5, times=8)],
    "answers later than newer events": [Rule(Late(), OURS, ("PATCH", "PUT"))],
    "watches cut short within an event": [Rule(Truncate(5_000), WATCHES, times=12)],
    "watches told 410": [Rule(Refuse(410), WATCHES, times=9)],
    "watches that cannot be opened": [Rule(Refuse(503), WATCHES, times=9)],
    "Prometheus hangs": [Rule(Hang(), PROMETHEUS, times=2)],
    "Prometheus hangs up": [Rule(Drop(), PROMETHEUS, times=3)],
    "Prometheus answers in part": [Rule(Truncate(60), PROMETHEUS, times=3)],
    "Prometheus answers 500": [Rule(Refuse(500), PROMETHEUS, times=3)],
    "Prometheus answers 429": [Rule(Refuse(429, 1), PROMETHEUS, times=3)],
    "Prometheus is slow": [Rule(Delay(0.5), PROMETHEUS)],
}
"""Faults that keep an operator from its ends for ever are no cases here: each comes so many times
that the canary's threshold bears it."""

THRESHOLD = 12


@dataclass
class Stage:
    """A canary that is initialized, an operator, and the versions rolled out so far."""

    scene: Scene
    operator: Operator
    releases: int = 1
    primary: str = "play:v1"
    ends: list[str] = field(default_factory=list)

    def roll_out(self, good: bool) -> None:
        """Release another version; returns at the end that it should have."""
        scene = self.scene
        self.releases += 1
        tag = f"v{self.releases}"
        scene.peers.success = 100.0 if good else 0.0
        end = "Succeeded" if good else "Failed"
        self.ends.append(end)
        if good:
            self.primary = f"play:{tag}"
        scene.release(tag)
        scene.canaries.until(
            lambda: rollouts(scene.phases())[len(self.ends) - 1 :], f"{tag} to end", PATIENCE
        )
        assert rollouts(scene.phases()) == self.ends


@pytest.fixture(scope="module")
def stage(cluster: RealCluster) -> Iterator[Stage]:
    yield from staged(cluster)


def staged(cluster: RealCluster) -> Iterator[Stage]:
    cluster.proxy.heal()
    with new_scene(cluster) as scene:
        _ = scene.routes, scene.events, scene.deployments, scene.canaries
        operator = scene.start()
        scene.begin(scene.canary(threshold=THRESHOLD))
        yield Stage(scene, operator)


@pytest.mark.parametrize("fault", FAULTS)
def test_same_ends_by_the_same_steps(stage: Stage, fault: str) -> None:
    same_ends(stage, fault, FAULTS[fault])


def same_ends(stage: Stage, fault: str, rules: list[Rule]) -> None:
    """Play a promotion and a rollback under these rules, and judge them."""
    scene, proxy = stage.scene, stage.scene.peers
    assert isinstance(proxy, Proxy)
    proxy.chances = random.Random(fault)
    proxy.rules = rules
    told = scene.messages()
    if any(rule.path == WATCHES for rule in rules):
        proxy.drop_watches()
    try:
        stage.roll_out(good=True)
        stage.roll_out(good=False)
    finally:
        proxy.heal()
    assert [rule.fault for rule in rules if not rule.used] == [], "a fault that did not happen"
    # The last writes of a rollout follow the phase that ends it.
    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    history = [
        *scene.canaries.history,
        *scene.routes.history,
        *scene.deployments.history,
    ]
    seen = replay("podinfo", history)
    assert seen.broken == []
    assert seen.splits == expected_splits(stage.ends, (25, 50))
    assert scene.image("podinfo-primary") == stage.primary
    said = scene.messages()
    name = f"podinfo.{scene.namespace}"
    for weight, most in ((25, 2), (50, 1)):
        words = f"Advance {name} canary weight {weight}"
        assert said[words] - told[words] <= most
    assert stage.operator.runs
    assert [line for line in stage.operator.log() if line["level"] == "error"] == []
