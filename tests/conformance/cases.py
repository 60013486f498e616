"""The registers of cases: functions that talk to a server. Modules `case_*.py` fill them."""

from collections.abc import Callable

from conformance.life import Life
from conformance.talk import Talk

Case = Callable[[Talk], None]
LifeCase = Callable[[Life], None]

CASES: dict[str, Case] = {}
"""Played on a server whose Deployments and Pods stay as they are written."""

LIVES: dict[str, LifeCase] = {}
"""Played on a server with its controllers."""


def case(function: Case) -> Case:
    """A case is known by its module's subject and its own name: ``patches/json_test_fails``."""
    CASES[_name(function)] = function
    return function


def life(function: LifeCase) -> LifeCase:
    """A case in which controllers act: ``controllers_deployments/rollback``."""
    LIVES[_name(function)] = function
    return function


def _name(function: Callable[..., None]) -> str:
    subject = function.__module__.rpartition("case_")[2]
    return f"{subject}/{function.__name__}"
