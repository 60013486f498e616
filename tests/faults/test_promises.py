"""What docs/security.md promises under faults, each on the real API server."""

import time
from itertools import pairwise

import pytest

from executor.peers import Request
from executor.scene import Scene
from faults.invariants import expected_splits, replay
from faults.proxy import Drop, Hang, Proxy, Refuse, Rule

pytestmark = pytest.mark.controlplane

STATUS = r"/canaries/[^/]+/status"
SILENCE = 75.0
"""Seconds after which a frozen watch has been noticed."""


def proxy_of(scene: Scene) -> Proxy:
    assert isinstance(scene.peers, Proxy)
    return scene.peers


def replayed(scene: Scene) -> list[str]:
    """What did not hold."""
    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    history = [*scene.canaries.history, *scene.routes.history, *scene.deployments.history]
    seen = replay("podinfo", history)
    return seen.broken


def await_split(scene: Scene, weight: int) -> None:
    """Until so much traffic goes to the canary; the status says so a moment earlier."""
    scene.routes.until(lambda: scene.weights()[-1:] == [(100 - weight, weight)], weight)


def status_writes(scene: Scene, words: bytes = b"") -> list[Request]:
    return [
        seen
        for seen in list(scene.peers.requests)
        if seen.writes and seen.path.endswith("/status") and words in seen.body
    ]


@pytest.mark.timeout(240)
def test_a_frozen_watch_is_noticed_and_the_rollback_goes_on(scene: Scene) -> None:
    proxy = proxy_of(scene)
    scene.start()
    _ = scene.routes, scene.deployments, scene.canaries
    scene.begin(scene.canary(threshold=3))
    scene.release("v2")
    await_split(scene, 25)
    before = len(status_writes(scene))
    frozen = proxy.freeze()
    scene.peers.success = 0.0
    paths = {seen.path for seen in frozen}
    assert len(paths) >= 5
    deadline = time.monotonic() + SILENCE

    def anew() -> set[str]:
        kept = {id(seen) for seen in frozen}
        return {seen.path for seen in list(proxy.watching) if id(seen) not in kept}

    while anew() < paths:
        assert time.monotonic() < deadline, f"still frozen: {paths - anew()}"
        time.sleep(0.05)
    # What it could not see yet it wrote against in vain, but not in a loop.
    assert len(status_writes(scene)) - before < 300
    scene.canaries.until(lambda: scene.phase() == "Failed", "Failed", 60)
    assert replayed(scene) == []
    assert scene.weights() == expected_splits(["Failed"], (25, 50))


def test_a_step_whose_answer_was_lost_still_lasts_an_interval(scene: Scene) -> None:
    proxy = proxy_of(scene)
    scene.start()
    _ = scene.routes, scene.deployments
    scene.begin(scene.canary(interval="2s"))
    proxy.rules = [Rule(Drop(done=True), STATUS, words=b'"canaryWeight":25', times=1)]
    scene.release("v2")
    scene.await_phase("Succeeded")
    first, second = (status_writes(scene, b'"canaryWeight":%d' % weight)[0] for weight in (25, 50))
    assert second.at - first.at > 1.8
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert replayed(scene) == []


BLIND: dict[str, list[Rule]] = {
    "Prometheus hangs": [Rule(Hang(), "^/api/v1/query")],
    "Prometheus is gone": [Rule(Drop(), "^/api/v1/query")],
    "the API server answers every other write with 429": [
        Rule(Refuse(429, 1), r"/(canaries|meshhttproutes)", ("PATCH", "PUT"), chance=0.5)
    ],
    "a write of the route is never answered": [
        Rule(Hang(), "/meshhttproutes/", ("PATCH", "PUT"), times=1)
    ],
    "the answers of half the writes are lost": [
        Rule(Drop(done=True), r"/(canaries|meshhttproutes)", ("PATCH", "PUT"), chance=0.5)
    ],
}
CHECK = 6.0
"""Seconds that a check takes at the most: Prometheus is waited for for 5."""
REQUEST = 40.0
"""Seconds until a write is given up: four times 429 with the longest pause that is obeyed."""


@pytest.mark.parametrize("fault", BLIND)
def test_traffic_leaves_a_failing_canary_within_the_bound(scene: Scene, fault: str) -> None:
    proxy = proxy_of(scene)
    scene.start()
    _ = scene.routes, scene.deployments, scene.canaries
    threshold, interval = 3, 1.0
    scene.begin(scene.canary(threshold=threshold, interval="1s"))
    scene.release("v2")
    await_split(scene, 25)
    proxy.rules = BLIND[fault]
    scene.peers.success = 0.0
    bound = (threshold + 1) * max(interval, CHECK)
    if "write" in fault:
        bound += REQUEST
    scene.routes.until(lambda: scene.weights()[-1] == (100, 0), "no traffic", bound)
    proxy.heal()
    scene.canaries.until(lambda: scene.phase() == "Failed", "Failed")
    assert scene.weights() == expected_splits(["Failed"], (25, 50))
    assert replayed(scene) == []


def test_an_api_server_that_is_away_keeps_what_it_has_and_then_goes_on(scene: Scene) -> None:
    """No operator can move traffic then; the bound counts from when writes are possible again."""
    proxy = proxy_of(scene)
    scene.start()
    _ = scene.routes, scene.deployments, scene.canaries
    scene.begin(scene.canary(threshold=3))
    scene.release("v2")
    await_split(scene, 25)
    proxy.cut_off()
    scene.peers.success = 0.0
    time.sleep(3)
    assert scene.weights()[-1] == (75, 25)
    proxy.reconnect()
    scene.routes.until(lambda: scene.weights()[-1] == (100, 0), "no traffic", 45.0)
    scene.await_phase("Failed")
    assert replayed(scene) == []


def test_steps_are_an_interval_apart(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.deployments
    scene.begin(scene.canary(interval="1s", stepWeight=10))
    scene.release("v2")
    scene.await_phase("Succeeded")
    steps = [
        status_writes(scene, b'"canaryWeight":%d' % weight)[0].at for weight in (10, 20, 30, 40, 50)
    ]
    assert min(after - before for before, after in pairwise(steps)) > 0.9
