"""Labs are played once each, and what was seen in them is looked at by many tests."""

import pytest

from kuma.stage import DIALECTS, Dialect, Played, play
from kuma.stage_table import rows
from telling import section


class Matrix:
    """What was played so far, by dialect."""

    def __init__(self) -> None:
        self.played: dict[str, Played] = {}

    def of(self, dialect: Dialect) -> Played:
        """What was seen in a dialect. Plays its whole lab, if that was not played yet."""
        if dialect.name not in self.played:
            of_its_lab = [one for one in DIALECTS if one.world == dialect.world]
            # For the tests that come after one in which this raised.
            unfinished = Played(wrong=["its lab was not played to its end"])
            self.played |= dict.fromkeys((one.name for one in of_its_lab), unfinished)
            self.played |= play(of_its_lab)
        return self.played[dialect.name]


_MATRIX = Matrix()
section("Kuma: requests to each side", lambda: rows(_MATRIX.played))


@pytest.fixture
def played(dialect: Dialect) -> Played:
    return _MATRIX.of(dialect)
