"""The load tester as the process that a pod runs."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from serinus.loadtester.__main__ import main
from serinus.loadtester.settings import Settings, SettingsError, parse


@asynccontextmanager
async def process(*flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A load tester that listens, and its address."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serinus.loadtester", "-listen=127.0.0.1", *flags, stderr=PIPE
    )
    assert started.stderr is not None
    try:
        first = json.loads(await started.stderr.readline())
        assert first["level"] == "info"
        port = first["msg"].rpartition(", ")[2].rstrip(")]")
        yield started, f"http://127.0.0.1:{port}/"
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def test_flaggers_flags_logs_and_a_quick_end() -> None:
    async with process("-log-level=info", "--port=0", "-timeout=1h") as (tester, url):
        assert tester.stderr is not None
        async with aiohttp.ClientSession() as session:
            body = {
                "name": "podinfo",
                "namespace": "test",
                "metadata": {"cmd": "echo hello", "logCmdOutput": "true"},
            }
            async with session.post(url, json=body) as answer:
                assert answer.status == 202
            starts = json.loads(await tester.stderr.readline())
            assert starts["msg"] == "command starts: echo hello"
            finished = json.loads(await tester.stderr.readline())
            assert (finished["canary"], finished["output"]) == ("podinfo.test", "hello")
            body["metadata"] = {"cmd": "sleep 1000"}
            async with session.post(url, json=body) as answer:
                assert answer.status == 202
        tester.send_signal(signal.SIGTERM)
        assert await tester.wait() == 0


async def test_the_manifests_probe() -> None:
    async with process("-port=0") as (_, url):
        probe = await asyncio.create_subprocess_exec(
            "wget", "--quiet", "--tries=1", "--timeout=4", "--spider", f"{url}healthz"
        )
        assert await probe.wait() == 0


def test_it_stays_small() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, serinus.loadtester.__main__; print(*sys.modules, sep='\\n')",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"kubernetes", "structlog", "typer", "yaml"}.isdisjoint(loaded)


def test_flags() -> None:
    assert parse([]) == Settings()
    read = parse(["-port", "8080", "--timeout=90s", "-namespace-regexp=^a", "-zap-replace-globals"])
    assert (read.port, read.timeout) == (8080, 90.0)
    assert read.namespaces is not None
    assert read.namespaces.pattern == "^a"


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("-port=x", "-port must be a number"),
        ("-timeout=1", '"1" is not a duration'),
        ("-timeout=0s", "-timeout must be longer"),
        ("-namespace-regexp=(", "-namespace-regexp is not a regular expression"),
        ("-max-tasks=0", "-max-tasks must be a number from 1"),
        ("-log-level=loud", "-log-level must be one of"),
        ("-nonsense", "-nonsense"),
    ],
)
def test_flags_that_cannot_be_obeyed(flag: str, text: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(text)):
        parse([flag])


def test_a_port_in_use_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["-listen=127.0.0.1", f"-port={port}", "-log-level=error"]) == 1
    error = capfd.readouterr().err
    assert "cannot listen" in error
    assert str(port) in error
    assert os.linesep not in error.strip()
