"""The same conversations with the lab's API server and with the real one.

What the real one answers is kept in `recorded/`, so the lab is held to it wherever tests run; and
the record is held to the real server wherever its programs have been built. With
``SERINUS_RECORD=1`` the real server's answers are kept anew.
"""

import importlib
import os
from pathlib import Path

import pytest

from conformance.cases import CASES
from conformance.comparison import differences, record, recorded
from conformance.conftest import Report
from conformance.differences import KNOWN
from conformance.talk import Server, Talk

for _module in sorted(Path(__file__).parent.glob("case_*.py")):
    importlib.import_module(f"conformance.{_module.stem}")

SHOWN = 30


def _namespace(case: str) -> str:
    return case.replace("/", "-").replace("_", "-")


def _play(server: Server, case: str) -> Talk:
    name = _namespace(case)
    server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    talk = Talk(server, name)
    talk.until(f"{talk.core}/serviceaccounts/default", lambda seen: seen.get("metadata"))
    talk.until(f"{talk.core}/configmaps/kube-root-ca.crt", lambda seen: seen.get("metadata"))
    CASES[case](talk)
    return talk


@pytest.mark.parametrize("which", ["lab", pytest.param("real", marks=pytest.mark.controlplane)])
@pytest.mark.parametrize("case", sorted(CASES))
def test_case(case: str, which: str, server: Server, report: Report) -> None:
    talk = _play(server, case)
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


def test_known_differences_exist(report: Report) -> None:
    """The list has no place that has been mended."""
    if report.cases.get("lab", 0) < len(CASES):
        pytest.skip("needs every case to have been played on the lab")
    places = {place for one in KNOWN for place in one.places}
    assert not places - report.seen
