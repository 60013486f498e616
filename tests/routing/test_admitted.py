"""What the router writes, against the lab's API server with Kuma's schemas and webhooks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from lab.mesh.test_control_plane import control_plane, make_podinfo, until
from serinus.cluster import kinds
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.dataplanes import canary_is_ready
from serinus.routing.kuma.dialect import Dialect
from serinus.routing.kuma.discovery import KumaCaches, discover
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.router import Ability
from workload.guide import Json, canary

FULL = Traffic(Weights(100, 0))
SPLIT = Traffic(Weights(90, 10))
MATCHED = Traffic(Weights(100, 0), matched=True)
MATCH = [
    {"headers": {"X-Canary": {"exact": "insider"}}, "queryParams": {"beta": {"prefix": "y"}}},
    {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
]
AFFINITY = {"cookieName": "side", "primaryCookieName": "old", "httpOnly": True}
COOKIES = Affinity("side=c4n4ry", "old=pr1m4ry")
SELECTORS = {"podinfo-canary": {"app": "podinfo"}, "podinfo-primary": {"app": "podinfo-primary"}}
NAMES = ("podinfo", "podinfo-primary", "podinfo-canary")
PATCHES = ("podinfo-canary-affinity", "podinfo-primary-affinity")
WORLDS = {
    "2.7": (V2_7, Dialect.SERVICE_TAG),
    "2.14 without MeshServices": (replace(V2_14, mesh_services="Disabled"), Dialect.SERVICE_TAG),
    "2.14": (V2_14, Dialect.MESH_SERVICE_NAME),
    "3.0": (V3_0, Dialect.LABELS),
}


SERVICE: Json = {
    "service__headers": {
        "request": {"set": {"X-A": "b"}, "add": {"x-c": "d"}, "remove": ["x-e"]},
        "response": {"remove": ["server"]},
    },
    "service__rewrite": {"uri": "/v2", "authority": "shop.example", "type": "ReplacePrefixMatch"},
    "service__match": [
        {"uri": {"prefix": "/api"}, "method": {"exact": "GET"}},
        {"uri": {"prefix": "/shop/"}, "headers": {"x-f": {"regex": "g+"}}},
    ],
    "service__timeout": "90s",
    "service__retries": {
        "attempts": 2,
        "perTryTimeout": "1500ms",
        "retryOn": "gateway-error,503",
    },
}


@asynccontextmanager
async def routing(directory: Path, version: KumaVersion) -> AsyncIterator[tuple[Client, "Play"]]:
    async with control_plane(directory, version) as (client, _):
        injected = {"kuma.io/sidecar-injection": "enabled"}
        await make_podinfo(client, {"labels": injected, "annotations": injected})
        found = await discover(client, system_namespace=SYSTEM_NAMESPACE)
        caches = KumaCaches.of(client, found)
        running = [asyncio.create_task(cache.run()) for cache in caches.all()]
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(cache.synced.wait() for cache in caches.all()))
            router = KumaRouter(
                client, found, caches, selector=lambda _namespace, name: SELECTORS[name]
            )
            yield client, Play(router, caches)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


class Play:
    """A router and its caches."""

    def __init__(self, router: KumaRouter, caches: KumaCaches) -> None:
        self.router = router
        self.caches = caches

    async def settles(self, traffic: Traffic, *, headers_only: bool = False) -> None:
        """Have the requests go there; a second time there is nothing to write."""
        asked = canary(
            service__appProtocol="http",
            **({} if headers_only else SERVICE),
            analysis__match=MATCH[1:] if headers_only else MATCH,
            analysis__sessionAffinity=None if headers_only else AFFINITY,
            analysis__mirrorWeight=50,
        )
        for _ in range(2):
            wrote = await self.router.reconcile(asked, traffic)
            for item in wrote:
                (cache,) = (each for each in self.caches.all() if each.resource == item.resource)
                assert await cache.reached(item.namespace, item.name, item.resource_version, 10)
            assert self.router.drift(asked) == ()
        assert wrote == []


@pytest.mark.parametrize(("version", "dialect"), WORLDS.values(), ids=WORLDS)
async def test_each_kuma_takes_all_that_a_strategy_needs(
    tmp_path: Path, version: KumaVersion, dialect: Dialect
) -> None:
    async with routing(tmp_path, version) as (client, play):
        assert play.router.dialect(canary()) is dialect
        assert play.router.abilities(canary()) == frozenset(Ability)
        services = play.caches.mesh_services

        async def available() -> bool:
            if dialect is Dialect.SERVICE_TAG:
                return await canary_is_ready(client, canary())
            assert services is not None
            found = [one for name in NAMES if (one := services.get("test", name)) is not None]
            return len(found) == len(NAMES) and found[-1].spec.state == "Available"

        await until(available)
        mirrored = Traffic(Weights(100, 0), mirrored=True)
        for traffic in (FULL, SPLIT, MATCHED, mirrored):
            await play.settles(traffic)
        await play.settles(Traffic(Weights(80, 20), affinity=COOKIES))
        beside = version.policies_in_app_namespaces
        namespace, suffix = ("test", "") if beside else (SYSTEM_NAMESPACE, "-test")
        for name in PATCHES:
            patch = json.loads(await client.get(kinds.MESHPROXYPATCHES, namespace, name + suffix))
            assert patch["metadata"]["labels"].get("kuma.io/policy-role") == (
                "workload-owner" if beside else None
            )
            assert "Mesh" in {owner["kind"] for owner in patch["metadata"]["ownerReferences"]}
        await play.settles(FULL)
        route = json.loads(await client.get(kinds.MESHHTTPROUTES, namespace, f"podinfo{suffix}"))
        assert route["metadata"]["labels"].get("kuma.io/policy-role") == (
            "producer" if beside else None
        )
        assert len(route["spec"]["to"][0]["rules"]) == 1
        for name in PATCHES:
            with pytest.raises(NotFound):
                await client.get(kinds.MESHPROXYPATCHES, namespace, name + suffix)
        await play.router.finalize(canary())
        for resource in (kinds.MESHHTTPROUTES, kinds.MESHTIMEOUTS, kinds.MESHRETRIES):
            with pytest.raises(NotFound):
                await client.get(resource, namespace, f"podinfo{suffix}")


async def test_kuma_1_8_takes_header_rules(tmp_path: Path) -> None:
    async with routing(tmp_path, V1_8) as (client, play):
        for traffic in (FULL, SPLIT, MATCHED, FULL):
            await play.settles(traffic, headers_only=True)
        route = msgspec.json.decode(await client.get(kinds.TRAFFICROUTES, None, "podinfo"))
        assert "http" not in route["spec"]["conf"]
