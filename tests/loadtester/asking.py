"""Asking a load tester over HTTP, and waiting for what it then does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from serinus.loadtester.gates import GateStore
from serinus.loadtester.server import LoadTester
from serinus.loadtester.settings import Settings


@asynccontextmanager
async def load_tester(
    settings: Settings | None = None, gates: GateStore | None = None
) -> AsyncIterator[TestClient]:
    application = LoadTester(settings or Settings(), gates).application
    async with TestClient(TestServer(application)) as client:
        yield client


async def ask(client: TestClient, namespace: str = "test", **metadata: str) -> tuple[int, str]:
    body = {
        "name": "podinfo",
        "namespace": namespace,
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "metadata": metadata,
    }
    answer = await client.post("/", json=body)
    return answer.status, await answer.text()


async def gate(
    client: TestClient, path: str, name: str = "podinfo", namespace: str = "test", **metadata: str
) -> tuple[int, str]:
    body = {"name": name, "namespace": namespace, "metadata": metadata}
    answer = await client.post(path, json=body)
    return answer.status, await answer.text()


OPEN, CLOSED = (200, "Approved"), (403, "Forbidden")
DONE = (202, "")


async def metric(client: TestClient, name: str) -> float:
    """A sample's value, 0 when there is none yet."""
    text = await (await client.get("/metrics")).text()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def until(client: TestClient, name: str, value: float) -> None:
    """Wait until a metric has a value."""
    while await metric(client, name) != value:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def true(condition: Callable[[], bool]) -> None:
    """Wait until what another process does shows."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def running(kind: str) -> str:
    return f'serinus_loadtester_tasks_running{{type="{kind}"}}'


def started(kind: str) -> str:
    return f'serinus_loadtester_tasks_started_total{{type="{kind}"}}'


def ended(kind: str, result: str) -> str:
    return f'serinus_loadtester_tasks_total{{result="{result}",type="{kind}"}}'


def refused(kind: str) -> str:
    return f'serinus_loadtester_tasks_refused_total{{type="{kind}"}}'


def dead(pid_file: Path) -> bool:
    """Whether the process of that pid has ended (a zombie awaits only whoever adopted it)."""
    try:
        stat = (Path("/proc") / pid_file.read_text().strip() / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
