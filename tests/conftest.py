"""How the suite is shared out among processes, and how these tell one report.

Most tests wait: for intervals, pods, kernels. So a few run side by side (pytest-xdist), a file at a
time; a folder whose tests share one expensive peer stays together.
"""

from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from telling import told

TOGETHER = {
    "tests/conformance/": "conformance",
    "tests/story/": "stories",
    "tests/kuma/test_matrix.py": "stories",
    "tests/kuma/test_upgrade.py": "labs",
    "tests/lab/kubelet/": "labs",
    "tests/lab/controlplane/": "labs",
    "tests/lab/mesh/": "labs",
    "tests/routing/test_obeyed.py": "labs",
}
"""Paths with one control plane for all their tests, or one list that all of them fill; and labs and
other crowds of Envoys, of which only two can run at a time, a large one and a small one: a user has
128 inotify instances, and each Envoy takes several."""


class ByPeers(LoadScopeScheduling):
    """Keeps together what shares a peer."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((name for path, name in TOGETHER.items() if file.startswith(path)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByPeers(config, log)


_OTHERS_TOLD: dict[str, list[str]] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what this process has to tell, if it is not the one that tells it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = told()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for title, lines in getattr(node, "workeroutput", {}).get("told", {}).items():
        known = _OTHERS_TOLD.setdefault(title, [])
        known += [line for line in lines if line not in known]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, lines in (told() | _OTHERS_TOLD).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
