"""The same conversations with the lab's API server and with the real one.

What the real one answers is kept in `recorded/`, so the lab is held to it wherever tests run; and
the record is held to the real server wherever its programs have been built. With
``SERINUS_RECORD=1`` the real server's answers are kept anew.
"""

import importlib
from pathlib import Path

import pytest

from conformance.cases import CASES
from conformance.report import Report
from conformance.talk import Server, Talk
from conformance.verdict import judge

for _module in sorted(Path(__file__).parent.glob("case_*.py")):
    importlib.import_module(f"conformance.{_module.stem}")


@pytest.mark.parametrize("which", ["lab", pytest.param("real", marks=pytest.mark.controlplane)])
@pytest.mark.parametrize("case", sorted(CASES))
def test_case(case: str, which: str, server: Server, report: Report) -> None:
    talk = Talk.begin(server, case)
    CASES[case](talk)
    judge(case, which, talk, report)
