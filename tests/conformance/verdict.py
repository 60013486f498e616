"""Whether what a server answered is what is recorded of the real one."""

import os

from conformance.comparison import differences, record, recorded
from conformance.differences import KNOWN
from conformance.report import Report
from conformance.talk import Talk

SHOWN = 30


def judge(case: str, which: str, talk: Talk, report: Report) -> None:
    """Fails the test where the two differ, but for the lab's known differences. With
    ``SERINUS_RECORD=1`` the real server's answers are kept anew."""
    if which == "real" and os.environ.get("SERINUS_RECORD"):
        record(case, talk.written)
        return
    expected = recorded(case)
    assert expected is not None, "never recorded: run with SERINUS_RECORD=1"
    found = []
    for where, wanted, got in differences(expected, talk.written):
        known = {place for one in KNOWN if (place := one.covering(case, where))}
        if which == "lab" and known:
            report.seen |= known
        else:
            found.append(f"{where}:\n    real {wanted!r}\n    here {got!r}")
    asked = "\n".join(f"  {index}: {entry['ask']}" for index, entry in enumerate(talk.written))
    assert not found, "\n" + "\n".join(found[:SHOWN]) + f"\nasked:\n{asked}"
