"""Watches: a stream of changes from a resourceVersion on.

A watch sleeps on an event of its own; a write wakes only the watches of its collection. Each has
a bounded queue: who reads too slowly is cut off and resumes by resourceVersion.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import View
from serinus.lab.apiserver.store import Change, Collection, Entry, Store

QUEUE_LENGTH: Final = 4096
BOOKMARK_PERIOD: Final = 50.0
"""Seconds between bookmarks; clients take a minute's silence for a dead connection."""

Matches = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``since`` None starts with the objects as they are; ``timeout`` in seconds."""

    since: int | None
    bookmarks: bool
    initial_end: bool
    timeout: float


@dataclass(slots=True, eq=False)
class Subscription:
    """The changes of one collection that a watch has not sent yet."""

    collection: Collection
    changes: deque[Change] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    overrun: bool = False

    def __call__(self, change: Change) -> None:
        if len(self.changes) >= QUEUE_LENGTH:
            self.overrun = True
            self.collection.listeners.discard(self)
        else:
            self.changes.append(change)
        self.wake.set()

    def replay(self, since: int) -> None:
        """Takes what the log has after ``since``; 410 if the log begins later."""
        if since < self.collection.floor:
            raise errors.expired(
                f"too old resource version: {since} ({self.collection.floor})"
            )
        self.changes.extend(change for change in self.collection.log if change.version > since)


def _event(change: Change, view: View, matches: Matches) -> bytes | None:
    """The change as this watch sees it: an object that leaves the selection is DELETED."""
    before = change.before is not None and matches(change.before)
    now = matches(change.entry)
    if change.type == "DELETED":
        return view.event("DELETED", change.entry) if before else None
    if now:
        return view.event("MODIFIED" if before else "ADDED", change.entry)
    return view.event("DELETED", change.entry) if before else None


async def stream(
    store: Store, collection: Collection, view: View, matches: Matches, options: WatchOptions
) -> AsyncIterator[bytes]:
    """The lines of a watch, several at a time. Raises 410 before the first line."""
    subscription = Subscription(collection)
    initial: list[Entry] = []
    if options.since is None:
        initial = [entry for _, entry in sorted(collection.objects.items()) if matches(entry)]
    elif options.since > store.version:
        raise errors.ApiError(
            504, "Timeout", f"Too large resource version: {options.since}, current: {store.version}"
        )
    else:
        subscription.replay(options.since)
    seen = store.version
    collection.listeners.add(subscription)
    try:
        lines = [view.event("ADDED", entry) for entry in initial]
        if options.initial_end:
            lines.append(view.bookmark(seen, initial_end=True))
        yield b"".join(lines)
        end = time.monotonic() + options.timeout
        while not subscription.overrun:
            if not subscription.changes:
                subscription.wake.clear()
                left = end - time.monotonic()
                if left <= 0:
                    return
                pause = min(left, BOOKMARK_PERIOD) if options.bookmarks else left
                try:
                    async with asyncio.timeout(pause):
                        await subscription.wake.wait()
                except TimeoutError:
                    if options.bookmarks:
                        yield view.bookmark(max(seen, store.version))
                    continue
            lines = []
            while subscription.changes:
                change = subscription.changes.popleft()
                line = _event(change, view, matches)
                if line is not None:
                    lines.append(line)
            if lines:
                yield b"".join(lines)
    finally:
        collection.listeners.discard(subscription)
