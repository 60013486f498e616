"""How long to wait before trying again."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first`` up to ``longest`` (seconds).

    ``jitter`` draws from [0, 1): each wait is scattered over its upper half, so that the
    operator's caches do not all come back to a restarted server in the same instant.
    """

    first: float = 0.5
    longest: float = 30.0
    jitter: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row (1 or more)."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return whole * (0.5 + 0.5 * self.jitter())
