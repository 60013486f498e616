"""The run of `kills.py`, 200 rollouts, as `make test-cluster` has it; its counts are printed."""

import pytest

from executor.scene import Scene
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
