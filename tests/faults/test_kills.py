"""The run of `kills.py`, 200 rollouts, as `make test-cluster` has it; its counts are printed.

Shorter ones with the Kumas whose routes stand elsewhere or name Services in another way.
"""

from collections.abc import Iterator

import pytest

from controlplane import Missing
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.kills import Kills
from faults.real_cluster import RealCluster

pytestmark = pytest.mark.controlplane

CANARIES, ROLLOUTS, SEED = 20, 10, 1


@pytest.mark.timeout(500)
def test_kill_9_at_random_moments_through_200_rollouts(
    cluster: RealCluster, scene: Scene, record_count: list[str]
) -> None:
    result = Kills(cluster, scene, CANARIES, ROLLOUTS, SEED).run()
    record_count.append(str(result))
    assert result.broken == []
    assert result.rollouts == CANARIES * ROLLOUTS
    assert result.kills >= CANARIES, "too few to say anything"


@pytest.fixture
def other(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCluster]:
    try:
        with RealCluster(tmp_path_factory.mktemp("kills"), request.param) as started:
            yield started
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("other", ["2.7", "3.0"], indirect=True)
def test_kill_9_at_random_moments_with_another_kuma(
    other: RealCluster, record_count: list[str]
) -> None:
    canaries, rollouts = 4, 3
    with new_scene(other) as scene:
        result = Kills(other, scene, canaries, rollouts, SEED).run()
    record_count.append(f"Kuma {other.version}: {result}")
    assert result.broken == []
    assert result.rollouts == canaries * rollouts
    assert result.kills >= canaries
