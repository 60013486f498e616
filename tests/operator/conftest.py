from collections.abc import Callable, Iterator

import pytest

from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene


@pytest.fixture(scope="package")
def kuma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], KumaCluster]]:
    """A cluster with that Kuma, started when it is first asked for."""
    started: dict[str, KumaCluster] = {}

    def cluster(version: str) -> KumaCluster:
        if version not in started:
            started[version] = KumaCluster(tmp_path_factory.mktemp("kuma"), version)
            started[version].start()
        return started[version]

    yield cluster
    for one in started.values():
        one.stop()


@pytest.fixture
def version() -> str:
    """Which Kuma; tests that are about both say so."""
    return "2.14"


@pytest.fixture
def scene(kuma: Callable[[str], KumaCluster], version: str) -> Iterator[Scene]:
    with new_scene(kuma(version)) as made:
        yield made
