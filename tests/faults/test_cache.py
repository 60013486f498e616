"""A cache alone behind the proxy: whatever happens on the way, it never goes back."""

import asyncio
import contextlib
import random
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from faults.proxy import Delay, Drop, Refuse, Rule, Truncate
from faults.real_cluster import RealCluster
from serinus.cluster.backoff import Backoff
from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import AlreadyExists, NotFound
from serinus.cluster.kinds import CONFIGMAPS, NAMESPACES

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
SPACE = "cache"
WATCHES, LISTS = "configmaps.*watch=true", "configmaps.*limit="
TROUBLE = [
    Rule(Refuse(410), WATCHES, first=2, chance=0.4),
    Rule(Truncate(3_000), WATCHES, chance=0.6),
    Rule(Refuse(503), WATCHES, chance=0.2),
    Rule(Drop(), LISTS, chance=0.2),
    Rule(Truncate(500), LISTS, chance=0.2),
    Rule(Delay(0.2), LISTS, chance=0.5),
    Rule(Refuse(429, 1), LISTS, chance=0.1),
]
WRITES = 3_000
SILENCE = 1.0
"""Seconds instead of 70: `test_promises` has a watch frozen for as long as that takes."""


class Shown:
    """What a cache has shown of each object, checked at every change."""

    def __init__(self, cache: Cache[Object]) -> None:
        self.changes = 0
        self.broken: list[str] = []
        self._versions: dict[str, int] = {}
        self._gone: set[str] = set()
        cache.subscribe(self._changed)

    def _changed(self, change: Change[Object]) -> None:
        self.changes += 1
        found = change.new or change.old
        assert found is not None
        uid, version = found["metadata"]["uid"], int(found["metadata"]["resourceVersion"])
        if uid in self._gone and change.new is not None:
            self.broken.append(f"{change.key} came back at {version}")
        if version < self._versions.get(uid, 0):
            self.broken.append(f"{change.key} went back to {version}")
        self._versions[uid] = max(version, self._versions.get(uid, 0))
        if change.old is not None and (
            change.new is None or change.new["metadata"]["uid"] != change.old["metadata"]["uid"]
        ):
            self._gone.add(change.old["metadata"]["uid"])


async def write(client: Client, chances: random.Random) -> None:
    name = f"one-{chances.randrange(20)}"
    try:
        match chances.random():
            case chance if chance < 0.15:
                await client.delete(CONFIGMAPS, SPACE, name)
            case chance if chance < 0.4:
                await client.create(CONFIGMAPS, SPACE, {"metadata": {"name": name}})
            case chance:
                await client.patch(CONFIGMAPS, SPACE, name, {"data": {"chance": str(chance)}})
    except (NotFound, AlreadyExists):
        return


def versions(objects: Any) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in objects}


@pytest.mark.parametrize("seed", [1, 2])
async def test_never_older_never_resurrected_and_right_in_the_end(
    cluster: RealCluster, seed: int
) -> None:
    chances, proxy = random.Random(seed), cluster.proxy
    proxy.chances, proxy.rules = random.Random(seed), deepcopy(TROUBLE)
    by_proxy = Connection.with_token(proxy.api, cluster.token)
    try:
        async with cluster.plane.client() as direct, Client(by_proxy) as client:
            with contextlib.suppress(AlreadyExists):
                await direct.create(NAMESPACES, None, {"metadata": {"name": SPACE}})
            cache: Cache[Object] = Cache(
                client,
                CONFIGMAPS,
                msgspec.json.decode,
                namespace=SPACE,
                silence=SILENCE,
                backoff=Backoff(0.02, 0.1),
            )
            shown = Shown(cache)
            running = asyncio.create_task(cache.run())
            for number in range(WRITES):
                await write(direct, chances)
                if number % 500 == 250:
                    proxy.freeze()
            frozen = proxy.freeze()
            proxy.heal()
            await write(direct, chances)
            last = await direct.create(CONFIGMAPS, SPACE, {"metadata": {"name": f"last-{seed}"}})
            version = msgspec.json.decode(last)["metadata"]["resourceVersion"]
            assert await cache.reached(SPACE, f"last-{seed}", version, 20)
            listed = msgspec.json.decode(await direct.list(CONFIGMAPS, SPACE))["items"]
            assert versions(cache.values()) == versions(listed)
            running.cancel()
    finally:
        proxy.heal()
    assert shown.broken == []
    assert shown.changes > 200
    assert set(cache.restarts) >= {"gone", "dropped"}, cache.restarts
    assert not frozen or cache.restarts["silent"] >= 1
