from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.cases import LIVES
from conformance.lab_server import LabServer
from conformance.life import Life
from conformance.report import REPORT, Report
from conformance.talk import Server
from controlplane import ControlPlane, Missing
from telling import section

QUIET_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)
"""Those that deletions and new namespaces need; with more, Deployments would not stay as they are
written."""

AT_ONCE = 8
"""Lives played side by side."""

section("conformance", lambda: REPORT.lines() if REPORT.versions else [])


@pytest.fixture(scope="session")
def report() -> Report:
    return REPORT


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    root: Path = tmp_path_factory.mktemp("real")
    try:
        plane = ControlPlane(
            root, users={"bob": ()}, controllers=QUIET_CONTROLLERS, kubelet=False
        ).__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    yield plane
    plane.stop()


@pytest.fixture
def server(which: str, request: pytest.FixtureRequest, report: Report) -> Server:
    asked: Server = request.getfixturevalue(f"{which}_server")
    report.versions.setdefault(which, _version(asked))
    report.cases[which] = report.cases.get(which, 0) + 1
    return asked


class Stage:
    """Plays lives on one server, as many side by side as `AT_ONCE`."""

    def __init__(self, server: Server, lives: list[str]) -> None:
        self.server = server
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._playing: dict[str, Future[Life]] = {
            one: self._pool.submit(self._play, one) for one in lives
        }

    def _play(self, life: str) -> Life:
        talk = Life.begin(self.server, life)
        LIVES[life](talk)
        return talk

    def played(self, life: str) -> Life:
        """The life when it is over; raises what went wrong in it."""
        return self._playing[life].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def lab_stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    with LabServer(tmp_path_factory.mktemp("lab-stage"), lively=True) as server:
        made = Stage(server, _asked_for(request, "lab"))
        yield made
        made.close()


@pytest.fixture(scope="session")
def real_stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    try:
        plane = ControlPlane(tmp_path_factory.mktemp("real-stage")).__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    made = Stage(plane, _asked_for(request, "real"))
    yield made
    made.close()
    plane.stop()


@pytest.fixture
def stage(which: str, request: pytest.FixtureRequest, report: Report) -> Stage:
    asked: Stage = request.getfixturevalue(f"{which}_stage")
    report.versions.setdefault(which, _version(asked.server))
    report.lives[which] = report.lives.get(which, 0) + 1
    return asked


def _asked_for(request: pytest.FixtureRequest, which: str) -> list[str]:
    """The lives that this run has chosen, in its order."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return [str(one["life"]) for one in calls if "life" in one and one.get("which") == which]


def _version(server: Server) -> str:
    return str(server.request("GET", "/version").json["gitVersion"])
