"""Real callers' Envoys under the routes that the router writes: who is answered by whom."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.mesh.test_traffic import APEX, Callers, get, scene
from serinus.lab.mesh.versions import V1_8, V2_14, KumaVersion
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma import meshhttproute, trafficroute
from workload.guide import Json, canary

FULL = Traffic(Weights(100, 0))
MATCHED = Traffic(Weights(100, 0), matched=True)
ROUTE_ALL: Json = {
    "kind": "TrafficRoute",
    "mesh": "default",
    "metadata": {"name": "route-all-default"},
    "spec": {
        "sources": [{"match": {"kuma.io/service": "*"}}],
        "destinations": [{"match": {"kuma.io/service": "*"}}],
        "conf": {"destination": {"kuma.io/service": "*"}},
    },
}
HEADERS: list[Json] = [
    {"headers": {"X-Canary": {"exact": "insider"}, "x-mail": {"suffix": "@example.com"}}},
    {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
]
QUERY: Json = {"queryParams": {"beta": {"prefix": "y"}}}
ASKED = canary(analysis__match=[*HEADERS, QUERY])


def routes(version: KumaVersion, traffic: Traffic) -> list[Json]:
    """What the router writes, as Kuma's webhooks complete it."""
    if not version.has_meshhttproute:
        asked = canary(analysis__match=HEADERS)
        return [trafficroute.desired_route(asked, "podinfo", traffic), ROUTE_ALL]
    route = meshhttproute.desired_route(ASKED, traffic)
    route["metadata"]["labels"]["kuma.io/policy-role"] = "producer"
    return [route]


async def asked(session: aiohttp.ClientSession, query: str = "", **headers: str) -> str:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.get(f"http://{APEX}:9898/{query}", headers=names) as answer:
        return await answer.text() if answer.status == 200 else f"status {answer.status}"


@pytest.mark.parametrize("version", [V1_8, V2_14], ids=lambda v: v.name)
async def test_whom_the_test_matches_and_nobody_else_gets_the_canary(
    version: KumaVersion, tmp_path: Path
) -> None:
    async with scene(version, tmp_path, routes(version, FULL)) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world(routes(version, MATCHED)))
            await reached(session, cookie="canary=always")
            for _ in range(20):
                insider = {"x_canary": "insider", "x_mail": "a@example.com"}
                assert await asked(session, **insider) == "canary"
                assert await asked(session, cookie="canary=always; c=d") == "canary"
                assert await asked(session, x_canary="insider") == "primary"
                assert await asked(session, cookie="canary=never") == "primary"
                if version is V2_14:
                    assert await asked(session, "?beta=yes") == "canary"
                    assert await asked(session, "?beta=no") == "primary"
            await stage.deliver(stage.world(routes(version, FULL)))
            await callers.answered(50)
        assert set(callers.counts) == {"primary"}


async def test_callers_stay_where_their_cookie_is_from(tmp_path: Path) -> None:
    affinity = Affinity("side=c4n4ry", "old=pr1m4ry")
    async with scene(V2_14, tmp_path, routes(V2_14, FULL)) as (stage, session):
        async with Callers(session) as callers:
            for share in (1, 50, 99):
                traffic = Traffic(Weights(100 - share, share), affinity=affinity)
                await stage.deliver(stage.world(routes(V2_14, traffic)))
                await reached(session, cookie="side=c4n4ry")
                for _ in range(30):
                    assert await asked(session, cookie="x=y; side=c4n4ry") == "canary"
                    assert await asked(session, cookie="old=pr1m4ry; x=y") == "primary"
                    assert await asked(session, cookie="side=c4n4ry; old=pr1m4ry") == "canary"
            await stage.deliver(stage.world(routes(V2_14, FULL)))
            await stage.until(session, {"primary"})
            assert await asked(session, cookie="side=c4n4ry") == "primary"
        assert set(callers.counts) == {"primary", "canary"}


async def test_copies_arrive_and_only_the_primary_answers(tmp_path: Path) -> None:
    mirrored = Traffic(Weights(100, 0), mirrored=True)
    async with scene(V2_14, tmp_path, routes(V2_14, FULL)) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world(routes(V2_14, mirrored)))
            copies = 0
            for _ in range(200):
                await get(session)
                copies = await arrived(stage)
                if copies > 10:
                    break
            assert copies > 10
            await stage.deliver(stage.world(routes(V2_14, FULL)))
            await callers.answered(50)
        assert set(callers.counts) == {"primary"}


async def arrived(stage: Any) -> int:
    """Requests that came to the canary's application."""
    stats = await stage.sidecars["canary"].ask("/stats?filter=localhost_9898.upstream_rq_total")
    return int(stats.rsplit(":", 1)[1]) if ":" in stats else 0


async def reached(session: aiohttp.ClientSession, **headers: str) -> None:
    """Wait, for at most a thousand requests, until these headers lead to the canary."""
    for _ in range(1000):
        if await asked(session, **headers) == "canary":
            return
    raise AssertionError(f"{headers} do not lead to the canary")
