"""A real Prometheus, which scrapes sidecars that the test plays."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from serinus.analysis.verdict import Unavailable
from serinus.metrics.builtin import BuiltinQuery
from serinus.metrics.counting import Scope
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.signals import Service, World

INBOUND_3 = 'envoy_cluster_name="self_inbound_dp_http",mesh="default"'


INBOUND = 'envoy_cluster_name="localhost_9898"'
CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
- job_name: kuma-dataplanes
  static_configs: [{targets: ["TARGET"]}]
"""


class Sidecars:
    """What the exporter shows: lines of the text format."""

    def __init__(self) -> None:
        self.lines: dict[str, float] = {"alive": 0}
        self.scrapes = 0

    async def serve(self, request: web.Request) -> web.Response:
        self.scrapes += 1
        return web.Response(text="".join(f"{k} {v}\n" for k, v in self.lines.items()))

    def count(self, labels: str, code: str, requests: float, **durations: float) -> None:
        both = f"{INBOUND},{labels}" if "envoy_cluster_name" not in labels else labels
        self.lines[f'envoy_cluster_upstream_rq{{envoy_response_code="{code}",{both}}}'] = requests
        for bound, count in durations.items():
            le = bound.removeprefix("le_").replace("inf", "+Inf")
            self.lines[f'envoy_cluster_upstream_rq_time_bucket{{le="{le}",{both}}}'] = count


class Server:
    def __init__(self, prometheus: Prometheus, sidecars: Sidecars) -> None:
        self.prometheus = prometheus
        self.sidecars = sidecars

    async def sees(self, query: str) -> None:
        """Wait until the query has a result."""

        async def result() -> bool:
            answer = await self.prometheus.instant(query)
            return not isinstance(answer, Unavailable) and len(answer) > 0

        await until(result)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - Prometheus can only be polled
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, session: aiohttp.ClientSession
) -> AsyncIterator[Server]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    tmp_path: Path = tmp_path_factory.mktemp("prometheus")
    sidecars = Sidecars()
    app = web.Application()
    app.router.add_get("/metrics", sidecars.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "prom.yml").write_text(
        CONFIG.replace("TARGET", f"127.0.0.1:{runner.addresses[0][1]}")
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={tmp_path / 'prom.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        server = Server(Prometheus(f"http://127.0.0.1:{port}", session), sidecars)
        await server.sees("alive")
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await runner.cleanup()


def of(world: World, name: str, mesh: str = "default") -> BuiltinQuery:
    return BuiltinQuery(
        "request-success-rate",
        Scope(world, mesh, 60),
        Service(f"{name}-canary", "test", name),
        Service(f"{name}-primary", "test", f"{name}-primary"),
    )


def tagged(name: str) -> str:
    return f'{INBOUND},kuma_io_service="{name}-canary_test_svc_9898",mesh="default"'


def in_pod(name: str) -> str:
    return f'{INBOUND_3},namespace="test",pod="{name}-6d5f4b7c98-x2x4z"'
