"""The load tester over real HTTP, running real commands."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtester.asking import (
    ask,
    dead,
    ended,
    load_tester,
    metric,
    refused,
    running,
    started,
    true,
    until,
)
from serinus.loadtester.command import Command
from serinus.loadtester.settings import Settings


@pytest.fixture
async def target() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that counts what it is asked, and its address."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        status = 500 if request.path == "/status/500" else 200
        return web.json_response({"token": (await request.text())[:4]}, status=status)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/")), asked


async def test_the_guides_acceptance_test_passes(target: tuple[str, list[str]]) -> None:
    url, asked = target
    async with load_tester() as client:
        command = f"curl -sd 'test' {url}token | grep token"
        assert await ask(client, type="bash", cmd=command) == (200, "")
        status, text = await ask(client, type="bash", cmd=command, returnCmdOutput="true")
    assert (status, json.loads(text)) == (200, {"token": "test"})
    assert asked == ["POST /token"] * 2


async def test_a_failing_bash_command_is_answered_with_its_own_words() -> None:
    async with load_tester() as client:
        answer = await ask(client, type="bash", cmd="echo out; echo err >&2; exit 3")
        assert answer == (
            500,
            "command echo out; echo err >&2; exit 3 failed: out\nerr: exit status 3",
        )
        assert await ask(client, type="bash", cmd="false") == (
            500,
            "command false failed: exit status 1",
        )
        assert await metric(client, started("bash")) == 2
        assert await metric(client, ended("bash", "failed")) == 2
        assert await metric(client, running("bash")) == 0


async def test_cmd_is_answered_at_once_and_hey_runs(target: tuple[str, list[str]]) -> None:
    url, asked = target
    async with load_tester() as client:
        assert await ask(client, cmd=f"hey -n 20 -c 2 {url}") == (202, "")
        await until(client, ended("cmd", "succeeded"), 1)
    assert asked == ["GET /"] * 20


async def test_the_same_command_of_a_canary_runs_once_at_a_time(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    command = f"echo x >> {tmp_path}/runs; while [ ! -e {gate} ]; do sleep 0.02; done"
    async with load_tester() as client:
        for _ in range(3):
            assert (await ask(client, cmd=command))[0] == 202
        assert await metric(client, running("cmd")) == 1
        assert (await ask(client, "other", cmd=command))[0] == 202
        assert await metric(client, running("cmd")) == 2
        gate.touch()
        await until(client, ended("cmd", "succeeded"), 2)
        assert (await ask(client, cmd=command))[0] == 202
        await until(client, ended("cmd", "succeeded"), 3)
    assert (tmp_path / "runs").read_text() == "x\n" * 3


async def test_a_task_ends_at_its_timeout_with_all_that_it_started(tmp_path: Path) -> None:
    command = f"sleep 1000 & echo $! > {tmp_path}/child; wait"
    async with load_tester(Settings(timeout=0.5)) as client:
        status, text = await ask(client, type="bash", cmd=command)
    assert status == 500
    assert text.endswith("killed: it ran longer than 0.5s")
    await true(lambda: dead(tmp_path / "child"))


async def test_tasks_end_with_the_service(tmp_path: Path) -> None:
    child = tmp_path / "child"
    async with load_tester() as client:
        await ask(client, cmd=f"sleep 1000 & echo $! > {child}; wait")
        await true(lambda: child.exists() and bool(child.read_text().strip()))
    await true(lambda: dead(child))


async def test_a_command_that_is_cancelled_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    for steps in range(40):
        child = tmp_path / str(steps)
        text = f"sleep 1000 & echo $! > {child}; wait"
        task = asyncio.create_task(Command(("sh", "-c", text)).run(100))
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(60):
            await asyncio.wait([task])
        assert task.cancelled()
        if child.exists() and child.read_text():
            await true(lambda child=child: dead(child))


async def test_what_a_command_says_is_bounded() -> None:
    async with load_tester() as client:
        status, text = await ask(
            client, type="bash", cmd="head -c 1000000 /dev/zero | tr '\\0' x", returnCmdOutput="1"
        )
    assert status == 200
    assert text == "x" * 65536 + "\n(934464 bytes more)"


async def test_no_more_tasks_than_allowed(tmp_path: Path) -> None:
    async with load_tester(Settings(tasks=1)) as client:
        assert (await ask(client, cmd="sleep 1000"))[0] == 202
        body = {"metadata": {"type": "bash", "cmd": "true"}}
        for count in (1, 2):
            answer = await client.post("/", json=body)
            assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
            assert await answer.text() == "1 tasks run already (-max-tasks); try again later"
            assert await metric(client, refused("bash")) == count
        # It runs: nothing more to start.
        assert (await ask(client, cmd="sleep 1000"))[0] == 202


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "the body is not a webhook's payload in JSON"),
        (b"", "the body is not a webhook's payload in JSON"),
        (b'{"metadata":{"cmd":1}}', "Expected `str`, got `int` - at `$.metadata[...]`"),
        (b'{"name":"a","namespace":"b"}', "metadata not found in payload"),
        (b'{"metadata":{}}', "metadata not found in payload"),
        (b'{"metadata":{"type":"x","cmd":"true"}}', "unknown task type x"),
        (b'{"metadata":{"type":"bash"}}', "metadata.cmd is empty"),
        (b'{"metadata":{"type":"kubectl","cmd":" "}}', "metadata.cmd is empty"),
        (b'{"metadata":{"type":""}}', "unknown task type "),
        (b'{"metadata":null}', "metadata not found in payload"),
    ],
)
async def test_requests_that_make_no_sense(body: bytes, text: str) -> None:
    async with load_tester() as client:
        answer = await client.post("/", data=body)
        assert answer.status == 400
        assert text in await answer.text()


async def test_only_namespaces_that_match() -> None:
    async with load_tester(Settings(namespaces=re.compile("^team-"))) as client:
        assert await ask(client, "test", type="bash", cmd="true") == (403, "Forbidden")
        assert await ask(client, "team-a", type="bash", cmd="true") == (200, "")


async def test_health_and_unknown_paths() -> None:
    async with load_tester() as client:
        answer = await client.get("/healthz")
        assert (answer.status, await answer.text()) == (200, "OK")
        assert (await client.post("/nothing", json={"metadata": {"cmd": "true"}})).status == 404


async def test_a_caller_that_leaves_does_not_end_its_command(tmp_path: Path) -> None:
    begun, gate, done = (tmp_path / name for name in ("begun", "gate", "done"))
    command = f"touch {begun}; while [ ! -e {gate} ]; do sleep 0.02; done; touch {done}"
    async with load_tester() as client:
        async with aiohttp.ClientSession() as session:
            body: dict[str, Any] = {"metadata": {"type": "bash", "cmd": command}}
            call = asyncio.create_task(session.post(client.make_url("/"), json=body))
            await true(begun.exists)
            call.cancel()
        gate.touch()
        await until(client, ended("bash", "succeeded"), 1)
    assert done.exists()
