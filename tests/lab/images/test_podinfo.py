"""The stand-in for podinfo, as a process asked over HTTP."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

import serinus


@dataclass
class Served:
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    url: str

    async def json(self, path: str) -> object:
        async with self.session.get(self.url + path) as answer:
            return json.loads(await answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def podinfo() -> AsyncIterator[Served]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-OO", "-m", "serinus.lab.images.podinfo"),
        *(f"--port={port}", "--grpc-port", "9999", "--random-delay=false"),
        env={
            **os.environ,
            "PYTHONPATH": str(Path(serinus.__file__).parent.parent),
            "PODINFO_VERSION": "6.0.1",
        },
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"Starting HTTP Server" not in await process.stderr.readline():
            pass
    async with aiohttp.ClientSession() as session:
        yield Served(process, session, f"http://127.0.0.1:{port}")
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_it_says_who_it_is(podinfo: Served) -> None:
    about = await podinfo.json("/")
    assert isinstance(about, dict)
    assert about["version"] == "6.0.1"
    assert about["message"] == "greetings from podinfo v6.0.1"
    assert await podinfo.json("/version") == {"version": "6.0.1", "commit": "serinus-lab"}


@pytest.mark.parametrize(("code", "answered"), [("200", 200), ("500", 500), ("999", 400)])
async def test_status(podinfo: Served, code: str, answered: int) -> None:
    async with podinfo.session.get(f"{podinfo.url}/status/{code}") as answer:
        assert answer.status == answered


async def test_a_token_is_given_and_recognised(podinfo: Served) -> None:
    async with podinfo.session.post(f"{podinfo.url}/token", data="test") as answer:
        token = json.loads(await answer.read())["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with podinfo.session.get(f"{podinfo.url}/token/validate", headers=headers) as answer:
        assert json.loads(await answer.read())["token_name"] == "test"
    headers = {"Authorization": f"Bearer {token}x"}
    async with podinfo.session.get(f"{podinfo.url}/token/validate", headers=headers) as answer:
        assert answer.status == 401


async def test_echo_takes_a_chunked_body(podinfo: Served) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with podinfo.session.post(f"{podinfo.url}/echo", data=parts()) as answer:
        assert (answer.status, await answer.read()) == (202, b"one two")


async def test_readiness_can_be_switched(podinfo: Served) -> None:
    for path, expected in (("/readyz/disable", 503), ("/readyz/enable", 200)):
        async with podinfo.session.post(podinfo.url + path) as answer:
            assert answer.status == 202
        async with podinfo.session.get(f"{podinfo.url}/readyz") as answer:
            assert answer.status == expected


async def test_metrics_count_by_status(podinfo: Served) -> None:
    await podinfo.json("/status/500")
    await podinfo.json("/version")
    async with podinfo.session.get(f"{podinfo.url}/metrics") as answer:
        text = await answer.text()
    assert 'http_requests_total{status="500"} 1' in text
    labels = 'method="GET",path="/version",status="200"'
    assert f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}} 1' in text


async def test_nonsense_is_answered_with_400(podinfo: Served) -> None:
    host, port = podinfo.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"nonsense\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()


async def test_it_serves_on_after_sigterm_but_is_not_ready(podinfo: Served) -> None:
    podinfo.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        while True:
            async with podinfo.session.get(f"{podinfo.url}/readyz") as answer:
                if answer.status == 503:
                    break
    assert await podinfo.json("/version")
    assert await asyncio.wait_for(podinfo.process.wait(), 60) == 0
