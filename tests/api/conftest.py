"""Tells the table of Flagger's fields when its tests have run: counts, and with -v each line."""

from collections import Counter

import pytest

from api.appendix import NOT_YET, STATES, table
from telling import section

TITLE = "Flagger's fields (appendix A)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any(item.path.name == "test_appendix.py" for item in items):
        verbose = config.get_verbosity() > 0
        section(TITLE, lambda: _lines(verbose=verbose))


def _lines(*, verbose: bool) -> list[str]:
    lines = list(table())
    told = []
    if verbose:
        told += [f"{line.plural} {line.path}: {line.state}: {line.why}" for line in lines]
    for plural in dict.fromkeys(line.plural for line in lines):
        counted = Counter(line.state for line in lines if line.plural == plural)
        states = ", ".join(f"{counted[state]} {state}" for state in STATES)
        empty = sum(1 for line in lines if line.plural == plural and not line.why)
        told.append(f"{plural}: {counted.total()} paths: {states}; {empty} empty")
    waiting = sorted({line.path for line in lines if line.state == NOT_YET})
    tops = [p for p in waiting if not any(p != q and p.startswith(q) for q in waiting)]
    return [*told, f"not yet: {', '.join(tops) or 'none'}"]
