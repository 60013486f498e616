"""Prints the table of Flagger's fields when its tests have run: counts, and with -v each line."""

from collections import Counter

import pytest

from api.appendix import NOT_YET, STATES, table


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    ran = {
        report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("passed", [])
    } | {report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("failed", [])}
    if "tests/api/test_appendix.py" not in ran:
        return
    lines = list(table())
    terminalreporter.section("Flagger's fields (appendix A)")
    if config.get_verbosity() > 0:
        for line in lines:
            terminalreporter.write_line(f"{line.plural} {line.path}: {line.state}: {line.why}")
    for plural in dict.fromkeys(line.plural for line in lines):
        counted = Counter(line.state for line in lines if line.plural == plural)
        told = ", ".join(f"{counted[state]} {state}" for state in STATES)
        empty = sum(1 for line in lines if line.plural == plural and not line.why)
        terminalreporter.write_line(f"{plural}: {counted.total()} paths: {told}; {empty} empty")
    waiting = sorted({line.path for line in lines if line.state == NOT_YET})
    tops = [p for p in waiting if not any(p != q and p.startswith(q) for q in waiting)]
    terminalreporter.write_line(f"not yet: {', '.join(tops) or 'none'}")
