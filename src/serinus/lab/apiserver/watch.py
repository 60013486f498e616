"""Watches: a stream of changes from a resourceVersion on.

A watch sleeps on an event of its own; a write wakes only the watches of its collection. Each has
a bounded queue: who reads too slowly is cut off and resumes by resourceVersion.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
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
            raise errors.expired(f"too old resource version: {since} ({self.collection.floor})")
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


def _drain(subscription: Subscription, view: View, matches: Matches) -> bytes:
    """The lines of all waiting changes."""
    lines = []
    while subscription.changes:
        line = _event(subscription.changes.popleft(), view, matches)
        if line is not None:
            lines.append(line)
    return b"".join(lines)


def _begin(
    store: Store, subscription: Subscription, view: View, matches: Matches, options: WatchOptions
) -> bytes:
    """The first lines: the objects as they are, unless the watch resumes."""
    collection = subscription.collection
    lines: list[bytes] = []
    if options.since is None:
        present = sorted(collection.objects.items())
        lines = [view.event("ADDED", entry) for _, entry in present if matches(entry)]
    elif options.since > store.version:
        raise errors.ApiError(
            504, "Timeout", f"Too large resource version: {options.since}, current: {store.version}"
        )
    else:
        subscription.replay(options.since)
    if options.initial_end:
        lines.append(view.bookmark(store.version, initial_end=True))
    return b"".join(lines)


async def stream(
    store: Store, collection: Collection, view: View, matches: Matches, options: WatchOptions
) -> AsyncGenerator[bytes, None]:
    """The lines of a watch, several at a time. Raises 410 before the first line."""
    subscription = Subscription(collection)
    first = _begin(store, subscription, view, matches, options)
    collection.listeners.add(subscription)
    try:
        yield first
        end = time.monotonic() + options.timeout
        while not subscription.overrun:
            if lines := _drain(subscription, view, matches):
                yield lines
            if subscription.changes:
                continue
            subscription.wake.clear()
            left = end - time.monotonic()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(
                    min(left, BOOKMARK_PERIOD) if options.bookmarks else left
                ):
                    await subscription.wake.wait()
            except TimeoutError:
                # Nothing waits, so everything up to the store's version has been sent.
                if options.bookmarks:
                    yield view.bookmark(store.version)
    finally:
        collection.listeners.discard(subscription)
