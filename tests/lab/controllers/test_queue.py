"""The work queue: each key once at a time, soon, and again if it failed."""

import asyncio
from collections import defaultdict

from serinus.cluster.backoff import Backoff
from serinus.cluster.errors import Conflict
from serinus.lab.controllers.queue import Queue

SOON = Backoff(first=0.001, longest=0.01)


class Work:
    """Records what it was asked to do; ``answers`` are played back per key."""

    def __init__(self, **answers: list[float | Exception | None]) -> None:
        self.answers = answers
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.running: defaultdict[str, int] = defaultdict(int)
        self.overlaps = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Condition()

    async def __call__(self, key: str) -> float | None:
        self.running[key] += 1
        self.overlaps += self.running[key] > 1
        async with self.called:
            self.calls[key] += 1
            self.called.notify_all()
        await self.gate.wait()
        self.running[key] -= 1
        answers = self.answers.get(key)
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def until(self, key: str, calls: int) -> None:
        async with self.called:
            await self.called.wait_for(lambda: self.calls[key] >= calls)


async def test_added_twice_done_once() -> None:
    work = Work()
    queue: Queue[str] = Queue("test", work, backoff=SOON)
    queue.add("a")
    queue.add("a")
    queue.add("b")
    task = asyncio.create_task(queue.run())
    await work.until("b", 1)
    assert work.calls == {"a": 1, "b": 1}
    task.cancel()


async def test_a_key_that_changes_meanwhile_is_done_again_afterwards() -> None:
    work = Work()
    work.gate.clear()
    queue: Queue[str] = Queue("test", work, backoff=SOON)
    task = asyncio.create_task(queue.run())
    queue.add("a")
    await work.until("a", 1)
    queue.add("a")
    queue.add("a")
    queue.add("b")
    await work.until("b", 1)
    assert work.calls["a"] == 1
    work.gate.set()
    await work.until("a", 2)
    assert work.overlaps == 0
    task.cancel()


async def test_failures_come_back_and_do_not_hinder_others() -> None:
    refused = Conflict(409, "Conflict", "changed", {})
    work = Work(a=[refused, ZeroDivisionError(), refused, None])
    queue: Queue[str] = Queue("test", work, backoff=SOON)
    task = asyncio.create_task(queue.run())
    queue.add("a")
    queue.add("b")
    await work.until("a", 4)
    assert work.calls["b"] == 1
    task.cancel()


async def test_looked_at_again_after_the_time_asked_for() -> None:
    work = Work(a=[0.001, 0.001, None])
    queue: Queue[str] = Queue("test", work, backoff=SOON)
    task = asyncio.create_task(queue.run())
    queue.add("a")
    await work.until("a", 3)
    task.cancel()
