from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conformance.differences import KNOWN
from conformance.lab_server import LabServer
from conformance.talk import Server
from controlplane import ControlPlane, Missing

QUIET_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)
"""Those that deletions and new namespaces need; with more, Deployments would not stay as they are
written."""


@dataclass
class Report:
    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """At which of the known places the lab has differed."""


REPORT = Report()


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
    if which not in report.versions:
        report.versions[which] = asked.request("GET", "/version").json["gitVersion"]
    report.cases[which] = report.cases.get(which, 0) + 1
    return asked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not REPORT.cases:
        return
    terminalreporter.section("conformance")
    for which, count in sorted(REPORT.cases.items()):
        name = "the lab's API server" if which == "lab" else "kube-apiserver"
        terminalreporter.write_line(f"{count} cases on {name} {REPORT.versions[which]}")
    terminalreporter.write_line("known differences of the lab, and in how many places:")
    for one in KNOWN:
        terminalreporter.write_line(f"  {len(one.places):2} {one.reason}")
