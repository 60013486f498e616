"""Kuma 1.8: the faults that meet the writes of its TrafficRoutes, and kills.

What else can go wrong has nothing to do with the kind of the route, and is played once, in the
other modules.
"""

from collections.abc import Iterator

import pytest

from controlplane import Missing
from executor.scene import scene as new_scene
from faults.kills import Kills
from faults.proxy import Drop, Hang, Refuse, Rule
from faults.real_cluster import RealCluster
from faults.test_rollouts import WRITES, Stage, same_ends, staged

pytestmark = pytest.mark.controlplane

ROUTES = "/trafficroutes"
FAULTS: dict[str, list[Rule]] = {
    "none": [],
    "writes of the route refused by a cut connection": [
        Rule(Drop(), ROUTES, WRITES, chance=0.6, times=4)
    ],
    "writes of the route obeyed, answers lost": [
        Rule(Drop(done=True), ROUTES, WRITES, chance=0.6, times=4)
    ],
    "a write of the route is never answered": [Rule(Hang(), ROUTES, WRITES, times=1)],
    "conflicts of the route": [Rule(Refuse(409), ROUTES, WRITES, chance=0.6, times=5)],
}

CANARIES, ROLLOUTS, SEED = 6, 4, 2


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A control plane with Kuma 1.8's kinds."""
    try:
        started = RealCluster(tmp_path_factory.mktemp("faults-1.8"), "1.8").__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def stage(old: RealCluster) -> Iterator[Stage]:
    yield from staged(old)


@pytest.mark.parametrize("fault", FAULTS)
def test_same_ends_by_the_same_steps_of_a_traffic_route(stage: Stage, fault: str) -> None:
    assert stage.scene.by_traffic_route
    same_ends(stage, fault, FAULTS[fault])


@pytest.mark.timeout(300)
def test_kill_9_at_random_moments_with_traffic_routes(
    old: RealCluster, record_count: list[str]
) -> None:
    old.proxy.heal()
    with new_scene(old) as scene:
        result = Kills(old, scene, CANARIES, ROLLOUTS, SEED).run()
    record_count.append(f"TrafficRoutes: {result}")
    assert result.broken == []
    assert result.rollouts == CANARIES * ROLLOUTS
    assert result.kills >= CANARIES
