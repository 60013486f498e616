"""Two operators: one acts, the other takes its place, and a leader that slept does nothing."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from executor.peers import Peers, Request
from executor.process import REPOSITORY, Operator
from executor.scene import Scene

LEASE = "flagger-leader-election"
TAKEOVER = 3.0
"""Seconds after a clean stop in which the next one has to act."""

DURATION = 4


class Pair:
    """Operators of one scene, each with its own way to the API server."""

    def __init__(self, scene: Scene, root: Path) -> None:
        self.scene = scene
        self._root = root
        self._peers: list[Peers] = []
        self._operators: list[Operator] = []
        account = REPOSITORY / "deploy/kustomize/kuma/account.yaml"
        scene.within("apply", "-f", str(account))

    def start(self, duration: int = DURATION) -> tuple[Operator, Peers]:
        peers = Peers(self.scene.cluster.address).__enter__()
        self._peers.append(peers)
        config = yaml.safe_load(self.scene.cluster.account.read_text())
        config["clusters"][0]["cluster"]["server"] = peers.api
        path = self._root / f"operator-{len(self._peers)}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        operator = Operator(
            path,
            self._root / f"operator-{len(self._peers)}.log",
            f"-namespace={self.scene.namespace}",
            "-minimum-interval=100ms",
            "-route-propagation=50ms",
            f"-metrics-server={self.scene.peers.http}",
            "-enable-leader-election",
            f"-lease-duration={duration}s",
            "-lease-renew-deadline=1500ms",
            "-lease-retry-period=300ms",
        )
        self._operators.append(operator)
        operator.wait_ready()
        return operator, peers

    def close(self) -> None:
        for operator in self._operators:
            if operator.runs:
                operator.send(signal.SIGCONT)
                operator.stop()
        for peers in self._peers:
            peers.__exit__()

    def lease(self) -> dict[str, object]:
        spec: dict[str, object] = json.loads(self.scene.within("get", "lease", LEASE, "-o", "json"))
        return spec["spec"]  # type: ignore[return-value]


@pytest.fixture
def pair(scene: Scene, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(scene, tmp_path)
    yield made
    made.close()


def leads(operator: Operator) -> bool:
    return "serinus_leader 1.0" in operator.get("/metrics")[1]


def until_leads(operator: Operator, patience: float) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not leads(operator):
        assert time.monotonic() - began < patience, operator.log()
        time.sleep(0.02)
    return time.monotonic() - began


def works(requests: list[Request]) -> list[str]:
    """Writes, but for those of the election itself."""
    return [str(one) for one in requests if one.writes and "/leases" not in one.path]


def test_one_acts_and_the_other_stands_by_until_it_stops(scene: Scene, pair: Pair) -> None:
    first, _ = pair.start()
    until_leads(first, 10)
    second, peers = pair.start()
    _ = scene.routes
    assert not leads(second)
    assert second.get("/readyz") == (200, "OK\n")
    assert f'namespace="{scene.namespace}"' not in second.get("/metrics")[1]
    held = pair.lease()
    assert held["leaseDurationSeconds"] == DURATION and held["leaseTransitions"] == 0
    assert re.fullmatch(r".+_[0-9a-f-]{36}", str(held["holderIdentity"]))
    scene.begin()
    assert works(peers.requests) == []
    scene.release("v2")
    scene.await_weight(25)
    began = time.monotonic()
    assert first.stop() == 0
    until_leads(second, TAKEOVER)
    assert time.monotonic() - began < TAKEOVER
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    assert pair.lease()["leaseTransitions"] == 1
    # The rights of the shipped manifests sufficed, and standing by costs nothing.
    assert [str(one) for one in peers.requests if one.status == 403] == []


def test_a_killed_leader_is_replaced_when_its_lease_runs_out(scene: Scene, pair: Pair) -> None:
    first, _ = pair.start()
    until_leads(first, 10)
    second, _ = pair.start()
    _ = scene.routes
    scene.begin()
    scene.release("v2")
    scene.await_weight(25)
    first.kill()
    first.wait()
    until_leads(second, DURATION + TAKEOVER)
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]


def test_a_leader_that_slept_writes_nothing_when_it_wakes(scene: Scene, pair: Pair) -> None:
    first, peers = pair.start()
    until_leads(first, 10)
    second, _ = pair.start()
    _ = scene.routes
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.await_weight(25)
    first.send(signal.SIGSTOP)
    until_leads(second, DURATION + TAKEOVER)
    scene.await_phase("Succeeded")
    # The next rollout is in the middle when the sleeper wakes: it would have much to do.
    scene.peers.success = 0.0
    scene.release("v3")
    scene.await_weight(25)
    before, held = len(peers.requests), pair.lease()
    first.send(signal.SIGCONT)
    assert first.wait() == 1
    woken = peers.requests[before:]
    assert works(woken) == []
    # A renewal that was on its way is refused: the lease has been written since.
    assert {one.status for one in woken if one.writes} <= {0, 409}
    now = pair.lease()
    assert now == held | {"renewTime": now["renewTime"]}
    assert "lost the lease" in [line["msg"] for line in first.log()]
    assert leads(second)


def test_a_leader_that_is_cut_off_stops_by_itself(scene: Scene, pair: Pair) -> None:
    first, peers = pair.start()
    until_leads(first, 10)
    scene.begin()
    peers.upstream = "http://127.0.0.1:9"
    assert first.wait() == 1
    assert "lost the lease" in [line["msg"] for line in first.log()]
