"""When each canary is looked at next: one heap of due times, no task per canary.

A canary is due for a *step* when its interval has passed since the last one; it is *looked at*
whenever something it depends on changes. Looks are cheap (they read caches), so they are only
bundled a little: what one write sets off usually arrives as several events.

Canaries of one interval share the moments at which they are due, so that they also share their
questions to Prometheus (`serinus.metrics.batch`). A canary that begins to take steps may wait for
such a moment, a tenth of its interval at the most; then it keeps to it, to the millisecond. Why so
is in docs/decisions/slots.md.
"""

import heapq
import itertools
import math
from collections import Counter
from dataclasses import dataclass

Key = tuple[str, str]

BUNDLE = 0.01
"""Seconds between a change and the look that it asks for."""

EARLY = 0.05
"""Seconds by which a step may come before its interval has passed in full: a timer that fires
a little early must not cost a whole interval."""

SLOTS = 10
"""How many slots an interval has: a first step waits for the length of one at the most."""

ORDER = (0, 2, 1, 3)
"""A slot's quarters, by when they are resorted to: few canaries all share the first, many are
spread evenly."""

ROOM = 200
"""Canaries in a quarter before the next one is resorted to: as many as one query can be about
(`serinus.metrics.batch.MOST`), and less than a second's work."""

_QUARTERS = SLOTS * len(ORDER)


@dataclass(slots=True)
class _Slot:
    interval: float
    stepped: float
    """When the last step was due that was taken."""
    due: float
    """From when on a step may be taken."""
    grid: float
    """The next time on the canary's own grid of intervals."""
    look: float
    """When it is looked at next."""
    began: float = 0.0
    """The time of the grid at which the present look was due, else when it was begun."""
    regular: bool = False
    """Whether the present look is one of the grid's."""
    quarter: int | None = None
    """Which quarter of a slot it shares, of those in an interval; None while it takes no steps."""
    ticket: int = 0
    busy: bool = False

    @property
    def length(self) -> float:
        """How long a slot is."""
        return self.interval / SLOTS


class Schedule:
    """Times are in seconds of one monotonic clock, which the caller reads."""

    def __init__(self) -> None:
        self._slots: dict[Key, _Slot] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._tickets = itertools.count(1)
        self._sharing: Counter[tuple[float, int]] = Counter()
        """How many canaries share a quarter, by interval and quarter."""

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, key: Key, interval: float, now: float, last_step: float) -> None:
        """Know a canary, or its new interval; ``last_step`` counts only for a new one."""
        slot = self._slots.get(key)
        if slot is None:
            due = last_step + interval
            slot = _Slot(interval, last_step, due, max(now, due), now + BUNDLE)
            self._slots[key] = slot
            self._push(key, slot)
        elif slot.interval != interval:
            self._leave(slot)
            slot.interval = interval
            slot.due = slot.stepped + interval
            slot.grid = max(now, slot.due)
            self._look_at(key, slot, min(slot.look, slot.grid))

    def drop(self, key: Key) -> None:
        """Forget a canary."""
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._leave(slot)

    def poke(self, key: Key, now: float, after: float = BUNDLE) -> None:
        """Have the canary looked at soon: something it depends on changed."""
        slot = self._slots.get(key)
        if slot is not None:
            self._look_at(key, slot, min(slot.look, now + after))

    def begin(self, now: float) -> list[Key]:
        """The canaries to look at now; each is busy until `end`."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, ticket, key = heapq.heappop(self._heap)
            slot = self._slots.get(key)
            if slot is None or slot.ticket != ticket or slot.busy:
                continue
            slot.busy = True
            slot.began, slot.regular = now, False
            while slot.grid <= now + EARLY:
                # A look that is late goes on counting from when it was due, else canaries would
                # leave their slots under load, and that would make more load. One that is very
                # late does not: two steps must not follow each other closely.
                if now - slot.grid <= slot.length:
                    slot.began, slot.regular = slot.grid, True
                slot.grid += slot.interval
            slot.look = math.inf
            found.append(key)
        return found

    def due(self, key: Key, now: float) -> bool:
        """Whether the canary's interval has passed since its last step."""
        slot = self._slots.get(key)
        return slot is not None and now >= slot.due - EARLY

    def end(self, key: Key, *, stepped: bool) -> None:
        """The look is over; ``stepped`` tells whether it took a step."""
        slot = self._slots.get(key)
        if slot is None:
            return
        slot.busy = False
        if stepped:
            slot.stepped = slot.began
            if slot.regular and slot.quarter is not None:
                slot.due = slot.grid = slot.began + slot.interval
            else:
                self._leave(slot)
                slot.due = slot.grid = self._join(slot, slot.began + slot.interval)
        elif slot.regular:
            self._leave(slot)
        self._look_at(key, slot, min(slot.look, slot.grid))

    def next_at(self) -> float | None:
        """When there will be something to do; None when nothing is known."""
        while self._heap:
            at, ticket, key = self._heap[0]
            slot = self._slots.get(key)
            if slot is not None and slot.ticket == ticket and not slot.busy:
                return at
            heapq.heappop(self._heap)
        return None

    def _join(self, slot: _Slot, earliest: float) -> float:
        """Share the best of the moments that come within the length of a slot; which one."""
        length = slot.interval / _QUARTERS
        # The allowance keeps a moment that is a rounding error ahead from being missed.
        first = math.ceil(earliest / length - 1e-6)

        def cost(moment: int) -> tuple[int, int]:
            shared = self._sharing[slot.interval, moment % _QUARTERS]
            return shared if shared >= ROOM else 0, ORDER.index(moment % len(ORDER))

        best = min(range(first, first + len(ORDER)), key=cost)
        slot.quarter = best % _QUARTERS
        self._sharing[slot.interval, slot.quarter] += 1
        return best * length

    def _leave(self, slot: _Slot) -> None:
        if slot.quarter is not None:
            self._sharing[slot.interval, slot.quarter] -= 1
            slot.quarter = None

    def _look_at(self, key: Key, slot: _Slot, at: float) -> None:
        slot.look = at
        if not slot.busy:
            self._push(key, slot)

    def _push(self, key: Key, slot: _Slot) -> None:
        slot.ticket = next(self._tickets)
        heapq.heappush(self._heap, (slot.look, slot.ticket, key))
