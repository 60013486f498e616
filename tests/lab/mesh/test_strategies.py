"""What the strategies ask of the mesh, with real requests through real Envoys: who is answered by
whom, whom a cookie holds, where copies go. Each loop of requests is bounded."""

import asyncio
from collections import Counter
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp

from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    Obj,
    by_name,
    cookie_patch,
    meshhttproute,
    proxypatch,
    rule,
    trafficroute,
)
from lab.mesh.test_control_plane import until
from lab.mesh.test_traffic import APEX, Callers, Scene, scene
from serinus.lab.mesh.versions import V1_8, V2_14

TO = {"kind": "MeshService", "name": "podinfo", "sectionName": "http"}
TO_CANARY = by_name("podinfo-canary", 100)
TO_PRIMARY = by_name("podinfo-primary", 100)
MANY = 1000
"""Requests after which a configuration must have arrived, whatever the machine does."""


def route(*narrow: Obj, canary: int = 0, filters: list[Obj] | None = None) -> Obj:
    """A producer's route by names: the narrower rules, then the bare one."""
    split = (by_name("podinfo-primary", 100 - canary), by_name("podinfo-canary", canary))
    rules = [*narrow, rule(*split, filters=filters)]
    return meshhttproute(rules, TO, **{"kuma.io/policy-role": "producer"})


def header(kind: str, name: str, value: str) -> Obj:
    return {"type": kind, "name": name, "value": value}


def holding(cookie: str, to: Obj) -> Obj:
    """The rule that leads whoever shows ``cookie``."""
    pattern = rf"(.*;)?[ \t]*{cookie}[ \t]*(;.*)?"
    return rule(to, headers=[header("RegularExpression", "cookie", pattern)])


async def ask(
    session: aiohttp.ClientSession, path: str = "/", *, method: str = "GET", **headers: str
) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.request(method, f"http://{APEX}:9898{path}", headers=named) as answer:
        return await answer.text() if answer.status == 200 else f"status {answer.status}"


async def settled(session: aiohttp.ClientSession, wanted: str, path: str = "/", **how: str) -> None:
    """Ask until ``wanted`` answers ten times in a row."""
    streak = 0
    for _ in range(MANY):
        streak = streak + 1 if await ask(session, path, **how) == wanted else 0
        if streak == 10:
            return
    raise AssertionError(f"{path} {how} is not answered by {wanted}")


async def test_each_way_to_match_leads_its_requests_only(tmp_path: Path) -> None:
    path = {"type": "PathPrefix", "value": "/new"}
    narrow = [
        rule(TO_CANARY, headers=[header("Exact", "x-canary", "insider")]),
        rule(TO_CANARY, headers=[header("Prefix", "user-agent", "Mozilla")]),
        rule(TO_CANARY, headers=[header("RegularExpression", "x-mail", r".*@example\.com")]),
        rule(TO_CANARY, headers=[{"type": "Present", "name": "x-present"}]),
        rule(TO_CANARY, queryParams=[{"type": "Exact", "name": "beta", "value": "1"}]),
        rule(TO_CANARY, queryParams=[header("RegularExpression", "trial", "y.*")]),
        rule(TO_CANARY, method="DELETE"),
        rule(TO_CANARY, path=path),
    ]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("canary", {"x_canary": "insider"}),
        ("primary", {"x_canary": "insiders"}),
        ("canary", {"user_agent": "Mozilla/5.0"}),
        ("primary", {"user_agent": "curl Mozilla"}),
        ("canary", {"x_mail": "a@example.com"}),
        ("primary", {"x_mail": "a@example.com.test"}),
        ("canary", {"x_present": ""}),
        ("canary", {"path": "/?beta=1"}),
        ("primary", {"path": "/?beta=12"}),
        ("canary", {"path": "/?a=b&trial=yes"}),
        ("primary", {"path": "/?trial=no"}),
        ("canary", {"method": "DELETE"}),
        ("primary", {"method": "PUT"}),
        ("canary", {"path": "/new"}),
        ("canary", {"path": "/new/page"}),
        ("primary", {"path": "/newer"}),
        ("primary", {}),
    ]
    async with scene(V2_14, tmp_path, [route()]) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world([route(*narrow)]))
            await settled(session, "canary", "/new")
            for wanted, how in asked * 5:
                assert await ask(session, **how) == wanted, how
        assert set(callers.counts) == {"primary"}


async def test_conditions_of_one_match_must_all_hold(tmp_path: Path) -> None:
    headers = [header("Exact", "x-canary", "insider"), header("Exact", "x-region", "eu")]
    query = [{"type": "Exact", "name": "beta", "value": "1"}]
    both = rule(TO_CANARY, headers=headers, queryParams=query)
    async with scene(V2_14, tmp_path, [route(both)]) as (_, session):
        assert await ask(session, "/?beta=1", x_canary="insider", x_region="eu") == "canary"
        assert await ask(session, "/", x_canary="insider", x_region="eu") == "primary"
        assert await ask(session, "/?beta=1", x_canary="insider") == "primary"


class User:
    """Somebody who keeps cookies, as a browser does."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    async def ask(self, session: aiohttp.ClientSession) -> str:
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with session.get(
            f"http://{APEX}:9898/", headers={"cookie": shown} if shown else {}
        ) as answer:
            assert answer.status == 200
            for line in answer.headers.getall("set-cookie", []):
                self.cookies |= {m.key: m.value for m in SimpleCookie(line).values()}
            return await answer.text()


PATCHES = [cookie_patch("podinfo", "side=c4n4ry"), cookie_patch("podinfo-primary", "side=pr1m4ry")]
HELD = (holding("side=c4n4ry", TO_CANARY), holding("side=pr1m4ry", TO_PRIMARY))


async def handed_out(session: aiohttp.ClientSession, wanted: dict[str, str]) -> None:
    """Wait until new callers are given ``wanted``: by side, the value of the cookie."""
    streak = 0
    for _ in range(MANY):
        user = User()
        side = await user.ask(session)
        streak = streak + 1 if user.cookies.get("side") == wanted.get(side) else 0
        if streak == 40:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"cookies are not handed out as in {wanted}")


async def test_users_stay_with_the_side_that_answered_them_first(tmp_path: Path) -> None:
    async with scene(V2_14, tmp_path, [route()]) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world([route(*HELD, canary=50)], patches=PATCHES))
            await handed_out(session, {"canary": "c4n4ry", "primary": "pr1m4ry"})
            users = [User() for _ in range(20)]
            first = [await user.ask(session) for user in users]
            assert set(first) == {"primary", "canary"}
            for canary in (50, 1, 99):
                await stage.deliver(stage.world([route(*HELD, canary=canary)], patches=PATCHES))
                for _ in range(5):
                    assert [await user.ask(session) for user in users] == first
            await stage.deliver(stage.world([route()]))
            await stage.until(session, {"primary"})
            await handed_out(session, {})
            assert {await user.ask(session) for user in users} == {"primary"}
        assert set(callers.counts) == {"primary", "canary"}


async def test_without_a_cookie_of_the_primary_users_only_ever_move_to_the_canary(
    tmp_path: Path,
) -> None:
    patches, held = PATCHES[:1], HELD[0]
    routes = [route(held, canary=60)]
    async with scene(V2_14, tmp_path, routes, patches=patches) as (_, session):
        users = [User() for _ in range(20)]
        seen = [[await user.ask(session) for user in users] for _ in range(20)]
        for turns in zip(*seen, strict=True):
            assert list(turns) == sorted(turns, reverse=True)
        assert set(seen[-1]) == {"canary"}


async def test_a_patch_that_envoy_refuses_leaves_the_pod_as_it_was(tmp_path: Path) -> None:
    """Kuma's webhook cannot know all that Envoy minds; the sidecar keeps what it has."""
    nameless = proxypatch("podinfo", "responseHeadersToAdd: [{header: {value: a}}]")
    to_canary = [route(canary=100)]
    async with scene(V2_14, tmp_path, to_canary, patches=PATCHES) as (stage, session):
        await handed_out(session, {"canary": "c4n4ry"})
        async with Callers(session) as callers:
            await stage.deliver(stage.world(to_canary, patches=[nameless]))
            await until(lambda: rejected(stage))
            await callers.answered(200)
            await handed_out(session, {"canary": "c4n4ry"})
            await stage.deliver(stage.world(to_canary))
            await handed_out(session, {})
        assert set(callers.counts) == {"canary"}


async def rejected(stage: Scene) -> bool:
    """Whether the canary's Envoy has refused a configuration."""
    name = "listener_manager.lds.update_rejected"
    told = await stage.sidecars["canary"].ask(f"/stats?filter=^{name}$")
    assert told.startswith(f"{name}: ")
    return told.strip() != f"{name}: 0"


def mirror(percentage: int | str) -> list[Obj]:
    """Copies to the canary, by its service tag: all that Kuma 2 finds."""
    backend = {"kind": "MeshService", "name": "podinfo-canary_test_svc_9898"}
    said = {"percentage": percentage, "backendRef": backend}
    return [{"type": "RequestMirror", "requestMirror": said}]


async def test_copies_go_to_the_canary_and_answers_come_from_the_primary(tmp_path: Path) -> None:
    async with scene(V2_14, tmp_path, [route()]) as (stage, session):
        arrivals = stage.arrivals
        async with Callers(session) as callers:
            await stage.deliver(stage.world([route(filters=mirror(100))]))
            for _ in range(MANY):
                if arrivals["canary"]:
                    break
                await ask(session)
            # The canary's failures are nobody's.
            for number in range(50):
                path = f"/n/{number}?status-of-canary=500"
                async with session.post(f"http://{APEX}:9898{path}", data=f"b{number}") as answer:
                    assert (answer.status, await answer.text()) == (200, "primary")
            wanted = {(f"/n/{number}", f"b{number}") for number in range(50)}

            async def all_arrived() -> bool:
                return copies(stage, "canary") == wanted

            await until(all_arrived)
            assert copies(stage, "primary") == wanted
            assert {one.host for one in arrivals["canary"]} == {f"{APEX}-shadow:9898"}
            await stage.deliver(stage.world([route()]))
            await callers.answered(50)
        assert set(callers.counts) == {"primary"}


def copies(stage: Scene, side: str) -> set[tuple[str, str]]:
    posted = [(one.path, one.body) for one in stage.arrivals[side] if one.method == "POST"]
    assert len(posted) == len(set(posted))
    return set(posted)


async def test_a_share_of_the_requests_is_copied(tmp_path: Path) -> None:
    async with scene(V2_14, tmp_path, [route(filters=mirror("12.5"))]) as (stage, session):
        answered = Counter([await ask(session) for _ in range(800)])
        assert answered == {"primary": 800}
        assert len(stage.arrivals["primary"]) == 800
        assert 50 < len(stage.arrivals["canary"]) < 160


async def test_kuma_1_8_leads_requests_by_header(tmp_path: Path) -> None:
    canary = {"kuma.io/service": "podinfo-canary_test_svc_9898"}
    split = [("podinfo-primary_test_svc_9898", 100), ("podinfo-canary_test_svc_9898", 0)]

    def matching(**headers: Obj) -> Obj:
        named = {name.replace("_", "-"): how for name, how in headers.items()}
        return {"match": {"headers": named}, "destination": canary}

    http = [
        matching(x_canary={"exact": "insider"}),
        matching(x_mail={"regex": r".*@example\.com"}, accept={"prefix": "text/"}),
        matching(cookie={"regex": r"^(.*?;)?(canary=always)(;.*)?$"}),
    ]
    plain = trafficroute("podinfo", "podinfo_test_svc_9898", split)
    narrow = trafficroute("podinfo", "podinfo_test_svc_9898", split, http=http)
    asked: list[tuple[str, dict[str, str]]] = [
        ("canary", {"x_canary": "insider"}),
        ("primary", {"x_canary": "insiders"}),
        ("canary", {"x_mail": "a@example.com", "accept": "text/html"}),
        ("primary", {"x_mail": "a@example.com"}),
        ("canary", {"cookie": "a=b;canary=always"}),
        ("primary", {"cookie": "canary=never"}),
        ("primary", {}),
    ]
    async with scene(V1_8, tmp_path, [plain, ROUTE_ALL]) as (stage, session):
        async with Callers(session) as callers:
            await stage.deliver(stage.world([narrow, ROUTE_ALL]))
            await settled(session, "canary", x_canary="insider")
            for wanted, how in asked * 5:
                assert await ask(session, **how) == wanted, how
            await stage.deliver(stage.world([plain, ROUTE_ALL]))
            await settled(session, "primary", x_canary="insider")
        assert set(callers.counts) == {"primary"}
