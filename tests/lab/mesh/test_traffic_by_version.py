"""What callers are really answered on each Kuma: requests through real Envoys, and what those show
of their configuration. Each loop of requests is bounded."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.mesh.dialects import DIALECTS, Dialect
from lab.mesh.mesh_objects import Obj, form_c, rule
from lab.mesh.test_traffic import APEX, CANARY, Callers, get, scene
from serinus.lab.mesh import xds
from serinus.lab.mesh.versions import V2_7, V3_0

pytestmark = pytest.mark.skipif(
    not Path("/proc/sys/net").exists(), reason="needs Linux's loopback network"
)

EVERY = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
INSIDER = [{"type": "Exact", "name": "x-canary", "value": "insider"}]
MANY = 3000
"""Requests after which a configuration must have arrived, whatever the machine does."""


async def settled(session: aiohttp.ClientSession, *wanted: str) -> None:
    """Ask until the last forty answers are these and no others, each there at least once."""
    last: list[str] = []
    for _ in range(MANY):
        last = [*last[-39:], await get(session)]
        if len(last) == 40 and set(last) == set(wanted):
            return
    raise AssertionError(f"answered with {Counter(last)} and not with {wanted}")


async def shares(session: aiohttp.ClientSession, number: int = 400) -> Counter[str]:
    return Counter([await get(session) for _ in range(number)])


async def routes_shown(stage: Any) -> list[Obj]:
    """podinfo's routes, as the caller's Envoy shows that it has them."""
    dump = json.loads(
        await stage.sidecars["client"].ask("/config_dump?resource=dynamic_route_configs")
    )
    hosts = [host for one in dump["configs"] for host in one["route_config"]["virtual_hosts"]]
    return [route for host in hosts for route in host["routes"]]


@EVERY
async def test_weights_and_names(dialect: Dialect, tmp_path: Path) -> None:
    start = [dialect.split(50, 50)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "primary", "canary")
        assert 130 < (await shares(session))["canary"] < 270
        (route,) = await routes_shown(stage)
        assert route["route"]["weighted_clusters"]["clusters"] == [
            {"name": dialect.cluster("podinfo-primary"), "weight": 50},
            {"name": dialect.cluster("podinfo-canary"), "weight": 50},
        ]
        assert route["route"]["retry_policy"]["num_retries"] == 5
        inbound = "self_inbound_dp_9898" if dialect.version is V3_0 else "localhost_9898"
        async with session.get(f"http://{CANARY}:5670/metrics") as answer:
            series = await answer.text()
        assert f'envoy_cluster_name="{inbound}"' in series
        assert f'envoy_http_conn_manager_prefix="{inbound}"' in series
        stats = await stage.sidecars["client"].ask("/stats/prometheus?usedonly")
        assert f'envoy_cluster_name="{dialect.cluster("podinfo-canary")}"' in stats
        async with Callers(session) as callers:
            for canary in (10, 90, 0, 100):
                changed = await stage.deliver(stage.world([dialect.split(100 - canary, canary)]))
                assert not any(name.startswith("lds") for name in changed["client"])
                await callers.answered(30)
        assert set(callers.counts) == {"primary", "canary"}


@EVERY
async def test_routes_come_and_go_without_a_failed_request(
    dialect: Dialect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 3.0 each of a route's clusters is another one than the service's own, and new to the
    caller each time."""
    monkeypatch.setattr(xds, "PATIENCE", 60.0)
    monkeypatch.setattr(xds, "LINGER_SECONDS", 1e-9)
    async with scene(dialect.version, tmp_path, [], mode=dialect.mode) as (stage, session):
        async with Callers(session) as callers:
            for turn in range(20):
                world = stage.world([] if turn % 2 else [dialect.split(50, 50)])
                await stage.deliver(world)
                await callers.answered(20)
                await stage.sidecars["client"].has_its_routes()
                await stage.deliver(world)
        assert set(callers.counts) == {"primary", "canary"}


@EVERY
async def test_shares_that_lead_nowhere(dialect: Dialect, tmp_path: Path) -> None:
    fails = dialect.version.fails_closed
    half_lost = dialect.route(
        rule(dialect.backend("podinfo-primary", 50), dialect.backend("nobody", 50))
    )
    all_lost = dialect.route(rule(dialect.backend("nobody", 100)))
    insiders = rule(dialect.backend("podinfo-canary"), headers=INSIDER)
    zeros = dialect.route(insiders, dialect.weights(0, 0))
    start = [dialect.split(0, 100)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "canary")
        await stage.deliver(stage.world([half_lost]))
        await settled(session, *(["primary", "status 500"] if fails else ["primary"]))
        if fails:
            found = await shares(session)
            assert 130 < found["status 500"] < 270
            failing, _ = await routes_shown(stage)
            assert failing["direct_response"] == {"status": 500}
        await stage.deliver(stage.world([all_lost]))
        await settled(session, "status 500" if fails else "primary")
        await stage.deliver(stage.world([zeros]))
        await settled(session, "status 500" if fails else "status 404")
        async with session.get(f"http://{APEX}:9898/", headers={"x-canary": "insider"}) as answer:
            assert await answer.text() == "canary"


@EVERY
async def test_a_canary_that_is_not_http(dialect: Dialect, tmp_path: Path) -> None:
    start = [dialect.split(0, 100)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "canary")
        split = [dialect.split(50, 50)]
        await stage.deliver(stage.world(split, protocols=("http", None)))
        fails = dialect.version.fails_closed
        await settled(session, *(["primary", "status 500"] if fails else ["primary"]))


@EVERY
async def test_a_canary_without_ready_pods(dialect: Dialect, tmp_path: Path) -> None:
    start = [dialect.split(50, 50)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "primary", "canary")
        await stage.deliver(stage.world(start, canary=False))
        await settled(session, *(["primary"] if dialect.by_tag else ["primary", "status 503"]))


@EVERY
async def test_callers_of_another_namespace(dialect: Dialect, tmp_path: Path) -> None:
    """On 2.14 a route by labels does not hold for them; on 3.0 it does."""
    start = [dialect.split(0, 100)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await stage.deliver(stage.world(start, caller="other"))
        await settled(session, "canary")
        if dialect.mode == "Exclusive":
            by_labels = {"kind": "MeshHTTPRoute", **form_c(0, 100)}
            await stage.deliver(stage.world([by_labels], caller="other"))
            await settled(session, "primary")
            await stage.deliver(stage.world([by_labels]))
            await settled(session, "canary")


@EVERY
async def test_the_stronger_route_has_the_word(dialect: Dialect, tmp_path: Path) -> None:
    ours, theirs = dialect.split(0, 100, name="b"), dialect.split(100, 0, name="a")
    async with scene(dialect.version, tmp_path, [ours], mode=dialect.mode) as (stage, session):
        await settled(session, "canary")
        await stage.deliver(stage.world([ours, theirs]))
        await settled(session, "primary")
        if dialect.version is not V2_7:
            stronger = dialect.split(0, 100, name="c")
            stronger["spec"]["targetRef"] = {"kind": "Dataplane", "labels": {"app": "client"}}
            await stage.deliver(stage.world([ours, theirs, stronger]))
            await settled(session, "canary")


@EVERY
async def test_default_retries(dialect: Dialect, tmp_path: Path) -> None:
    """One request of the caller is six to the canary: so count at the canary."""
    start = [dialect.split(0, 100)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "canary")
        stage.arrivals["canary"].clear()
        assert await get(session, f"http://{APEX}:9898/?status=503") == "status 503"
        assert len(stage.arrivals["canary"]) == 6
        stage.arrivals["canary"].clear()
        assert await get(session, f"http://{APEX}:9898/?status=500") == "status 500"
        assert len(stage.arrivals["canary"]) == 1, "it is no gateway error"


@EVERY
async def test_weights_of_connections(dialect: Dialect, tmp_path: Path) -> None:
    def split(primary: int, canary: int) -> list[Obj]:
        backends = [
            dialect.backend("podinfo-primary", primary),
            dialect.backend("podinfo-canary", canary),
        ]
        route = dialect.route({"default": {"backendRefs": backends}})
        return [{**route, "kind": "MeshTCPRoute"}]

    start = [dialect.split(0, 100)]
    async with scene(dialect.version, tmp_path, start, mode=dialect.mode) as (stage, session):
        await settled(session, "canary")
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as anew:
            plain = {"protocols": (None, None)}
            await stage.deliver(stage.world(split(100, 0), **plain))
            await settled(anew, "primary")
            await stage.deliver(stage.world(split(50, 50), **plain))
            await settled(anew, "primary", "canary")
            assert 40 < (await shares(anew, 200))["canary"] < 160
