from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import Missing
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.real_cluster import RealCluster


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


@pytest.fixture(scope="session")
def record_count() -> list[str]:
    """What is put here is printed at the end of the run."""
    return COUNTS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process has counted to the one that tells it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = COUNTS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    COUNTS.extend(getattr(node, "workeroutput", {}).get("faults", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("faults")
        for line in COUNTS:
            terminalreporter.write_line(line)
