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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from serinus.loadtester.__main__ import main
from serinus.loadtester.settings import Settings, SettingsError, parse


@asynccontextmanager
async def process(
    *flags: str, before: Sequence[str] = ()
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A load tester that listens, started by the words ``before``, and its address."""
    command = (*before, sys.executable, "-m", "serinus.loadtester", "-listen=127.0.0.1")
    started = await asyncio.create_subprocess_exec(*command, *flags, stderr=PIPE)
    assert started.stderr is not None
    try:
        first = json.loads(await started.stderr.readline())
        assert first["level"] == "info"
        port = first["msg"].rpartition(", ")[2].rstrip(")]")
        second = json.loads(await started.stderr.readline())
        assert " gates are open, kept in " in second["msg"]
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
        ("-gates-configmap=Gates", "-gates-configmap must be a ConfigMap's name"),
    ],
)
def test_flags_that_cannot_be_obeyed(flag: str, text: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(text)):
        parse([flag])


def test_gates_are_kept_in_one_place() -> None:
    assert parse(["-gates-file=/gates/all"]).gates_file == Path("/gates/all")
    assert parse(["--gates-configmap", "gates"]).gates_configmap == "gates"
    with pytest.raises(SettingsError, match="exclude each other"):
        parse(["-gates-file=/gates/all", "-gates-configmap=gates"])


def test_a_configmap_outside_of_a_pod_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-gates-configmap=gates", "-port=0"]) == 1
    error = capfd.readouterr().err.strip()
    assert error.startswith("serinus loadtester: -gates-configmap: gates cannot be kept in")
    assert os.linesep not in error


async def test_gates_in_a_file_survive_a_kill_and_are_shared(tmp_path: Path) -> None:
    flag = f"-gates-file={tmp_path}/gates"
    body = {"name": "podinfo", "namespace": "test"}

    async def answer(url: str, path: str) -> int:
        async with aiohttp.request("POST", f"{url}{path}", json=body) as answered:
            return answered.status

    async with process("-port=0", flag) as (first, one), process("-port=0", flag) as (_, other):
        assert await answer(one, "gate/open") == 202
        assert await answer(other, "gate/check") == 200
        assert await answer(other, "rollback/check") == 403
        first.kill()
        await first.wait()
        assert await answer(other, "rollback/open") == 202
    async with process("-port=0", flag) as (_, later):
        assert await answer(later, "gate/check") == 200
        assert await answer(later, "rollback/check") == 200
        assert await answer(later, "gate/close") == 202
        assert await answer(later, "gate/check") == 403


async def test_as_a_pods_first_process_it_leaves_no_zombies() -> None:
    """What a command leaves behind becomes this process's child, to be waited for by it."""
    first = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    mount = ("--mount-proc", "--")
    counted = "cat /proc/[0-9]*/stat | grep -c ' Z ' || true"
    async with (
        process("-port=0", before=(*first, *mount)) as (_, url),
        aiohttp.ClientSession() as session,
    ):
        for command, expected in (
            ("for i in 1 2 3; do (sleep 1000 &) >/dev/null 2>&1; done", ""),
            ("(sh -c 'sleep 1000 & sleep 1000' &) >/dev/null 2>&1", ""),
            ("cat /proc/1/cmdline | tr '\\0' ' ' | grep -c serinus.loadtester", "1\n"),
            (counted, "0\n"),
            ("pgrep -c sleep || true", "0\n"),
        ):
            metadata = {"type": "bash", "cmd": command, "returnCmdOutput": "true"}
            async with session.post(url, json={"metadata": metadata}) as answer:
                assert (answer.status, await answer.text()) == (200, expected), command


def test_a_port_in_use_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["-listen=127.0.0.1", f"-port={port}", "-log-level=error"]) == 1
    error = capfd.readouterr().err
    assert "cannot listen" in error
    assert str(port) in error
    assert os.linesep not in error.strip()
