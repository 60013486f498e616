"""What a real API server allows nobody to write to a copy is written another way."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from controlplane import ControlPlane
from serinus.cluster.kinds import CONFIGMAPS, NAMESPACES, SECRETS
from workload.config_world import ConfigWorld, from_config_map, volume_of_secret

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
async def world(plane: ControlPlane) -> AsyncIterator[ConfigWorld]:
    async with plane.client() as client:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "configs-"}}
        made = await client.create(NAMESPACES, None, space)
        world = ConfigWorld(client, json.loads(made)["metadata"]["name"])
        running = [asyncio.create_task(cache.run()) for cache in world.caches.all()]
        try:
            for cache in world.caches.all():
                await cache.synced.wait()
            yield world
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def test_immutable_copies_and_types_of_secrets(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue", "old": "1"}, immutable=True)
    await world.put(SECRETS, "db", data={"password": "cA=="}, type="Opaque")
    await world.put(CONFIGMAPS, "plain", data={"color": "blue", "old": "1"})
    await world.target(
        container={
            "envFrom": [*from_config_map("ui")["envFrom"], *from_config_map("plain")["envFrom"]]
        },
        volumes=volume_of_secret("db"),
    )
    canary = world.canary()
    await world.make_primary(canary)
    assert world.in_primary(world.canary(configs=world.tracked(canary)))

    for resource, name in ((CONFIGMAPS, "ui"), (SECRETS, "db")):
        await world.remove(resource, name)
    await world.put(CONFIGMAPS, "ui", data={"color": "red"}, immutable=True)
    login = {"username": "dQ==", "password": "cA=="}
    await world.put(SECRETS, "db", data=login, type="kubernetes.io/basic-auth")
    await world.put(CONFIGMAPS, "plain", data={"color": "red"}, binaryData={"logo": "AAE="})
    await world.promote(canary)
    assert await world.promote(canary) == []
    assert world.in_primary(world.canary(configs=world.tracked(canary)))
    copies = [
        await world.get(resource, f"{name}-primary")
        for resource, name in ((CONFIGMAPS, "ui"), (SECRETS, "db"), (CONFIGMAPS, "plain"))
    ]
    assert [copy and copy["data"] for copy in copies] == [{"color": "red"}, login, {"color": "red"}]
    assert copies[0] is not None
    assert copies[0]["immutable"] is True
