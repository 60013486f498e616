"""The same lives of workloads with the lab's controllers and with the real ones.

Recorded and compared as in `test_conformance`. Most of a life is waiting, so several are played
side by side, each in a namespace of its own.
"""

import importlib
from pathlib import Path

import pytest

from conformance.cases import LIVES
from conformance.conftest import Stage
from conformance.report import Report
from conformance.verdict import judge

for _module in sorted(Path(__file__).parent.glob("case_controllers_*.py")):
    importlib.import_module(f"conformance.{_module.stem}")


@pytest.mark.parametrize("which", ["lab", pytest.param("real", marks=pytest.mark.controlplane)])
@pytest.mark.parametrize("life", sorted(LIVES))
def test_life(life: str, which: str, stage: Stage, report: Report) -> None:
    judge(life, which, stage.played(life), report)
