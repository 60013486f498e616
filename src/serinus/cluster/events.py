"""Telling people, by core v1 Events, what happened to an object.

As client-go does it: the same words about the same object within a while are one Event whose
``count`` goes up. Recording never waits and never fails: events are for people, and a rollout
must not depend on them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, NotFound, Unreachable
from serinus.cluster.kinds import EVENTS

EventType = Literal["Normal", "Warning"]

AGGREGATED_FOR = 600.0
"""Seconds since its last repetition in which an Event may still count up; then a new one is made.
The API server forgets an Event after an hour without a write."""

REMEMBERED = 4096
QUEUED = 10_000

WRITERS = 8
"""How many events are being written at the same time, of different objects: one after the other,
a thousand canaries' would be told many seconds late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that an event is about. ``namespace`` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class _Occurrence:
    ref: ObjectRef
    type: EventType
    reason: str
    message: str
    at: datetime

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for occurrences that are told by one Event."""
        ref = self.ref
        return (
            ref.api_version,
            ref.kind,
            ref.namespace,
            ref.name,
            ref.uid,
            self.type,
            self.reason,
            self.message,
        )


@dataclass(slots=True)
class _Told:
    name: str
    count: int
    last: datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EventRecorder:
    """Writes events in the background; run `run` in a task and `close` at the end.

    ``component`` is the Event's source; users filter by ``flagger``. When ``queued`` occurrences
    wait already (the server is away), further ones are ``dropped``, and counted.
    """

    def __init__(
        self,
        client: Client,
        component: str = "flagger",
        *,
        queued: int = QUEUED,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.dropped = 0
        self._client = client
        self._component = component
        self._room = queued
        self._queues: tuple[asyncio.Queue[_Occurrence], ...] = tuple(
            asyncio.Queue() for _ in range(WRITERS)
        )
        self._told: OrderedDict[tuple[object, ...], _Told] = OrderedDict()
        self._now = now

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str) -> None:
        """Have this told; returns at once."""
        if self._waiting() >= self._room:
            self.dropped += 1
            return
        # An object has always the same writer, which keeps its events in their order.
        queue = self._queues[hash((ref.kind, ref.namespace, ref.name)) % WRITERS]
        queue.put_nowait(_Occurrence(ref, type, reason, message, self._now()))

    def _waiting(self) -> int:
        return sum(queue.qsize() for queue in self._queues)

    async def run(self) -> None:
        """Write what is recorded, each object's in its order, for ever."""
        async with asyncio.TaskGroup() as writers:
            for queue in self._queues:
                writers.create_task(self._write_all(queue))

    async def _write_all(self, queue: asyncio.Queue[_Occurrence]) -> None:
        while True:
            occurrence = await queue.get()
            try:
                await self._write(occurrence)
            except (ApiError, Unreachable) as error:
                self.dropped += 1
                log.warning(
                    "event not written",
                    kind=occurrence.ref.kind,
                    namespace=occurrence.ref.namespace,
                    name=occurrence.ref.name,
                    message=occurrence.message,
                    error=str(error),
                )
            finally:
                queue.task_done()

    async def close(self, timeout: float = 5.0) -> None:
        """Let `run`, which must still be running, write what is left, for ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                for queue in self._queues:
                    await queue.join()
        except TimeoutError:
            self.dropped += self._waiting()
            log.warning("events left unwritten", count=self._waiting())

    async def _write(self, occurrence: _Occurrence) -> None:
        told = self._told.get(occurrence.same)
        recent = told and (occurrence.at - told.last).total_seconds() <= AGGREGATED_FOR
        if not (told and recent and await self._count_up(told, occurrence)):
            told = await self._make(occurrence)
        self._told[occurrence.same] = told
        self._told.move_to_end(occurrence.same)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def _count_up(self, told: _Told, occurrence: _Occurrence) -> bool:
        """Whether the Event was still there to be counted up."""
        body = {"count": told.count + 1, "lastTimestamp": _timestamp(occurrence.at)}
        try:
            await self._client.patch(EVENTS, _home(occurrence.ref), told.name, body)
        except NotFound:
            return False
        told.count += 1
        told.last = occurrence.at
        return True

    async def _make(self, occurrence: _Occurrence) -> _Told:
        ref = occurrence.ref
        nanoseconds = int(occurrence.at.timestamp() * 1_000_000) * 1000
        # Long names are cut: an Event's name may have 253 characters, as the object's may.
        name = f"{ref.name[:236]}.{nanoseconds:x}"
        involved = {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": ref.uid,
            "resourceVersion": ref.resource_version,
        }
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": _home(ref)},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "type": occurrence.type,
            "reason": occurrence.reason,
            "message": occurrence.message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "firstTimestamp": _timestamp(occurrence.at),
            "lastTimestamp": _timestamp(occurrence.at),
            "count": 1,
        }
        await self._client.create(EVENTS, _home(ref), body)
        return _Told(name, 1, occurrence.at)


def _home(ref: ObjectRef) -> str:
    """Events about cluster-scoped objects live in ``default``."""
    return ref.namespace or "default"


def _timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
