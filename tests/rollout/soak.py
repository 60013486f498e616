"""Play many generated lives on every core, and count: `make soak`."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from rollout.generated import play, story_of

CHUNK = 500


@dataclass
class Tally:
    """What came of a range of seeds; ``broken`` has the first words of each that went wrong."""

    lives: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.lives += other.lives
        self.ends += other.ends
        self.counts += other.counts
        self.broken |= other.broken


def tally(first: int, last: int, *, enough: int = sys.maxsize) -> Tally:
    """Play the seeds from ``first`` up to ``last``, until ``enough`` have gone wrong."""
    result = Tally()
    for seed in range(first, last):
        result.lives += 1
        try:
            life = play(seed)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong is what is looked for)
            result.broken[seed] = f"{type(error).__name__}: {error}"
            if len(result.broken) >= enough:
                break
            continue
        result.ends[f"{life.strategy}: {life.phase}"] += 1
        result.counts += life.counts
    return result


def soak(lives: int, first: int, cores: int) -> Tally:
    """All of them, over the cores."""
    starts = range(first, first + lives, CHUNK)
    ends = [min(start + CHUNK, first + lives) for start in starts]
    total = Tally()
    with ProcessPoolExecutor(cores) as pool:
        for part in pool.map(tally, starts, ends):
            total.add(part)
    return total


def lines(total: Tally, seconds: float) -> Iterator[str]:
    """The counts, for a person."""
    yield f"rollouts: {total.lives} in {seconds:.0f} s ({total.lives / seconds:.0f}/s)"
    for end, count in sorted(total.ends.items()):
        yield f"  {end:40} {count:7}"
    for what in ("ticks", "revisions", "promotions", "rollbacks", "cuts", "failures"):
        yield f"{what}: {total.counts[what]}"
    yield f"broken: {len(total.broken)}"


def main() -> int:
    """Play, print; 1 when anything was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lives", type=int, nargs="?", default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began = time.monotonic()
    total = soak(given.lives, given.first, given.cores)
    write = sys.stdout.write
    for line in lines(total, time.monotonic() - began):
        write(f"{line}\n")
    for seed, error in sorted(total.broken.items())[:5]:
        write(f"\n{error}\n{story_of(seed)}\n")
    return 1 if total.broken else 0


if __name__ == "__main__":
    sys.exit(main())
