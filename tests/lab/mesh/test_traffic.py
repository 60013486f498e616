"""Real requests through real Envoys that the mesh's files configure."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.mesh.dialects import DIALECTS
from lab.mesh.loopback_envoys import NETWORK, Arrival, Sidecar, application
from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    Obj,
    form_a,
    form_b,
    mesh,
    namespace,
    pod,
    service,
    trafficroute,
)
from serinus.lab.mesh import xds
from serinus.lab.mesh.model import Proxy, World, observe
from serinus.lab.mesh.versions import V1_8, V2_14, V3_0, KumaVersion

CLIENT, PRIMARY, CANARY = f"{NETWORK}.9", f"{NETWORK}.1", f"{NETWORK}.2"
APEX = f"{NETWORK}.10"
(LABELS,) = (one for one in DIALECTS if one.version is V3_0)

pytestmark = pytest.mark.skipif(
    not Path("/proc/sys/net").exists(), reason="needs Linux's loopback network"
)


def split(primary: int, canary: int) -> Obj:
    return trafficroute(
        "podinfo",
        "podinfo_test_svc_9898",
        [("podinfo-primary_test_svc_9898", primary), ("podinfo-canary_test_svc_9898", canary)],
    )


class Scene:
    """A client, a primary and a canary, each with its Envoy."""

    def __init__(self, version: KumaVersion, directory: Path, mode: str | None = None) -> None:
        """``mode`` is its Mesh's ``meshServices.mode``; None is what the lab's has by default."""
        self.version = version
        self.mode = mode or version.mesh_services
        self.directory = directory
        self.sidecars: dict[str, Sidecar] = {}
        self.arrivals: dict[str, list[Arrival]] = {"primary": [], "canary": []}
        """What came to each side's application."""
        self.held: set[str] = set()
        """Those whose last delivery had to wait for their Envoy."""

    def world(
        self,
        routes: list[Obj],
        *,
        canary: bool = True,
        patches: Sequence[Obj] = (),
        protocols: tuple[str | None, str | None] = ("http", "http"),
        caller: str = "test",
    ) -> World:
        """``protocols`` are podinfo's and its canary's; ``caller`` is the client's namespace."""
        apex, other = protocols
        return observe(
            self.version,
            namespaces=[namespace("test"), namespace("other")],
            services=[
                service("podinfo", APEX, "podinfo-primary", protocol=apex),
                service("podinfo-primary", f"{NETWORK}.11", "podinfo-primary", protocol=apex),
                service("podinfo-canary", f"{NETWORK}.12", "podinfo", protocol=other),
            ],
            pods=[
                pod("client", CLIENT, "client", namespace=caller),
                pod("primary", PRIMARY, "podinfo-primary"),
                pod("canary", CANARY, "podinfo", ready=canary),
            ],
            meshes=[mesh(self.mode)],
            traffic_routes=[route for route in routes if "mesh" in route],
            http_routes=[route for route in routes if _is_http(route)],
            tcp_routes=[route for route in routes if route.get("kind") == "MeshTCPRoute"],
            proxy_patches=patches,
        )

    @property
    def client(self) -> Proxy:
        """The pod that calls."""
        return next(one for one in self.world([]).proxies if one.name == "client")

    async def deliver(self, world: World) -> dict[str, list[str]]:
        """The names of the files that changed, by proxy."""
        changed = {}
        for proxy in world.proxies:
            if proxy.name in self.sidecars:
                changed[proxy.name] = self.sidecars[proxy.name].deliver(world, proxy)
        self.held = {name for name in changed if self.sidecars[name].held}
        for name in changed:
            changed[name] += await self.sidecars[name].settle()
        return changed

    async def until(self, session: aiohttp.ClientSession, wanted: set[str]) -> None:
        """Wait until only ``wanted`` answer, ten times in a row."""
        async with asyncio.timeout(60):
            streak = 0
            while streak < 10:
                seen = await get(session)
                streak = streak + 1 if seen in wanted else 0


def _is_http(route: Obj) -> bool:
    return "mesh" not in route and route.get("kind", "MeshHTTPRoute") == "MeshHTTPRoute"


async def get(session: aiohttp.ClientSession, url: str = f"http://{APEX}:9898/") -> str:
    async with session.get(url) as answer:
        return await answer.text() if answer.status == 200 else f"status {answer.status}"


class Callers:
    """Four callers who never stop asking, and what they were answered."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.counts: Counter[str] = Counter()
        self._session = session
        self._answered = asyncio.Condition()
        self._done = False

    async def __aenter__(self) -> "Callers":
        self._tasks = [asyncio.create_task(self._call()) for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._done = True
        await asyncio.gather(*self._tasks)

    async def _call(self) -> None:
        while not self._done:
            answer = await get(self._session)
            async with self._answered:
                self.counts[answer] += 1
                self._answered.notify_all()

    async def answered(self, more: int) -> None:
        """Wait for ``more`` answers."""
        wanted = self.counts.total() + more
        async with asyncio.timeout(60), self._answered:
            await self._answered.wait_for(lambda: self.counts.total() >= wanted)


@contextlib.asynccontextmanager
async def scene(
    version: KumaVersion,
    directory: Path,
    routes: list[Obj],
    *,
    patches: Sequence[Obj] = (),
    mode: str | None = None,
) -> AsyncIterator[Any]:
    stage = Scene(version, directory, mode)
    arrivals = stage.arrivals
    async with (
        application("primary", arrivals["primary"]) as primary,
        application("canary", arrivals["canary"]) as canary,
    ):
        ports = {"client": None, "primary": primary, "canary": canary}
        for name, port in ports.items():
            stage.sidecars[name] = Sidecar(directory / name, port, calls=name == "client")
        await stage.deliver(stage.world(routes, patches=patches))
        try:
            for sidecar in stage.sidecars.values():
                await sidecar.start()
            for sidecar in stage.sidecars.values():
                await sidecar.ready()
            async with aiohttp.ClientSession() as session:
                yield stage, session
        finally:
            for sidecar in stage.sidecars.values():
                await sidecar.stop()


def routes_of(version: KumaVersion, primary: int, canary: int) -> list[Obj]:
    if version.has_meshhttproute:
        return [form_b(primary, canary)]
    return [split(primary, canary), ROUTE_ALL]


@pytest.mark.parametrize("version", [V1_8, V2_14], ids=lambda v: v.name)
async def test_weights_change_without_a_failed_request(
    version: KumaVersion, tmp_path: Path
) -> None:
    async with scene(version, tmp_path, routes_of(version, 100, 0)) as (stage, session):
        async with Callers(session) as callers:
            for canary in range(1, 101):
                changed = await stage.deliver(stage.world(routes_of(version, 100 - canary, canary)))
                assert not any(name.startswith("lds") for name in changed["client"])
                assert not stage.held, "a new weight waits for nothing"
                await callers.answered(10)
        assert set(callers.counts) == {"primary", "canary"}
        await stage.deliver(stage.world(routes_of(version, 50, 50)))
        await stage.until(session, {"primary", "canary"})
        split_counts = Counter([await get(session) for _ in range(400)])
        assert 130 < split_counts["canary"] < 270
        metrics = await stage.sidecars["canary"].ask("/stats/prometheus?usedonly")
        assert 'envoy_cluster_upstream_rq{envoy_response_code="200"' in metrics
        assert 'envoy_cluster_name="localhost_9898"' in metrics
        async with session.get(f"http://{CANARY}:5670/metrics") as answer:
            shown = await answer.text()
        assert 'envoy_cluster_name="localhost_9898"' in shown
        assert "envoy_cluster_upstream_rq_time_bucket" in shown
        async with session.get(f"http://{CANARY}:9902/ready") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("version", [V1_8, V2_14], ids=lambda v: v.name)
async def test_only_split_routes_are_watched(version: KumaVersion, tmp_path: Path) -> None:
    """Each watched file is one of the few inotify instances that a user has."""
    stage = Scene(version, tmp_path)
    stage.sidecars = {name: Sidecar(tmp_path / name, 1) for name in ("client", "canary")}

    def routes(name: str) -> list[str]:
        return [file.name for file in (tmp_path / name).glob("rds-*")]

    await stage.deliver(stage.world([ROUTE_ALL] if version is V1_8 else []))
    assert routes("client") == routes("canary") == []
    for weights in [(90, 10), (100, 0), (0, 100)]:
        changed = await stage.deliver(stage.world(routes_of(version, *weights)))
        assert len(routes("client")) == len(routes("canary")) == 1
        assert ("lds.json" in changed["client"]) == (weights == (90, 10))


async def test_clusters_come_before_the_routes_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a route by names and one by tags every cluster of the split is another. What was
    read must not be taken for a wait that came to its end."""
    monkeypatch.setattr(xds, "PATIENCE", 60.0)
    monkeypatch.setattr(xds, "LINGER_SECONDS", 1e-9)
    async with scene(V2_14, tmp_path, [form_b(50, 50)]) as (stage, session):
        async with Callers(session) as callers:
            for turn in range(60):
                world = stage.world([form_b(50, 50) if turn % 2 else form_a(50, 50)])
                await stage.deliver(world)
                # The clusters by names are there anyway: Services of their own lead to them.
                assert ("client" in stage.held) == (turn % 2 == 0)
                await callers.answered(10)
                await stage.sidecars["client"].has_its_routes()
                await stage.deliver(world)
                assert not stage.held, "this one takes away what lingered"
        assert set(callers.counts) == {"primary", "canary"}


async def test_routes_do_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while they wait takes their place."""
    monkeypatch.setattr(xds, "PATIENCE", 0.05)
    stage = Scene(V2_14, tmp_path)
    client = stage.sidecars["client"] = Sidecar(tmp_path / "client")
    await stage.deliver(stage.world([form_b(50, 50)]))
    (proxy,) = (one for one in stage.world([]).proxies if one.name == "client")
    assert client.deliver(stage.world([form_a(90, 10)]), proxy) == ["cds.json"]
    assert client.held
    assert client.deliver(stage.world([form_a(80, 20)]), proxy) == []
    before = next((tmp_path / "client").glob("rds-*")).read_text()
    assert [name[:4] for name in await client.settle()] == ["rds-"]
    after = next((tmp_path / "client").glob("rds-*")).read_text()
    assert before != after and '"weight":80' in after and '"weight":90' not in after
    assert not client.held and await client.settle() == []


async def test_a_pod_that_is_no_longer_ready_gets_no_more_requests(tmp_path: Path) -> None:
    """By service tag its share goes to the others, silently."""
    async with scene(V2_14, tmp_path, [form_a(50, 50)]) as (stage, session):
        assert {await get(session) for _ in range(60)} == {"primary", "canary"}
        await stage.deliver(stage.world([form_a(50, 50)], canary=False))
        await stage.until(session, {"primary"})


async def test_a_mesh_service_without_pods_is_answered_503(tmp_path: Path) -> None:
    async with scene(V2_14, tmp_path, [form_b(0, 100)]) as (stage, session):
        await stage.until(session, {"canary"})
        await stage.deliver(stage.world([form_b(0, 100)], canary=False))
        await stage.until(session, {"status 503"})


async def test_clusters_stay_while_routes_that_name_them_are_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: the proxy has the old routes until then, and has to read the new
    ones after that."""
    monkeypatch.setattr(xds, "PATIENCE", 60.0)
    now = 0.0
    stage = Scene(V3_0, tmp_path)
    client = stage.sidecars["client"] = Sidecar(tmp_path / "client", clock=lambda: now)
    await stage.deliver(stage.world([LABELS.split(90, 10)]))
    proxy = stage.client
    clusters = tmp_path / "client" / "cds.json"
    name = LABELS.cluster("podinfo-canary")
    for canary in (True, False):
        client.deliver(stage.world([], canary=canary), proxy)
        assert client.held and name in clusters.read_text()
        now += 2 * xds.LINGER_SECONDS
    assert await client.settle()
    for canary in (True, False):
        client.deliver(stage.world([], canary=canary), proxy)
        assert name in clusters.read_text()
    now += xds.LINGER_SECONDS
    client.deliver(stage.world([]), proxy)
    assert name not in clusters.read_text()


async def test_no_request_fails_while_a_route_goes_and_its_caller_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other objects change before the caller has its new routes. Its Envoy answers 503 where a
    route names a cluster that is gone, and does not try that again."""
    monkeypatch.setattr(xds, "LINGER_SECONDS", 1e-9)
    async with scene(V3_0, tmp_path, [LABELS.split(50, 50)]) as (stage, session):
        client = stage.sidecars["client"]

        of_canary = f"{LABELS.own.replace('podinfo', 'podinfo-canary')}::{CANARY}:"
        async with Callers(session) as callers:
            await callers.answered(20)
            client.deliver(stage.world([]), stage.client)
            await shows(client, lambda shown: f"{LABELS.own}::" in shown)
            client.deliver(stage.world([], canary=False), stage.client)
            await shows(client, lambda shown: of_canary not in shown)
            assert client.held
            await callers.answered(20)
            assert await client.settle()
            await stage.until(session, {"primary"})
        assert set(callers.counts) == {"primary", "canary"}


async def shows(sidecar: Sidecar, holds: Callable[[str], bool]) -> None:
    """Wait until what Envoy says of its clusters ``holds``."""
    async with asyncio.timeout(20):
        while not holds(await sidecar.ask("/clusters")):
            pass
