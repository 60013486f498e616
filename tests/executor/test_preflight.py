"""What Kuma has not made of a canary's Services holds its rollout; what it has lets it go on."""

import asyncio

from executor.scene import Scene
from executor.test_ticks import Hand, hand
from serinus.api.canary import Phase
from serinus.rollout.conditions import STALLED, condition


def reason(one: Hand) -> str:
    found = condition(one.canary().status, STALLED)
    return "" if found is None else found.reason


async def ticks_until(one: Hand, wanted: str) -> None:
    async with asyncio.timeout(60):
        while reason(one) != wanted:
            await one.tick(due=True)
            await asyncio.sleep(0.02)


async def test_a_canary_waits_for_the_meshservices_and_goes_on(scene: Scene) -> None:
    _ = scene.events
    await asyncio.to_thread(scene.apply, scene.target(), scene.canary())
    async with hand(scene) as one:
        await one.until(Phase.INITIALIZED)
        await ticks_until(one, "RouteNotPrepared")
        await asyncio.to_thread(scene.release, "v2")
        await one.until(Phase.PROGRESSING)
        await ticks_until(one, "RouteNotPrepared")
        for _ in range(4):
            await one.tick(due=True)
        status = one.canary().status
        assert (status.canary_weight, status.failed_checks) == (0, 0)
        told = condition(status, STALLED)
        assert told is not None
        services = ", ".join(
            f"{name}.{scene.namespace}" for name in ("podinfo", "podinfo-primary", "podinfo-canary")
        )
        assert f"there is no MeshService {services}" in told.message
        assert "kuma.io/sidecar-injection: enabled" in told.message
        await asyncio.to_thread(scene.await_message, "the mesh cannot lead requests to it")

        await asyncio.to_thread(scene.apply, *scene.mesh_services())
        async with asyncio.timeout(60):
            while one.canary().status.canary_weight == 0:
                await one.tick(due=True)
                await asyncio.sleep(0.02)
        assert reason(one) == "NotStalled"
