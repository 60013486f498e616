"""Single ticks against a real API server: what one does, and where it stops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from executor.scene import Scene
from lab.controllers.played_cluster import TOKEN
from serinus.api.canary import Canary, Phase
from serinus.api.decode import Malformed, decode_canary
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.kinds import CANARIES
from serinus.executor.claims import Claims
from serinus.executor.execute import Executor, TickReport
from serinus.operator.assembly import assemble
from serinus.operator.settings import Settings
from serinus.routing.kuma.discovery import discover


@dataclass
class Hand:
    """An executor in this process, and the caches that it goes by."""

    scene: Scene
    executor: Executor
    canaries: Cache[Canary | Malformed]
    caches: dict[str, Cache[Any]]

    def canary(self) -> Canary:
        found = self.canaries.get(self.scene.namespace, "podinfo")
        assert isinstance(found, Canary)
        return found

    async def tick(self, canary: Canary | None = None, *, due: bool = False) -> TickReport:
        report = await self.executor.tick(canary or self.canary(), datetime.now(UTC), due=due)
        await self.see(report)
        return report

    async def see(self, report: TickReport) -> None:
        for resource, namespace, name, version in report.written:
            cache = self.canaries if resource == CANARIES else self.caches[resource.kind]
            assert await cache.reached(namespace, name, version, 10)

    async def until(self, phase: Phase) -> None:
        async with asyncio.timeout(60):
            while self.canary().status.phase is not phase:
                await self.tick(due=True)
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def hand(scene: Scene, leads: bool = True) -> AsyncIterator[Hand]:
    """Caches and executor of the scene's namespace, as the operator has them."""
    connection = Connection.with_token(scene.peers.api, TOKEN)
    space = scene.namespace
    async with Client(connection) as client, aiohttp.ClientSession() as session:
        kinds = await discover(client)
        canaries: Cache[Canary | Malformed] = Cache(
            client, CANARIES, decode_canary, namespace=space
        )
        settings = Settings(namespace=space, metrics_server=scene.peers.http, route_propagation=0.0)
        parts = assemble(settings, client, session, Claims(canaries), kinds, lambda: leads)
        caches, events, executor = parts.watched, parts.events, parts.executor
        running = [asyncio.create_task(cache.run()) for cache in (canaries, *caches)]
        running.append(asyncio.create_task(events.run()))
        for cache in (canaries, *caches):
            await cache.synced.wait()
        try:
            yield Hand(scene, executor, canaries, {one.resource.kind: one for one in caches})
        finally:
            await events.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def prepare(scene: Scene) -> None:
    _ = scene.events
    scene.apply(scene.target(), *scene.mesh_services(), scene.canary())


async def test_a_decision_on_an_old_canary_is_void(scene: Scene) -> None:
    await asyncio.to_thread(prepare, scene)
    async with hand(scene) as one:
        await one.until(Phase.INITIALIZED)
        await asyncio.to_thread(scene.release, "v2")
        await one.until(Phase.PROGRESSING)
        old = one.canary()
        await asyncio.to_thread(scene.within, "annotate", "canary", "podinfo", "seen=1")
        scene.peers.requests.clear()
        report = await one.executor.tick(old, datetime.now(UTC), due=True)
        assert report.fenced or not report.stepped
        while report.fenced is False:  # Its pods were not ready yet, so nothing was decided.
            await asyncio.sleep(0.05)
            report = await one.executor.tick(old, datetime.now(UTC), due=True)
        assert [(seen.method, seen.status) for seen in scene.peers.writes()][-1] == ("PUT", 409)
        assert one.canary().status.canary_weight == 0
        assert not [seen for seen in scene.peers.writes() if "meshhttproutes" in seen.path]


async def test_at_rest_a_tick_asks_for_nothing(scene: Scene) -> None:
    await asyncio.to_thread(prepare, scene)
    async with hand(scene) as one:
        await one.until(Phase.INITIALIZED)
        await one.tick()
        scene.peers.requests.clear()
        report = await one.tick(due=True)
        assert report == TickReport()
        assert [str(seen) for seen in scene.peers.requests if "/events" not in seen.path] == []


async def test_who_does_not_lead_does_nothing(scene: Scene) -> None:
    await asyncio.to_thread(prepare, scene)
    async with hand(scene, leads=False) as one:
        scene.peers.requests.clear()
        assert (await one.tick(due=True)).fenced
        # A cache is synced by its list, a moment before it begins to watch.
        assert [str(seen) for seen in scene.peers.requests if not seen.watches] == []


async def test_what_fails_is_told_and_ends_the_tick(scene: Scene) -> None:
    """A quota, an admission webhook, a right that is missing: the server may say no for long."""
    await asyncio.to_thread(prepare, scene)
    scene.peers.refused = "/services"
    async with hand(scene) as one:
        await one.tick()
        report = await one.tick()
        assert report.failed is not None and report.failed.startswith("ReconcileServices: ")
        assert not [seen for seen in scene.peers.writes() if "deployments" in seen.path]
        for _ in range(3):
            assert (await one.tick()).failed is not None
        words = f"Halt podinfo.{scene.namespace}: ReconcileServices failed: not here"
        await asyncio.to_thread(scene.await_message, words)
        assert sum(count for told, count in scene.messages().items() if words in told) == 1
        scene.peers.refused = ""
        await one.until(Phase.INITIALIZED)
