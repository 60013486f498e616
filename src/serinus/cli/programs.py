"""The programs that run in pods. Their flags are Go's: they read the raw words themselves."""

from collections.abc import Sequence
from importlib import import_module

MODULES = {"operator": "serinus.operator.main", "loadtester": "serinus.loadtester.__main__"}
"""Command -> module whose `main(words)` is the program."""


def run(name: str, words: Sequence[str]) -> int:
    """Run a program to its end; its exit status."""
    status: int = import_module(MODULES[name]).main(words)
    return status
