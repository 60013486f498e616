"""Real callers' Envoys under the routes that the router writes: who is answered by whom."""

from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from lab.mesh.test_traffic import APEX, Callers, get, scene
from serinus.api.analysis import SessionAffinity
from serinus.cluster.kinds import MESHRETRIES, MESHTIMEOUTS
from serinus.lab.mesh.admission import completed
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma import meshhttproute, trafficroute
from serinus.routing.kuma.addressing import (
    Addressing,
    ByLabels,
    ByName,
    ByTag,
    app_home,
    system_home,
)
from serinus.routing.kuma.proxypatch import by_label, by_tag, desired_patch, names, patch_spec
from serinus.routing.kuma.servicepolicies import desired_policy, retry_conf, timeout_conf
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


@dataclass(frozen=True, slots=True)
class Play:
    """A Kuma, the mode of its mesh, and how Services are named there."""

    version: KumaVersion
    way: Addressing | None
    """None where it takes a TrafficRoute."""
    mode: str | None = None

    def taken(self, item: Json) -> Json:
        """As Kuma's webhooks complete it."""
        return completed(self.version, item, "mesh-uid")

    def routes(self, traffic: Traffic) -> list[Json]:
        """What the router writes."""
        if self.way is None:
            asked = canary(analysis__match=HEADERS)
            return [trafficroute.desired_route(asked, "podinfo", traffic), ROUTE_ALL]
        return [self.taken(meshhttproute.desired_route(ASKED, traffic, self.way))]

    def patches(self, affinity: Affinity) -> list[Json]:
        """What hands the cookies out: in the namespace of Kuma, by tags, before 2.10."""
        made: list[Json] = []
        sides = (("podinfo", affinity.cookie), ("podinfo-primary", str(affinity.primary_cookie)))
        for name, (app, cookie) in zip(names(ASKED), sides, strict=True):
            labels = {"app": app}
            if self.version.patches_by_labels:
                home, pods = app_home(ASKED, name), by_label(labels)
            else:
                home, pods = system_home(SYSTEM_NAMESPACE, ASKED, name), by_tag(ASKED, labels)
            spec = patch_spec(pods, cookie, SessionAffinity(cookie_name="side"))
            made.append(self.taken(desired_patch(ASKED, home, spec)))
        return made


OLDEST = Play(V1_8, None)
MODERN = (
    Play(V2_7, ByTag(SYSTEM_NAMESPACE)),
    Play(V2_14, ByTag(), "Disabled"),
    Play(V2_14, ByName()),
    Play(V3_0, ByLabels()),
)


def called(play: Play) -> str:
    return f"{play.version.name}{'' if play.mode is None else f'-{play.mode}'}"


modern = pytest.mark.parametrize("play", MODERN, ids=called)


async def asked(session: aiohttp.ClientSession, query: str = "", **headers: str) -> str:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.get(f"http://{APEX}:9898/{query}", headers=names) as answer:
        return await answer.text() if answer.status == 200 else f"status {answer.status}"


@pytest.mark.parametrize("play", [OLDEST, *MODERN], ids=called)
async def test_whom_the_test_matches_and_nobody_else_gets_the_canary(
    play: Play, tmp_path: Path
) -> None:
    async with scene(play.version, tmp_path, play.routes(FULL), mode=play.mode) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world(play.routes(MATCHED)))
            await reached(session, cookie="canary=always")
            for _ in range(20):
                insider = {"x_canary": "insider", "x_mail": "a@example.com"}
                assert await asked(session, **insider) == "canary"
                assert await asked(session, cookie="canary=always; c=d") == "canary"
                assert await asked(session, x_canary="insider") == "primary"
                assert await asked(session, cookie="canary=never") == "primary"
                if play.way is not None:
                    assert await asked(session, "?beta=yes") == "canary"
                    assert await asked(session, "?beta=no") == "primary"
            await stage.deliver(stage.world(play.routes(FULL)))
            await callers.answered(50)
        assert set(callers.counts) == {"primary"}


@modern
async def test_callers_stay_where_their_cookie_is_from(play: Play, tmp_path: Path) -> None:
    affinity = Affinity("side=c4n4ry", "old=pr1m4ry")
    async with scene(play.version, tmp_path, play.routes(FULL), mode=play.mode) as (stage, session):
        async with Callers(session) as callers:
            for share in (1, 50, 99):
                traffic = Traffic(Weights(100 - share, share), affinity=affinity)
                world = stage.world(play.routes(traffic), patches=play.patches(affinity))
                await stage.deliver(world)
                await reached(session, cookie="side=c4n4ry")
                await handed_out(session, affinity)
                for _ in range(30):
                    assert await asked(session, cookie="x=y; side=c4n4ry") == "canary"
                    assert await asked(session, cookie="old=pr1m4ry; x=y") == "primary"
                    assert await asked(session, cookie="side=c4n4ry; old=pr1m4ry") == "canary"
            await stage.deliver(stage.world(play.routes(FULL)))
            await stage.until(session, {"primary"})
            assert await asked(session, cookie="side=c4n4ry") == "primary"
        assert set(callers.counts) == {"primary", "canary"}


SERVED = canary(
    service__match=[{"uri": {"prefix": "/api"}, "method": {"exact": "GET"}}],
    service__rewrite={"uri": "/told", "type": "ReplacePrefixMatch", "authority": "shop.example"},
    service__headers={
        "request": {"set": {"x-told": "yes"}, "remove": ["x-gone"]},
        "response": {"set": {"x-answer": "told"}},
    },
    analysis__match=[QUERY],
)


def served(traffic: Traffic) -> list[Json]:
    route = meshhttproute.desired_route(SERVED, traffic, ByName())
    return [completed(V2_14, route, "mesh-uid")]


async def test_what_is_not_matched_goes_to_the_primary(tmp_path: Path) -> None:
    async with scene(V2_14, tmp_path, served(Traffic(Weights(0, 100)))) as (stage, session):
        for _ in range(1000):
            if await asked(session, "api") == "canary":
                break
        for _ in range(20):
            assert await asked(session, "api") == await asked(session, "api/x") == "canary"
            assert await asked(session, "apiary") == await asked(session) == "primary"
            async with session.post(f"http://{APEX}:9898/api") as answer:
                assert await answer.text() == "primary"
                assert "x-answer" not in answer.headers
            async with session.get(f"http://{APEX}:9898/api") as answer:
                assert answer.headers["x-answer"] == "told"
        await stage.deliver(stage.world(served(MATCHED)))
        for _ in range(1000):
            if await asked(session, "api") == "primary":
                break
        for _ in range(20):
            assert await asked(session, "api?beta=yes") == "canary"
            assert await asked(session, "api?beta=no") == "primary"
            assert await asked(session, "other?beta=yes") == "primary"
    came = {(one.host, one.path) for one in stage.arrivals["canary"]}
    assert came == {("shop.example", "/told/"), ("shop.example", "/told/x")}
    assert {("shop.example", "/told/")} < {
        (one.host, one.path) for one in stage.arrivals["primary"]
    }


@modern
async def test_a_timeout_and_retries_are_those_of_the_canary(play: Play, tmp_path: Path) -> None:
    way = play.way
    assert way is not None
    wanted = canary(
        service__timeout="2500ms",
        service__retries={"attempts": 2, "retryOn": "connect-failure,500"},
    )
    route, timeout, retry = (
        play.taken(policy)
        for policy in (
            meshhttproute.desired_route(wanted, Traffic(Weights(0, 100)), way),
            desired_policy(wanted, MESHTIMEOUTS, timeout_conf(wanted), way),
            desired_policy(wanted, MESHRETRIES, retry_conf(wanted), way),
        )
    )
    async with scene(play.version, tmp_path, [route], mode=play.mode) as (stage, session):
        came = stage.arrivals["canary"]
        await stage.until(session, {"canary"})
        came.clear()
        assert await asked(session, "?status-of-canary=500") == "status 500"
        assert len(came) == 1
        world = replace(stage.world([route]), timeouts=(timeout,), retries=(retry,))
        await stage.deliver(world)
        for _ in range(1000):
            came.clear()
            assert await asked(session, "?status-of-canary=500") == "status 500"
            if len(came) > 1:
                break
        for _ in range(5):
            came.clear()
            assert await asked(session, "?status-of-canary=500") == "status 500"
            assert len(came) == 3
            came.clear()
            assert await asked(session, "?status-of-canary=503") == "status 503"
            assert len(came) == 1
        assert '"timeout": "2.500s"' in await stage.sidecars["client"].ask("/config_dump")


@modern
async def test_copies_arrive_and_only_the_primary_answers(play: Play, tmp_path: Path) -> None:
    mirrored = Traffic(Weights(100, 0), mirrored=True)
    async with scene(play.version, tmp_path, play.routes(FULL), mode=play.mode) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world(play.routes(mirrored)))
            copies = stage.arrivals["canary"]
            for _ in range(200):
                await get(session)
                if len(copies) > 10:
                    break
            assert len(copies) > 10
            await stage.deliver(stage.world(play.routes(FULL)))
            await callers.answered(50)
        assert set(callers.counts) == {"primary"}


async def handed_out(session: aiohttp.ClientSession, affinity: Affinity) -> None:
    """Wait, for at most a thousand requests, until each side hands out its cookie."""
    cookies = {"canary": affinity.cookie, "primary": str(affinity.primary_cookie)}
    missing = dict(cookies)
    for _ in range(1000):
        for held in cookies.values():
            async with session.get(f"http://{APEX}:9898/", headers={"cookie": held}) as answer:
                side, told = await answer.text(), answer.headers.get("set-cookie", "")
            if told.startswith(f"{cookies[side]}; "):
                missing.pop(side, None)
        if not missing:
            return
    raise AssertionError(f"no cookie is handed out by {', '.join(missing)}")


async def reached(session: aiohttp.ClientSession, **headers: str) -> None:
    """Wait, for at most a thousand requests, until these headers lead to the canary."""
    for _ in range(1000):
        if await asked(session, **headers) == "canary":
            return
    raise AssertionError(f"{headers} do not lead to the canary")
