"""The steady caller against real servers, as a process of its own."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from serinus.lab.demo.counts import Counts


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def podinfo() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "serinus.lab.images.podinfo", f"--port={port}"],
        env={"PODINFO_VERSION": "6.0.1"},
        stderr=subprocess.DEVNULL,
    )
    yield port
    process.kill()
    process.wait()


async def read(url: str, reports: int, rate: int = 50) -> Counts:
    """What the caller has counted after some reports."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serinus.lab.demo.traffic", f"--rate={rate}", url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    counts = Counts()
    for _ in range(reports):
        counts.add(await process.stdout.readline())
    process.terminate()
    async for line in process.stdout:
        counts.add(line)
    assert await process.wait() == 0
    return counts


async def test_answers_are_counted_by_version(podinfo: int) -> None:
    counts = await read(f"http://127.0.0.1:{podinfo}/", reports=2)
    assert set(counts.by_version) == {"6.0.1"}
    assert counts.requests > 50
    assert counts.failed == 0
    assert counts.share("6.0.1") == 100


async def test_each_failure_is_counted_and_told() -> None:
    """The first answer is good; from then on the server breaks off, answers badly, or is silent."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        with_length = b"HTTP/1.1 %s\r\ncontent-length: 2\r\n\r\n{}"
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        if served == 1:
            writer.write(with_length % b"200 OK")
        elif served % 3 == 0:
            writer.write(with_length % b"503 Service Unavailable")
        elif served % 3 == 1:
            writer.write(b"nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        counts = await read(f"http://127.0.0.1:{port}/", reports=1, rate=30)
    reasons = {failure.why.split(":")[0] for failure in counts.failures}
    assert reasons == {"503", "BadAnswer", "IncompleteReadError"}
    assert not counts.by_version
    assert counts.failed == counts.requests > 10


def test_a_log_that_is_read_again_counts_once() -> None:
    line = b'{"number":1,"at":1.0,"answers":{"1":{"200":3}},"p99_ms":{},"failed":0,"failures":[]}'
    counts = Counts()
    assert counts.add(line)
    assert not counts.add(line)
    assert not counts.add(b"not json")
    assert counts.requests == 3
