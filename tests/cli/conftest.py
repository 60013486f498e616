from collections.abc import Iterator

import pytest

from executor.scene import KumaCluster, Scene
from executor.scene import scene as new_scene


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KumaCluster]:
    played = KumaCluster(tmp_path_factory.mktemp("kuma"), "2.14")
    try:
        played.start()
        yield played
    finally:
        played.stop()


@pytest.fixture
def scene(cluster: KumaCluster) -> Iterator[Scene]:
    with new_scene(cluster) as made:
        yield made
