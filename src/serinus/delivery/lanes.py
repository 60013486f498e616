"""Deliveries in the background: each lane in its order, and no lane behind another.

Who puts something in never waits and never fails. A lane is one receiver, or whatever else must
keep an order of its own; what goes wrong in it is told in the log, with how much was lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

L = TypeVar("L", bound=Hashable)
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Lanes(Generic[L, T]):
    """Keep `run` running in a task and `close` it at the end.

    ``deliver`` is awaited with one item of a lane after the other. What it returns is why nobody is
    there to take it, or None; when nobody is, all that waits in the lane is dropped, for people
    want to know what is, not what was. ``take`` says what comes next of what waits (which is never
    empty), and may make one of several. More than ``room`` items do not wait: the oldest goes.
    ``what`` names the items in the log, ``str`` of a lane must be fit for it.
    """

    def __init__(
        self,
        what: str,
        deliver: Callable[[L, T], Awaitable[str | None]],
        *,
        room: int,
        take: Callable[[deque[T]], T] = deque.popleft,
    ) -> None:
        self.dropped = 0
        """Items that were given up, in all lanes together."""
        self._what = what
        self._deliver = deliver
        self._room = room
        self._take = take
        self._waiting: dict[L, deque[T]] = {}
        self._overflowed: dict[L, int] = {}
        self._opened: asyncio.Queue[L] = asyncio.Queue()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def waiting(self) -> int:
        """How many items wait; those under way are not counted."""
        return sum(len(waiting) for waiting in self._waiting.values())

    def put(self, lane: L, item: T) -> None:
        """Have this delivered; returns at once."""
        waiting = self._waiting.get(lane)
        if waiting is None:
            waiting = self._waiting[lane] = deque()
            self._opened.put_nowait(lane)
            self._empty.clear()
        if len(waiting) >= self._room:
            waiting.popleft()
            self._overflowed[lane] = self._overflowed.get(lane, 0) + 1
        waiting.append(item)

    async def run(self) -> None:
        """Deliver what is put in, for ever; raises only what is a bug."""
        async with asyncio.TaskGroup() as workers:
            while True:
                workers.create_task(self._work(await self._opened.get()))

    async def close(self, timeout: float = 5.0) -> None:
        """Let `run`, which must still be running, deliver what is left, for ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            for lane, waiting in self._waiting.items():
                # One of them is under way.
                self._drop(lane, 1 + len(waiting), "Serinus ended before they were delivered")
                waiting.clear()

    async def _work(self, lane: L) -> None:
        waiting = self._waiting[lane]
        while waiting:
            nobody = await self._deliver(lane, self._take(waiting))
            overflowed = self._overflowed.pop(lane, 0)
            if overflowed:
                self._drop(lane, overflowed, f"more than {self._room} were waiting")
            if nobody is not None:
                self._drop(lane, 1 + len(waiting), nobody)
                waiting.clear()
        del self._waiting[lane]
        if not self._waiting:
            self._empty.set()

    def _drop(self, lane: L, count: int, why: str) -> None:
        self.dropped += count
        log.warning(f"{self._what} dropped", to=str(lane), count=count, why=why)
