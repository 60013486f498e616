"""Ten thousand generated lives; `make soak` plays a hundred thousand."""

import pytest

from rollout.generated import story_of
from rollout.soak import tally

LIVES, PARTS = 10_000, 10


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_it_ends_well_and_breaks_nothing(part: int) -> None:
    size = LIVES // PARTS
    found = tally(part * size, (part + 1) * size, enough=3)
    assert not found.broken, "\n\n".join(story_of(seed) for seed in found.broken)
