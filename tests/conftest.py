"""How the suite is shared out among processes, and how these tell one report.

Most tests wait: for intervals, pods, kernels. So a few run side by side (pytest-xdist), a file at a
time; a folder whose tests share one expensive peer stays together.
"""

from pathlib import PurePath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

TOGETHER = frozenset({"conformance", "faults"})
"""Folders with one control plane for all their tests, or one list that all of them fill."""

APART = frozenset({"tests/story/test_guide.py"})
"""Files whose tests are long, and each has a lab of its own."""


class ByPeers(LoadScopeScheduling):
    """Keeps together what shares a peer."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = PurePath(file).parts[1]
        if folder in TOGETHER:
            return folder
        return nodeid if file in APART else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByPeers(config, log)
