"""What a run tells at its end beside its counts: sections that folders of tests fill.

The process that ran the tests has the lines; with several (pytest-xdist), the one that talks to
people gets them handed over. A section's tests run in one process (`conftest.TOGETHER`).
"""

from collections.abc import Callable

Lines = Callable[[], list[str]]

_SECTIONS: dict[str, Lines] = {}


def section(title: str, lines: Lines) -> None:
    """Have ``lines`` asked at the end; a section without any is left out."""
    _SECTIONS[title] = lines


def told() -> dict[str, list[str]]:
    """The sections of this process that have something to say."""
    found = {title: lines() for title, lines in _SECTIONS.items()}
    return {title: lines for title, lines in found.items() if lines}
