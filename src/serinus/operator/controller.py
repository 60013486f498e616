"""The operator at work: caches say what changed, the schedule says what is next, ticks do it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog

from serinus.api.canary import Canary
from serinus.api.decode import Malformed
from serinus.cluster.cache import Cache, Change
from serinus.cluster.kinds import CONFIGMAPS, SECRETS
from serinus.cluster.written import Written
from serinus.executor.execute import Executor, TickReport
from serinus.operator.malformed import Complaints
from serinus.operator.schedule import Key, Schedule
from serinus.operator.telemetry import Telemetry
from serinus.operator.watched import Watched

log = structlog.get_logger(__name__)

Canaries = Cache[Canary | Malformed]

TARGET_KINDS = ("Deployment", "DaemonSet", "Service")

ECHO = 10.0
"""Seconds that a canary waits for the caches to show its own writes before it goes on anyway."""

RETRY = 2.0
"""Seconds until a canary is looked at again after an effect did not hold; twice as many after
each further time, up to its interval."""


class Controller:
    """Looks at each canary when it is due and whenever something that it depends on changes."""

    def __init__(
        self,
        canaries: Canaries,
        caches: dict[str, Cache[Any]],
        executor: Executor,
        telemetry: Telemetry,
        complaints: Complaints,
        minimum_interval: float,
    ) -> None:
        self._canaries = canaries
        self._caches = caches
        self._executor = executor
        self._telemetry = telemetry
        self._complaints = complaints
        self._minimum_interval = minimum_interval
        self._schedule = Schedule()
        self._watched = Watched()
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks: dict[Key, asyncio.Task[None]] = {}
        self._failures: dict[Key, int] = {}

    async def run(self) -> None:
        """Work until cancelled; ticks under way are cancelled too (they may stop anywhere)."""
        leave = [self._canaries.subscribe(self._canary_changed)]
        for kind, cache in self._caches.items():
            leave.append(cache.subscribe(self._poker(kind)))
        known = list(self._canaries.keys())
        for key in known:
            self._know(key)
        self._start(self._executor.collect(self._exists))
        try:
            while True:
                await self._sleep()
                for key in self._schedule.begin(time.monotonic()):
                    self._looks[key] = self._start(self._look(key))
        finally:
            for unsubscribe in leave:
                unsubscribe()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _exists(self, namespace: str, name: str) -> bool:
        """Whether there is such a canary, or may be one where we do not look."""
        elsewhere = self._canaries.namespace not in (None, namespace)
        return elsewhere or self._canaries.get(namespace, name) is not None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _sleep(self) -> None:
        """Until the next canary is due, or a change brings one forward."""
        at = self._schedule.next_at()
        self._awake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                await self._awake.wait()

    # -- what changed ----------------------------------------------------------------------

    def _canary_changed(self, change: Change[Canary | Malformed]) -> None:
        if isinstance(change.old, Canary) and isinstance(change.new, Canary):
            self._telemetry.ended(change.old.status.phase, change.new)
        if isinstance(change.old, Canary) and not isinstance(change.new, Canary):
            self._telemetry.forget(change.old)
        if change.new is None:
            # Of one that cannot be read, only the mark on its route says what was its.
            self._start(
                self._executor.leave(change.old)
                if isinstance(change.old, Canary)
                else self._executor.collect(self._exists)
            )
        if not isinstance(change.new, Malformed):
            self._complaints.withdraw(change.key)
        self._know(change.key)
        if change.old is not None:
            self._free(change.old, change.new)

    def _free(self, old: Canary | Malformed, new: Canary | Malformed | None) -> None:
        """Look at those that wait for the target that a canary has named until now."""
        target = old.target_name
        if new is not None and new.target_name == target:
            return
        kinds = (old.spec.target_ref.kind,) if isinstance(old, Canary) else TARGET_KINDS
        for kind in kinds:
            for key in self._watched.by(kind, old.namespace, target):
                self._schedule.poke(key, time.monotonic())

    def _know(self, key: Key) -> None:
        found = self._canaries.get(*key)
        if isinstance(found, Canary):
            now = time.monotonic()
            interval = found.spec.analysis.interval_seconds(self._minimum_interval)
            self._watched.put(found)
            self._schedule.put(key, interval, now, now - _since_last_step(found))
            self._schedule.poke(key, now)
        else:
            self._watched.drop(key)
            self._schedule.drop(key)
            self._failures.pop(key, None)
            if key in self._looks:
                # It may stop anywhere, and must not act for a canary that is gone.
                self._looks[key].cancel()
            if isinstance(found, Malformed):
                self._complaints.about(found)
        self._awake.set()

    def _poker(self, kind: str) -> Callable[[Change[Any]], None]:
        def changed(change: Change[Any]) -> None:
            for key in self._watched.by(kind, *change.key):
                self._schedule.poke(key, time.monotonic())
                self._awake.set()

        def config_changed(change: Change[Any]) -> None:
            # Which of these a canary depends on is told by its target, not by its spec.
            namespace, name = change.key
            for key in self._watched.within(namespace):
                found = self._canaries.get(*key)
                if isinstance(found, Canary) and self._executor.uses(found, kind, name):
                    self._schedule.poke(key, time.monotonic())
                    self._awake.set()

        return config_changed if kind in (CONFIGMAPS.kind, SECRETS.kind) else changed

    # -- one look --------------------------------------------------------------------------

    async def _look(self, key: Key) -> None:
        canary = self._canaries.get(*key)
        if not isinstance(canary, Canary):
            return
        began = time.monotonic()
        due = self._schedule.due(key, began)
        report = TickReport()
        try:
            report = await self._executor.tick(canary, datetime.now(UTC), due=due)
            await self._see(canary, report.written)
        except Exception as error:
            report.failed = f"{type(error).__name__}: {error}"
            log.error("tick failed", canary=f"{canary.name}.{canary.namespace}", exc_info=error)
        finally:
            self._looks.pop(key, None)
            self._schedule.end(key, stepped=report.stepped)
            self._after(key, canary, report, time.monotonic() - began)

    async def _see(self, canary: Canary, written: list[Written]) -> None:
        """Wait until the caches show what the tick wrote: the next one must not decide on less."""
        for resource, namespace, name, version in written:
            kind = resource.kind
            cache = self._canaries if kind == "Canary" else self._caches[kind]
            if not await cache.reached(namespace, name, version, ECHO):
                log.warning(
                    "the cache does not show our own write yet",
                    canary=f"{canary.name}.{canary.namespace}",
                    kind=kind,
                    name=name,
                )

    def _after(self, key: Key, canary: Canary, report: TickReport, seconds: float) -> None:
        if report.stepped:
            self._telemetry.stepped(canary, seconds)
        for metric, value in report.measured.items():
            self._telemetry.measured(canary, metric, value)
        if report.failed is not None or report.fenced:
            # What fenced it off shows in the cache soon and brings the next look forward; while
            # the watch tells nothing, looking again at once would only be refused again.
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            interval = canary.spec.analysis.interval_seconds(self._minimum_interval)
            wait = min(interval, RETRY * 2.0 ** min(failures - 1, 10))
            self._schedule.poke(key, time.monotonic(), after=wait)
        else:
            self._failures.pop(key, None)
            if report.stepped:
                self._schedule.poke(key, time.monotonic())
        self._awake.set()


def _since_last_step(canary: Canary) -> float:
    """Seconds since the status was last written, as far as its clock can be trusted."""
    last = canary.status.last_transition_time
    if last is None:
        return float("inf")
    return max(0.0, (datetime.now(UTC) - last).total_seconds())
