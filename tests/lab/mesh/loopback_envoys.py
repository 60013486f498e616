"""Real Envoys on loopback addresses, configured by the mesh's own files.

Redirection needs a network namespace per pod; here the listeners are bound instead, and each
application listens beside its Envoy on 127.0.0.1. Everything else is as in the lab.
"""

import asyncio
import contextlib
import copy
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import aiohttp
from aiohttp import web

from serinus.lab.images.builtin import envoy_binary
from serinus.lab.mesh.model import Proxy, World
from serinus.lab.mesh.opening import Openings
from serinus.lab.mesh.proxy import Resources, resources
from serinus.lab.mesh.transparent import ADMIN_PORT
from serinus.lab.mesh.xds import Delivery

OPENINGS = Openings()
NETWORK = f"127.{64 + os.getpid() // 256 % 128}.{os.getpid() % 256}"
"""Three of four numbers of an address: another one for each test run on this machine."""

SOON = "0.2s"
"""How long Envoy waits on a connection of a replaced listener before it sends the caller on to a
new one. Envoy's own value is 5 s."""


def managers(listener: dict[str, Any]) -> list[dict[str, Any]]:
    """Its filters that speak HTTP."""
    filters = [one for chain in listener["filterChains"] for one in chain.get("filters", ())]
    return [one["typedConfig"] for one in filters if one["name"].endswith("connection_manager")]


_CLUSTERS = re.compile(r'"name": ?"([^"]+)",\s*"weight"')
"""The clusters of a split, in a file or as Envoy shows it."""


def bound(config: Resources, app_port: int | None, *, calls: bool = True) -> Resources:
    """The same configuration without redirection: listeners are bound, nothing is caught.

    All Envoys would be bound to the address of a service that they call; one that ``calls`` nobody
    leaves it to the others.
    """
    config = copy.deepcopy(config)
    for name, listener in list(config.listeners.items()):
        outbound = listener.get("trafficDirection") == "OUTBOUND"
        if listener.pop("useOriginalDst", False) or (outbound and not calls):
            del config.listeners[name]
        listener.pop("bindToPort", None)
        for manager in managers(listener):
            manager["drainTimeout"] = SOON
    for name, cluster in list(config.clusters.items()):
        if cluster["type"] == "ORIGINAL_DST":
            del config.clusters[name]
        elif cluster.pop("upstreamBindConfig", None):
            endpoint = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"][0]["endpoint"]
            endpoint["address"] = {"socketAddress": {"address": "127.0.0.1", "portValue": app_port}}
    return config


class Sidecar:
    """One proxy of the world, its files and its Envoy."""

    def __init__(
        self,
        directory: Path,
        app_port: int | None = None,
        *,
        calls: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``calls``: whether callers' requests may come through it. ``clock`` is the mesh's."""
        self.directory = directory
        self._calls = calls
        self._admin = ""
        self._app_port = app_port
        self._delivery = Delivery(directory, OPENINGS, PurePosixPath(directory), clock)
        self._process: asyncio.subprocess.Process | None = None

    def deliver(self, world: World, proxy: Proxy) -> list[str]:
        config = bound(resources(world, proxy), self._app_port, calls=self._calls)
        changed = self._delivery.deliver(proxy, config)
        if "bootstrap.json" in changed:
            self._localize(proxy)
        return changed

    @property
    def held(self) -> bool:
        return self._delivery.held

    async def settle(self) -> list[str]:
        return await self._delivery.settle()

    def _localize(self, proxy: Proxy) -> None:
        """Give each Envoy a door of its own, and no mark (that needs CAP_NET_ADMIN)."""
        path = self.directory / "bootstrap.json"
        own = f'"address":"{proxy.address}","portValue":{ADMIN_PORT}'
        text = path.read_text().replace(f'"address":"127.0.0.1","portValue":{ADMIN_PORT}', own)
        assert own in text
        self._admin = f"http://{proxy.address}:{ADMIN_PORT}"
        config: dict[str, Any] = json.loads(text)
        del config["clusterManager"]
        ready = config["staticResources"]["listeners"][0]
        ready["address"]["socketAddress"]["address"] = proxy.address
        path.write_text(json.dumps(config))

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            envoy_binary(),
            *("-c", str(self.directory / "bootstrap.json"), "--disable-hot-restart"),
            *("--concurrency", "1", "-l", "warning"),
            *("--drain-time-s", "30", "--drain-strategy", "immediate"),
            *("--log-path", str(self.directory / "envoy.log")),
        )

    async def ready(self) -> None:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"{self._admin}/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)

    async def has_its_routes(self) -> None:
        """Wait until Envoy goes by the routes that were written last."""
        (file,) = self.directory.glob("rds-*")
        wanted = set(_CLUSTERS.findall(file.read_text()))
        shown: set[str] = set()
        async with asyncio.timeout(60):
            while shown != wanted:
                dump = await self.ask("/config_dump?resource=dynamic_route_configs")
                shown = set(_CLUSTERS.findall(dump))

    async def ask(self, path: str) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._admin}{path}") as answer,
        ):
            return await answer.text()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that came to an application."""

    method: str
    host: str
    path: str
    body: str


@contextlib.asynccontextmanager
async def application(name: str, arrivals: list[Arrival] | None = None) -> AsyncIterator[int]:
    """A server that answers with its name; yields its port on 127.0.0.1.

    ``?status=N`` and ``?status-of-NAME=N`` ask for another status. ``arrivals`` collects what
    came."""

    async def answer(request: web.Request) -> web.Response:
        if arrivals is not None:
            body = await request.text()
            arrivals.append(Arrival(request.method, request.host, request.path, body))
        status = request.query.get(f"status-of-{name}", request.query.get("status", "200"))
        return web.Response(text=name, status=int(status))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
