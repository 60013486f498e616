"""The cache against a server that misbehaves in every way real ones have."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from cluster.scripted_api import Api, Watch, scripted_api, status, thing
from serinus.cluster.backoff import Backoff
from serinus.cluster.cache import PAGE, Cache, Change
from serinus.cluster.kinds import CONFIGMAPS

QUICK = Backoff(first=0.001, longest=0.01, jitter=lambda: 0.0)


def decode(raw: bytes) -> str:
    data = json.loads(raw)["data"]
    if data.get("broken"):
        raise ValueError("broken")
    return str(data.get("v", ""))


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with scripted_api() as server:
        yield server


@asynccontextmanager
async def running(api: Api, silence: float = 70.0) -> AsyncIterator[Cache[str]]:
    cache = Cache(api.client, CONFIGMAPS, decode, silence=silence, backoff=QUICK)
    task = asyncio.create_task(cache.run())
    try:
        yield cache
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the cache has no event for its counters
            await asyncio.sleep(0.002)


async def opened(api: Api) -> Watch:
    """The next watch that the cache opens."""
    async with asyncio.timeout(60):
        return await api.watches.get()


async def test_list_then_watch(api: Api) -> None:
    api.items, api.version = [thing("a", 3, v="1")], 5
    changes: list[Change[str]] = []
    async with running(api) as cache:
        cache.subscribe(changes.append)
        await cache.synced.wait()
        assert cache.get("test", "a") == "1"
        assert cache.resource_version_of("test", "a") == "3"
        watch = await opened(api)
        assert watch.version == "5"
        assert watch.query["allowWatchBookmarks"] == "true"
        await watch.send("MODIFIED", thing("a", 6, v="2"))
        await watch.send("ADDED", thing("b", 7, v="x"))
        await watch.send("DELETED", thing("a", 8, v="2"))
        assert await cache.reached("test", "a", "8", 10)
        assert cache.get("test", "a") is None
        assert list(cache.keys()) == [("test", "b")]
        assert list(cache.values()) == ["x"]
        assert [(c.kind, c.key[1], c.old, c.new) for c in changes] == [
            ("ADDED", "a", None, "1"),
            ("MODIFIED", "a", "1", "2"),
            ("ADDED", "b", None, "x"),
            ("DELETED", "a", "2", None),
        ]


async def test_pages(api: Api) -> None:
    api.items = [thing(f"t{n}", n + 1) for n in range(2 * PAGE + 3)]
    async with running(api) as cache:
        await cache.synced.wait()
        assert len(cache) == 2 * PAGE + 3
        assert [q.get("continue") for q in api.lists] == [None, "500", "1000"]


async def test_a_closed_watch_goes_on_where_it_was(api: Api) -> None:
    api.version = 5
    async with running(api) as cache:
        watch = await opened(api)
        await watch.send("ADDED", thing("a", 6, v="1"))
        await watch.bookmark(90)
        assert await cache.reached("test", "other", "90", 10)
        watch.close()
        again = await opened(api)
        assert again.version == "90"
        assert len(api.lists) == 1
        assert cache.restarts["closed"] == 1


async def test_a_dropped_watch_goes_on_where_it_was(api: Api) -> None:
    api.version = 5
    async with running(api) as cache:
        watch = await opened(api)
        await watch.send("ADDED", thing("a", 6, v="1"))
        assert await cache.reached("test", "a", "6", 10)
        watch.cut()
        again = await opened(api)
        assert again.version == "6"
        assert len(api.lists) == 1
        assert cache.restarts["dropped"] == 1
        await again.send("MODIFIED", thing("a", 7, v="2"))
        assert await cache.reached("test", "a", "7", 10)


async def test_a_half_sent_event_is_a_doubt(api: Api) -> None:
    api.version = 5
    async with running(api) as cache:
        watch = await opened(api)
        await watch.raw(b'{"type":"ADDED","object":{"metadata"\n')
        again = await opened(api)
        assert again.version == "5"
        assert len(api.lists) == 2
        assert cache.restarts["garbled"] == 1


@pytest.mark.parametrize("inside", [True, False])
async def test_410_lists_anew_and_tells_what_is_gone(api: Api, inside: bool) -> None:
    api.items, api.version = [thing("a", 3, v="1"), thing("b", 4, v="1")], 5
    async with running(api) as cache:
        changes: list[Change[str]] = []
        watch = await opened(api)
        cache.subscribe(changes.append)
        gone = status(410, "Expired", "too old resource version: 5 (900)")
        api.items, api.version = [thing("b", 4, v="1"), thing("c", 800, v="1")], 900
        if inside:
            await watch.send("ERROR", gone)
            again = await opened(api)
        else:
            api.refuse_watch = gone
            watch.close()
            await until(lambda: cache.restarts["gone"] > 0)
            api.refuse_watch = None
            again = await opened(api)
        assert again.version == "900"
        assert {(c.kind, c.key[1]) for c in changes} == {("ADDED", "c"), ("DELETED", "a")}
        # What was deleted before the list must not come back by a late event.
        await again.send("MODIFIED", thing("a", 7, v="late"))
        await again.bookmark(901)
        assert await cache.reached("test", "x", "901", 10)
        assert cache.get("test", "a") is None


async def test_another_error_event_is_a_doubt(api: Api) -> None:
    async with running(api) as cache:
        watch = await opened(api)
        await watch.send("ERROR", status(500, "InternalError", "etcd is unhappy"))
        await opened(api)
        assert cache.restarts["error event"] == 1
        assert len(api.lists) == 2


async def test_silence_ends_a_watch(api: Api) -> None:
    api.items, api.version = [thing("a", 3, v="1")], 5
    async with running(api, silence=0.2) as cache:
        await opened(api)
        api.items, api.version = [thing("a", 9, v="2")], 9
        await until(lambda: cache.get("test", "a") == "2")
        assert cache.restarts["silent"] >= 1


async def test_an_older_version_never_shows(api: Api) -> None:
    api.items, api.version = [thing("a", 12, v="12")], 12
    async with running(api) as cache:
        watch = await opened(api)
        shown: list[Change[str]] = []
        cache.subscribe(shown.append)
        await watch.send("MODIFIED", thing("a", 11, v="11"))
        await watch.send("DELETED", thing("a", 10, v="10"))
        await watch.send("MODIFIED", thing("a", 13, v="13"))
        await watch.send("DELETED", thing("a", 14, v="13"))
        await watch.send("MODIFIED", thing("a", 13, v="ghost"))
        await watch.send("ADDED", thing("a", 20, v="new"))
        assert await cache.reached("test", "a", "20", 10)
        assert [(c.kind, c.new) for c in shown] == [
            ("MODIFIED", "13"),
            ("DELETED", None),
            ("ADDED", "new"),
        ]
        assert cache.counts["late"] == 3


async def test_a_list_from_the_past_is_not_believed_at_once(api: Api) -> None:
    api.items, api.version = [thing("a", 50, v="new")], 50
    async with running(api) as cache:
        watch = await opened(api)
        api.items, api.version = [thing("a", 40, v="old")], 40
        await watch.send("ERROR", status(410, "Expired", "too old"))
        await until(lambda: cache.restarts["old list"] > 1)
        assert cache.get("test", "a") == "new"
        # It stays so: the cluster was restored from a backup.
        await until(lambda: cache.get("test", "a") == "old")
        again = await opened(api)
        assert again.version == "40"
        assert cache.restarts["old list"] == 4


async def test_a_bookmark_from_the_past_is_a_doubt(api: Api) -> None:
    api.version = 50
    async with running(api) as cache:
        watch = await opened(api)
        await watch.bookmark(49)
        await opened(api)
        assert cache.restarts["went back"] == 1
        assert len(api.lists) == 2


async def test_what_cannot_be_read_is_kept_out(api: Api) -> None:
    api.items, api.version = [thing("a", 3, v="1"), thing("bad", 4, broken="yes")], 5
    async with running(api) as cache:
        watch = await opened(api)
        assert list(cache.keys()) == [("test", "a")]
        await watch.send("MODIFIED", thing("a", 6, broken="yes"))
        assert await cache.reached("test", "a", "6", 10)
        assert cache.get("test", "a") is None
        await watch.send("MODIFIED", thing("a", 7, v="2"))
        assert await cache.reached("test", "a", "7", 10)
        assert cache.get("test", "a") == "2"
        assert cache.counts["undecodable"] == 2


async def test_a_failing_subscriber_does_not_stop_the_cache(api: Api) -> None:
    async with running(api) as cache:
        heard: list[str] = []

        def fail(change: Change[str]) -> None:
            raise RuntimeError("a bug")

        cache.subscribe(fail)
        leave = cache.subscribe(lambda change: heard.append(change.key[1]))
        watch = await opened(api)
        await watch.send("ADDED", thing("a", 6))
        assert await cache.reached("test", "a", "6", 10)
        leave()
        await watch.send("ADDED", thing("b", 7))
        assert await cache.reached("test", "b", "7", 10)
        assert heard == ["a"]


async def test_reached(api: Api) -> None:
    api.items, api.version = [thing("a", 3, v="1")], 5
    async with running(api) as cache:
        watch = await opened(api)
        assert await cache.reached("test", "a", "2", 0)
        assert not await cache.reached("test", "a", "6", 0.01)
        # Another object's event does not make this one's version shown.
        waiting = asyncio.create_task(cache.reached("test", "a", "6", 10))
        await watch.send("ADDED", thing("b", 7))
        assert await cache.reached("test", "b", "7", 10)
        assert not waiting.done()
        await watch.send("MODIFIED", thing("a", 9, v="2"))
        assert await waiting
        # An object that is not there yet.
        new = asyncio.create_task(cache.reached("test", "new", "10", 10))
        await asyncio.sleep(0)
        assert not new.done()
        await watch.send("ADDED", thing("new", 10))
        assert await new


async def test_a_refused_list_is_told_and_tried_again(api: Api) -> None:
    from aiohttp import web

    forbidden = status(403, "Forbidden", 'configmaps is forbidden: User "x" cannot list')
    api.answers = [web.json_response(forbidden, status=403) for _ in range(3)]
    async with running(api) as cache:
        await until(lambda: cache.last_error is not None)
        assert cache.last_error is not None and "cannot list" in cache.last_error
        await cache.synced.wait()
        await opened(api)
        assert cache.last_error is None
        assert cache.restarts["refused"] == 3
        assert cache.age() < 60


async def test_huge_objects_and_split_events(api: Api) -> None:
    async with running(api) as cache:
        watch = await opened(api)
        text = json.dumps({"type": "ADDED", "object": thing("a", 6, v="x" * 700_000)}).encode()
        await watch.raw(text[:100_000])
        await watch.raw(text[100_000:] + b"\n" + text[:1])
        assert await cache.reached("test", "a", "6", 10)
        await watch.raw(text[1:].replace(b'"6"', b'"7"') + b"\n")
        assert await cache.reached("test", "a", "7", 10)
        assert len(cache.get("test", "a") or "") == 700_000


async def test_catching_up_shows_what_the_watch_has_not_told(api: Api) -> None:
    api.items, api.version = [thing("a", 1, v="old")], 1
    async with running(api) as cache:
        watch = await api.watches.get()
        api.items, api.version = [thing("a", 5, v="new"), thing("b", 4, v="new")], 6
        await cache.catch_up()
        assert cache.get("test", "a") == cache.get("test", "b") == "new"
        await watch.send("ADDED", thing("b", 3, v="late"))
        await watch.send("MODIFIED", thing("a", 7, v="newer"))
        assert await cache.reached("test", "a", "7", 5)
        assert cache.get("test", "b") == "new"
        api.version = 2
        await cache.catch_up()
        assert cache.get("test", "a") == "newer", "the watch was faster than the list"
