"""The register of cases: functions that talk to a server. Modules `case_*.py` fill it."""

from collections.abc import Callable

from conformance.talk import Talk

Case = Callable[[Talk], None]

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """A case is known by its module's subject and its own name: ``patches/json_test_fails``."""
    subject = function.__module__.rpartition("case_")[2]
    CASES[f"{subject}/{function.__name__}"] = function
    return function
