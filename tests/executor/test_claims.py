"""Who has a target, when some of those that name it cannot be read."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.api_samples import changed
from cluster.scripted_api import Api, Watch, scripted_api
from serinus.api.canary import Canary
from serinus.api.decode import Malformed, decode_canary
from serinus.cluster.cache import Cache
from serinus.cluster.kinds import CANARIES
from serinus.executor.claims import Claims
from serinus.workload.views import decode_deployment

Object = dict[str, Any]
UNREADABLE = {"spec.analysis.stepWeight": "some"}


def stored(name: str, year: int, version: int = 1, **changes: Any) -> Object:
    return changed(
        {
            "metadata.name": name,
            "metadata.uid": f"uid-{name}",
            "metadata.creationTimestamp": f"{year}-01-01T00:00:00Z",
            "metadata.resourceVersion": str(version),
            **changes,
        }
    )


def unreadable(name: str, year: int, version: int = 1, **changes: Any) -> Object:
    return stored(name, year, version, **UNREADABLE, **changes)


class Known:
    """The canaries that the API server has, as claims."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.cache: Cache[Canary | Malformed] = Cache(api.client, CANARIES, decode_canary)
        self.claims = Claims(self.cache)
        self._running = asyncio.create_task(self.cache.run())
        self._watch: Watch | None = None

    async def change(self, kind: str, item: Object) -> None:
        watch = self._watch = self._watch or await self.api.watches.get()
        await watch.send(kind, item)
        name, version = item["metadata"]["name"], item["metadata"]["resourceVersion"]
        assert await self.cache.reached("test", name, version, 10)

    def refused(self, name: str, owner: str = "") -> str:
        """The problem of this canary; ``owner`` is whose the primary is."""
        canary = self.cache.get("test", name)
        assert isinstance(canary, Canary)
        found = self.claims.problems(canary, primary_of(owner) if owner else None)
        return "; ".join(map(str, found))

    def stop(self) -> None:
        self._running.cancel()


def primary_of(owner: str) -> Any:
    return decode_deployment(
        json.dumps(
            {
                "metadata": {
                    "name": "podinfo-primary",
                    "namespace": "test",
                    "ownerReferences": [
                        {
                            "apiVersion": "flagger.app/v1beta1",
                            "kind": "Canary",
                            "name": owner,
                            "uid": f"uid-{owner}",
                            "controller": True,
                        }
                    ],
                },
                "spec": {"selector": {}, "template": {"metadata": {}, "spec": {}}},
            }
        ).encode()
    )


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with scripted_api() as server:
        yield server


async def known(api: Api, *items: Object) -> Known:
    api.items = list(items)
    found = Known(api)
    await found.cache.synced.wait()
    return found


async def test_an_older_one_that_cannot_be_read_still_has_its_target(api: Api) -> None:
    of = await known(api, unreadable("old", 2025), stored("new", 2026))
    words = of.refused("new")
    assert 'canary "old" rolls out Deployment "podinfo" already' in words
    assert "though it cannot be read now" in words
    of.stop()


async def test_one_that_becomes_unreadable_in_mid_rollout_keeps_its_target(api: Api) -> None:
    of = await known(api, stored("old", 2025), stored("new", 2026))
    assert 'canary "old"' in of.refused("new")
    await of.change("MODIFIED", unreadable("old", 2025, 2))
    assert 'canary "old"' in of.refused("new")
    await of.change("MODIFIED", stored("old", 2025, 3))
    assert 'canary "old"' in of.refused("new") and not of.refused("old")
    of.stop()


async def test_the_primarys_owner_goes_first_although_it_is_younger(api: Api) -> None:
    of = await known(api, stored("old", 2025), unreadable("new", 2026))
    assert not of.refused("old")
    assert 'canary "new"' in of.refused("old", owner="new")
    of.stop()


async def test_one_that_is_gone_or_names_another_frees_the_target(api: Api) -> None:
    of = await known(api, unreadable("old", 2025), unreadable("older", 2024), stored("new", 2026))
    assert 'canary "older"' in of.refused("new")
    elsewhere = {"spec.targetRef.name": "elsewhere"}
    await of.change("MODIFIED", unreadable("older", 2024, 2, **elsewhere))
    assert 'canary "old"' in of.refused("new")
    await of.change("DELETED", unreadable("old", 2025, 3))
    assert not of.refused("new")
    of.stop()


async def test_a_target_that_cannot_be_read_either_is_no_claim(api: Api) -> None:
    nameless = unreadable("old", 2025, **{"spec.targetRef": "podinfo"})
    of = await known(api, nameless, stored("new", 2026))
    assert not of.refused("new")
    of.stop()
