"""Event webhooks, told in order and never waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from alerts.chat_service import ChatService, Sleeps, canary, chat_service
from logged import captured
from serinus.webhooks.events import ROOM, EventHooks


@pytest.fixture
async def hook() -> AsyncIterator[ChatService]:
    async with chat_service() as service:
        yield service


@asynccontextmanager
async def telling(default: str = "", **settings: Any) -> AsyncIterator[EventHooks]:
    hooks = EventHooks(default, **settings)
    task = asyncio.create_task(hooks.run())
    yield hooks
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def event(url: str, **fields: Any) -> dict[str, Any]:
    return {"name": "audit", "type": "event", "url": url, **fields}


async def test_the_payload_and_whose_hook_it_is(hook: ChatService) -> None:
    mine = event(f"{hook.url}/mine", metadata={"env": "test", "eventType": "hidden"})
    gate = {"name": "gate", "type": "rollout", "url": f"{hook.url}/gate"}
    async with telling(f"{hook.url}/all", clock=lambda: 1700000000.5) as hooks:
        hooks.tell(canary(webhooks=[gate, mine]), "Warning", "Halt")
        own = await hook.next()
        hooks.tell(canary(webhooks=[gate]), "Normal", "Advance")
        default = await hook.next()
        await hooks.close()
    common = {
        "name": "podinfo",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "85d557f47b",
    }
    when = {"timestamp": "1700000000500"}
    told = {"eventMessage": "Halt", "eventType": "Warning", **when}
    assert (own.path, own.body) == ("/mine", {**common, "metadata": {"env": "test", **told}})
    told = {"eventMessage": "Advance", "eventType": "Normal", **when}
    assert (default.path, default.body) == ("/all", {**common, "metadata": told})
    async with telling() as hooks:
        hooks.tell(canary(), "Normal", "to nobody")
        await hooks.close()
    assert hook.posted.empty()


async def test_a_stuck_hook_delays_nobody_and_order_is_kept(hook: ChatService) -> None:
    hook.free.clear()
    async with chat_service() as other, telling() as hooks:
        stuck, quick = event(f"{hook.url}/stuck"), event(other.url)
        for number in range(20):
            hooks.tell(canary(webhooks=[stuck, quick]), "Normal", f"{number}")
        for number in range(20):
            assert (await other.next()).body["metadata"]["eventMessage"] == f"{number}"
        hook.free.set()
        for number in range(20):
            assert (await hook.next()).body["metadata"]["eventMessage"] == f"{number}"
        await hooks.close()
    assert hooks.dropped == 0


async def test_a_dead_hooks_backlog_is_dropped_and_a_refusal_is_not(hook: ChatService) -> None:
    hook.free.clear()
    hook.answers = [
        lambda request: web.Response(status=403, text=f"not {request.path}"),
        lambda _: web.Response(status=503),
        lambda _: web.Response(status=503),
    ]
    told = canary(webhooks=[event(f"{hook.url}/SECRETPATH", retries=1)])
    with captured() as logs:
        async with telling(sleep=Sleeps()) as hooks:
            for number in range(ROOM + 3):
                hooks.tell(told, "Normal", f"{number}")
            await hook.next()
            hook.free.set()
            await hooks.close()
    counted = [(one["event"], one.get("count")) for one in logs]
    assert ("event refused by a webhook", None) in counted
    assert ("events for a webhook dropped", 3) in counted
    assert ("events for a webhook dropped", ROOM - 1) in counted
    assert len(counted) == 3 and "SECRET" not in str(logs)
