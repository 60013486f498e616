"""When each canary is looked at next: one heap of due times, no task per canary.

A canary is due for a *step* when its interval has passed since the last one; it is *looked at*
whenever something it depends on changes. Looks are cheap (they read caches), so they are only
bundled a little: what one write sets off usually arrives as several events.
"""

import heapq
import itertools
from dataclasses import dataclass

Key = tuple[str, str]

BUNDLE = 0.01
"""Seconds between a change and the look that it asks for."""

EARLY = 0.05
"""Seconds by which a step may come before its interval has passed in full: a timer that fires
a little early must not cost a whole interval."""


@dataclass(slots=True)
class _Slot:
    interval: float
    stepped: float
    """When the last step was begun."""
    grid: float
    """The next time on the canary's own grid of intervals."""
    look: float
    """When it is looked at next."""
    ticket: int = 0
    busy: bool = False


class Schedule:
    """Times are in seconds of one monotonic clock, which the caller reads."""

    def __init__(self) -> None:
        self._slots: dict[Key, _Slot] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._tickets = itertools.count(1)

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, key: Key, interval: float, now: float, last_step: float) -> None:
        """Know a canary, or its new interval; ``last_step`` counts only for a new one."""
        slot = self._slots.get(key)
        if slot is None:
            slot = _Slot(interval, last_step, max(now, last_step + interval), now + BUNDLE)
            self._slots[key] = slot
            self._push(key, slot)
        elif slot.interval != interval:
            slot.grid = max(now, slot.stepped + interval)
            slot.interval = interval
            self._look_at(key, slot, min(slot.look, slot.grid))

    def drop(self, key: Key) -> None:
        """Forget a canary."""
        self._slots.pop(key, None)

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
            while slot.grid <= now + EARLY:
                slot.grid += slot.interval
            slot.look = slot.grid
            found.append(key)
        return found

    def due(self, key: Key, now: float) -> bool:
        """Whether the canary's interval has passed since its last step."""
        slot = self._slots.get(key)
        return slot is not None and now - slot.stepped >= slot.interval - EARLY

    def end(self, key: Key, stepped_at: float | None) -> None:
        """The look is over; ``stepped_at`` is when it was begun if it took a step."""
        slot = self._slots.get(key)
        if slot is None:
            return
        slot.busy = False
        if stepped_at is not None:
            slot.stepped = stepped_at
            slot.grid = stepped_at + slot.interval
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

    def _look_at(self, key: Key, slot: _Slot, at: float) -> None:
        slot.look = at
        if not slot.busy:
            self._push(key, slot)

    def _push(self, key: Key, slot: _Slot) -> None:
        slot.ticket = next(self._tickets)
        heapq.heappush(self._heap, (slot.look, slot.ticket, key))
