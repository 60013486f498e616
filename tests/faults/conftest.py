from collections.abc import Iterator

import pytest

from controlplane import Missing
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.real_cluster import RealCluster
from telling import section


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    try:
        started = RealCluster(tmp_path_factory.mktemp("faults")).__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    yield started
    started.stop()


@pytest.fixture
def scene(cluster: RealCluster) -> Iterator[Scene]:
    cluster.proxy.heal()
    cluster.proxy.failing.clear()
    with new_scene(cluster) as made:
        yield made


COUNTS: list[str] = []

section("faults", lambda: COUNTS)


@pytest.fixture(scope="session")
def record_count() -> list[str]:
    """What is put here is printed at the end of the run."""
    return COUNTS
