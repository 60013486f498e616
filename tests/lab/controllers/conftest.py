from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.controllers.played_cluster import Cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root: Path = tmp_path_factory.mktemp("cluster")
    played = Cluster(root)
    try:
        played.start()
        yield played
    finally:
        played.stop()
