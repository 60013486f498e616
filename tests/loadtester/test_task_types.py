"""Task types besides shells: programs by name, and services that are asked to work."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtester.asking import ask, ended, load_tester, true, until
from serinus.loadtester.settings import Settings

PROGRAM = """#!/bin/sh
printf '<%s>' "$0" "$@" | sed "s|$(dirname "$0")/||"
[ "$1" != broken ]
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helm and a kubectl that say what they are told."""
    for name in ("helm", "kubectl"):
        (tmp_path / name).write_text(PROGRAM)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.parametrize(
    ("kind", "program"), [("helm", "helm"), ("helmv3", "helm"), ("kubectl", "kubectl")]
)
async def test_programs_get_their_words_split_at_white_space(
    programs: None, kind: str, program: str
) -> None:
    async with load_tester() as client:
        cmd = " test\n podinfo  --filter 'a b'; $HOME"
        status, text = await ask(client, type=kind, cmd=cmd, returnCmdOutput="true")
        assert status == 200
        assert text == f"<{program}><test><podinfo><--filter><'a><b';><$HOME>"
        assert await ask(client, type=kind, cmd="test podinfo") == (200, "")
        assert await ask(client, type=kind, cmd="broken  thing") == (
            500,
            f"command {program} broken thing failed: <{program}><broken><thing>: exit status 1",
        )


async def test_a_program_that_the_image_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    async with load_tester() as client:
        assert await ask(client, type="helm", cmd="test a") == (
            500,
            "command helm test a failed: there is no program helm in this load tester's image",
        )


async def test_what_no_program_can_be_told_is_an_answer() -> None:
    async with load_tester() as client:
        status, text = await ask(client, type="bash", cmd="echo a\0b")
    assert (status, "cannot start bash" in text) == (500, True)


class Remote:
    """A Concord and an nGrinder server whose tests go through the states that it is given."""

    def __init__(self, *states: str | int) -> None:
        self._states = list(states)
        self.asked: Counter[str] = Counter()
        self.form: dict[str, str] = {}
        self.authorization: set[str] = set()
        self.start: Any = {"instanceId": "a1-b2", "ok": True, "id": 961, "status": "READY"}

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        async with TestServer(application) as server:
            yield str(server.make_url("/"))

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path_qs}"] += 1
        self.authorization.add(request.headers["Authorization"])
        if request.method == "POST":
            self.form = {key: str(text) for key, text in (await request.post()).items()}
            return web.json_response(self.start)
        if request.method == "PUT":
            return web.json_response({"success": True})
        state = self._states[0]
        if len(self._states) > 1:
            self._states.pop(0)
        if isinstance(state, int):
            return web.Response(status=state, text="no")
        if "perftest" in request.path:
            return web.json_response({"status": [{"status_id": state}]})
        return web.json_response({"status": state})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return written(tmp_path / "key", "secret-key\n")


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def concord(server: str, key: Path, **more: str) -> dict[str, str]:
    return {
        "type": "concord",
        "server": server,
        "org": "o",
        "project": "p",
        "repo": "r",
        "entrypoint": "main",
        "endpoint": "http://podinfo-canary.test/",
        "apiKeyPath": str(key),
        "pollInterval": "1",
        **more,
    }


async def test_a_concord_process_is_started_and_waited_for(key: Path) -> None:
    remote = Remote("RUNNING", 503, "FINISHED")
    async with remote.served() as url, load_tester() as client:
        given = concord(url, key, **{"arguments.depth": "2"})
        assert await ask(client, **given) == (200, "")
    assert remote.form == {
        "org": "o",
        "project": "p",
        "repo": "r",
        "entryPoint": "main",
        "arguments.endpoint": "http://podinfo-canary.test/",
        "arguments.depth": "2",
    }
    assert remote.asked == {"POST /api/v1/process": 1, "GET /api/v1/process/a1-b2": 3}
    assert remote.authorization == {"secret-key"}


@pytest.mark.parametrize(
    ("states", "more", "words"),
    [
        (["FAILED"], {}, "concord instanceID: a1-b2 failed with status FAILED"),
        (["CANCELLED"], {}, "failed with status CANCELLED"),
        ([403], {}, "HTTP 403: no"),
        (["RUNNING"], {"pollTimeout": "2"}, "concord process timed out, after 2 seconds"),
    ],
)
async def test_a_concord_process_that_comes_to_no_good_end(
    key: Path, states: list[str | int], more: dict[str, str], words: str
) -> None:
    async with Remote(*states).served() as url, load_tester() as client:
        status, text = await ask(client, **concord(url, key, **more))
    assert status == 500
    assert text.startswith("concord task o p r main failed: ")
    assert words in text and "secret-key" not in text


async def test_a_concord_server_that_starts_nothing(key: Path) -> None:
    remote = Remote("FINISHED")
    remote.start = {"ok": False}
    async with remote.served() as url, load_tester() as client:
        status, text = await ask(client, **concord(url, key))
        assert (status, text.endswith("the answer names no instanceId")) == (500, True)
        written(key, "two\nlines")
        status, text = await ask(client, **concord(url, key))
        assert (status, text.endswith("does not hold one line of text")) == (500, True)
    async with load_tester() as client:
        written(key, "secret-key")
        status, text = await ask(client, **concord(url, key))
        assert (status, "Cannot connect" in text) == (500, True)


def ngrinder(server: str, **more: str) -> dict[str, str]:
    return {
        "type": "ngrinder",
        "server": server,
        "clone": "960",
        "username": "admin",
        "passwd": base64.b64encode(b"pass").decode(),
        "pollInterval": "50ms",
        **more,
    }


async def test_an_ngrinder_test_is_cloned_started_and_waited_for_in_the_background() -> None:
    remote = Remote("TESTING", 503, "FINISHED")
    async with remote.served() as url, load_tester() as client:
        assert await ask(client, **ngrinder(url)) == (202, "")
        assert await ask(client, **ngrinder(url)) == (202, "")
        await until(client, ended("ngrinder", "succeeded"), 1)
    assert remote.asked == {
        "POST /perftest/api/960/clone_and_start": 1,
        "GET /perftest/api/961/status": 3,
    }
    assert remote.authorization == {"Basic YWRtaW46cGFzcw=="}


@pytest.mark.parametrize(
    "start", [{"id": 961}, {"success": False, "message": "no such test"}, {"id": "x"}]
)
async def test_an_ngrinder_test_that_fails(
    start: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    remote = Remote("STOP_BY_ERROR")
    remote.start = start
    async with remote.served() as url, load_tester() as client:
        assert await ask(client, **ngrinder(url)) == (202, "")
        await until(client, ended("ngrinder", "failed"), 1)
    told = caplog.text
    assert any(
        words in told for words in ("961 ended as STOP_BY_ERROR", "no such test", "names no id")
    )
    assert "pass" not in told


async def test_an_ngrinder_test_is_stopped_at_its_timeout_and_with_the_load_tester() -> None:
    stop = "PUT /perftest/api/961?action=stop"
    remote = Remote("TESTING")
    async with remote.served() as url:
        async with load_tester(Settings(timeout=0.5)) as client:
            assert await ask(client, **ngrinder(url)) == (202, "")
            await until(client, ended("ngrinder", "failed"), 1)
        assert remote.asked[stop] == 1
        async with load_tester() as client:
            assert await ask(client, **ngrinder(url)) == (202, "")
            before = remote.asked["GET /perftest/api/961/status"]
            async with asyncio.timeout(60):
                await true(lambda: remote.asked["GET /perftest/api/961/status"] > before)
        assert remote.asked[stop] == 2


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"type": "concord"}, "`server` is required with type concord"),
        ({**concord("x", Path("/dev/null"))}, "`apiKeyPath` file doesn't exist /dev/null"),
        (concord("http://c/", Path(__file__), pollInterval="0"), "`pollInterval` must be a whole"),
        (concord("ftp://c/", Path(__file__)), "`server` is no address"),
        (concord("http://a:b@c/", Path(__file__)), "must not carry a user"),
        (concord("http://c/", Path(__file__), **{"arguments.endpoint": "x"}), "is what `endpoint`"),
        ({"type": "ngrinder", "server": "http://n/"}, "`clone` is required with type ngrinder"),
        (ngrinder("http://n/", clone="x"), "`clone` must be the number of a test"),
        (ngrinder("http://n/", passwd="?"), "`passwd` must be the password in base64"),
        (ngrinder("http://n/", pollInterval="1"), '`pollInterval`: "1" is not a duration'),
        (ngrinder("http://n/", pollInterval="0s"), "`pollInterval` must be longer"),
    ],
)
async def test_metadata_that_make_no_sense(metadata: dict[str, str], words: str) -> None:
    async with load_tester() as client:
        status, text = await ask(client, **metadata)
    assert (status, words in text) == (400, True), text
