"""Events as people and their scripts know them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from cluster.scripted_api import Api, scripted_api, status
from serinus.cluster.events import AGGREGATED_FOR, REMEMBERED, EventRecorder, ObjectRef

CANARY = ObjectRef("flagger.app/v1beta1", "Canary", "test", "podinfo", "u-1", "42")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with scripted_api() as server:
        yield server


@asynccontextmanager
async def recording(api: Api, clock: Clock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(api.client, now=clock)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_same_words_count_up(api: Api) -> None:
    clock = Clock()
    async with recording(api, clock) as recorder:
        recorder.record(CANARY, "Warning", "Synced", "Halt")
        await recorder.close()
        clock.now += timedelta(seconds=30)
        recorder.record(CANARY, "Warning", "Synced", "Halt")
        recorder.record(CANARY, "Normal", "Synced", "Advance")
        await recorder.close()
        clock.now += timedelta(seconds=AGGREGATED_FOR + 1)
        recorder.record(CANARY, "Warning", "Synced", "Halt")
        await recorder.close()
    made, counted, other, again = api.requests
    assert made[:2] == ("POST", "/api/v1/namespaces/test/events")
    body = made[4]
    assert body is not None
    name = body["metadata"]["name"]
    assert name.startswith("podinfo.")
    assert body["involvedObject"] == {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "namespace": "test",
        "name": "podinfo",
        "uid": "u-1",
        "resourceVersion": "42",
    }
    assert (body["type"], body["reason"], body["message"]) == ("Warning", "Synced", "Halt")
    assert body["source"] == {"component": "flagger"}
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2026-01-02T03:04:05Z"
    assert counted[:2] == ("PATCH", f"/api/v1/namespaces/test/events/{name}")
    assert counted[4] == {"count": 2, "lastTimestamp": "2026-01-02T03:04:35Z"}
    assert other[0] == again[0] == "POST"
    assert again[4] is not None and again[4]["count"] == 1


async def test_a_thousand_identical_halts_are_one_event(api: Api) -> None:
    """As of a canary that halts for eight hours, twice a minute."""
    clock = Clock()
    async with recording(api, clock) as recorder:
        for _ in range(1000):
            recorder.record(CANARY, "Warning", "Synced", "Halt")
            await recorder.close()
            clock.now += timedelta(seconds=30)
    methods = [method for method, *_ in api.requests]
    assert methods == ["POST"] + ["PATCH"] * 999
    *_, last = api.requests[-1]
    assert last is not None and last["count"] == 1000


async def test_what_differs_is_told_each_by_itself(api: Api) -> None:
    """A halt that names a figure says another thing each time: one Event per interval, and the
    API server keeps each for an hour. What is remembered of them stays bounded."""
    clock = Clock()
    async with recording(api, clock) as recorder:
        for number in range(REMEMBERED + 100):
            recorder.record(CANARY, "Warning", "Synced", f"Halt {number}")
        await recorder.close(60)
        recorder.record(CANARY, "Warning", "Synced", "Halt 0")
        recorder.record(CANARY, "Warning", "Synced", f"Halt {REMEMBERED + 99}")
        await recorder.close()
    assert [method for method, *_ in api.requests[-2:]] == ["POST", "PATCH"]


async def test_a_forgotten_event_is_made_anew(api: Api) -> None:
    clock = Clock()
    async with recording(api, clock) as recorder:
        recorder.record(CANARY, "Warning", "Synced", "Halt")
        await recorder.close()
        api.answers = [web.json_response(status(404, "NotFound", "gone"), status=404)]
        recorder.record(CANARY, "Warning", "Synced", "Halt")
        await recorder.close()
    assert [request[0] for request in api.requests] == ["POST", "PATCH", "POST"]
    assert recorder.dropped == 0


async def test_a_refusal_stops_nothing(api: Api) -> None:
    api.answers = [web.json_response(status(403, "Forbidden", "no"), status=403)]
    async with recording(api, Clock()) as recorder:
        recorder.record(CANARY, "Normal", "Synced", "one")
        recorder.record(CANARY, "Normal", "Synced", "two")
        await recorder.close()
    assert recorder.dropped == 1
    assert len(api.requests) == 2


async def test_a_full_queue_drops_and_counts(api: Api) -> None:
    recorder = EventRecorder(api.client, queued=2)
    for number in range(5):
        recorder.record(CANARY, "Normal", "Synced", str(number))
    assert recorder.dropped == 3
    await recorder.close(timeout=0)
    assert recorder.dropped == 5


async def test_each_object_hears_in_order_while_another_waits(api: Api) -> None:
    """A writer that hangs on one object's event holds up only those that share it."""
    others_heard, go = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> None:
        if '"first"' in await request.text():
            await go.wait()
        elif len(api.requests) > 3:
            others_heard.set()

    api.on_request = hang
    others = [ObjectRef("v1", "Canary", "test", f"canary-{number}") for number in range(40)]
    async with recording(api, Clock()) as recorder:
        recorder.record(CANARY, "Normal", "Synced", "first")
        for ref in others:
            for message in ("one", "two", "three"):
                recorder.record(ref, "Normal", "Synced", message)
        await others_heard.wait()
        go.set()
        await recorder.close()
    told: dict[str, list[str]] = {}
    for _, _, _, _, body in api.requests:
        assert body is not None
        told.setdefault(body["involvedObject"]["name"], []).append(body["message"])
    assert told.pop("podinfo") == ["first"]
    assert list(told.values()) == [["one", "two", "three"]] * len(others)
