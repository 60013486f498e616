"""A mesh of whose sidecars Prometheus has no series: its canaries wait, and go on."""

import asyncio

from aiohttp import web

from executor.scene import Scene
from executor.test_preflight import reason, ticks_until
from executor.test_ticks import hand, prepare
from serinus.api.canary import Phase
from serinus.rollout.conditions import STALLED, condition


def no_series(_: str) -> web.Response:
    data = {"resultType": "vector", "result": []}
    return web.json_response({"status": "success", "data": data})


async def test_a_canary_waits_for_series_of_the_mesh_and_goes_on(scene: Scene) -> None:
    _ = scene.events
    scene.peers.prometheus = no_series
    await asyncio.to_thread(prepare, scene)
    async with hand(scene) as one:
        await one.until(Phase.INITIALIZED)
        await asyncio.to_thread(scene.await_message, "Error checking metric providers: Prometheus")
        await asyncio.to_thread(scene.release, "v2")
        await one.until(Phase.PROGRESSING)
        await ticks_until(one, "MetricsNotReady")
        for _ in range(3):
            report = await one.tick(due=True)
            # Asked again an interval later, and nothing is written meanwhile.
            assert report.stepped and not report.written
        status = one.canary().status
        assert (status.canary_weight, status.failed_checks) == (0, 0)
        told = condition(status, STALLED)
        assert told is not None
        assert told.message.startswith("Prometheus has no series of any sidecar of mesh default. ")
        await asyncio.to_thread(scene.await_message, "its metrics cannot be measured: Prometheus")

        scene.peers.prometheus = None
        async with asyncio.timeout(60):
            while one.canary().status.canary_weight == 0:
                await one.tick(due=True)
                await asyncio.sleep(0.02)
        assert reason(one) == "NotStalled"
