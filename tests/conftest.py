"""How the suite is shared out among processes, and how these tell one report.

Most tests wait: for intervals, pods, kernels. So a few run side by side (pytest-xdist), a file at a
time; a folder whose tests share one expensive peer stays together.
"""

from pathlib import Path

import pytest

TOGETHER = frozenset({"conformance", "faults"})
"""Folders with one control plane for all their tests, or one list that all of them fill."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            path = item.path.relative_to(here)
            group = path.parts[0] if path.parts[0] in TOGETHER else str(path)
            item.add_marker(pytest.mark.xdist_group(group))
