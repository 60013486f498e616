"""Work by key: what changed is looked at soon, once, and again if that failed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from serinus.cluster.backoff import Backoff
from serinus.cluster.errors import ApiError, Conflict, Unreachable

K = TypeVar("K", bound=Hashable)

WORKERS = 8

log = structlog.get_logger(__name__)


class Behind(Exception):
    """The caches do not show a write of ours yet: to decide now would be to decide on the past."""


class Queue(Generic[K]):
    """Calls ``reconcile`` for every key added, each key at most once at a time.

    ``reconcile`` makes what it finds so, whatever it was that changed; it returns the seconds
    after which to look again without a change, or None. A key that fails comes back after a
    growing delay; a conflict or a cache that lags is a failure that nobody need read about.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        workers: int = WORKERS,
        backoff: Backoff | None = None,
    ) -> None:
        self._log = log.bind(controller=name)
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff or Backoff(first=0.01, longest=30.0)
        self._pending: dict[K, None] = {}
        self._busy: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: Counter[K] = Counter()
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """Have ``key`` looked at as soon as a worker is free."""
        self._pending[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled. Keys added before wait here."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    for key in [key for key in self._pending if key not in self._busy]:
                        if len(self._busy) >= self._workers:
                            break
                        del self._pending[key]
                        self._busy.add(key)
                        group.create_task(self._work(key))
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        try:
            again = await self._reconcile(key)
        except (Conflict, Behind):
            again = self._later(key)
        except (ApiError, Unreachable) as error:
            again = self._later(key)
            self._log.warning("will be tried again", key=key, error=str(error), seconds=again)
        except Exception:  # noqa: BLE001 - one object must not end the care for all others
            again = self._later(key)
            self._log.exception("controller failed", key=key, seconds=again)
        else:
            self._failures.pop(key, None)
        finally:
            self._busy.discard(key)
            self._wake.set()
        if again is not None:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(max(again, 0.0), self.add, key)

    def _later(self, key: K) -> float:
        self._failures[key] += 1
        return self._backoff.delay(self._failures[key])
