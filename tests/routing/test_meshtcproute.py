"""A canary whose port speaks no HTTP: its route, and what it can do."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lab.mesh.test_traffic import APEX, scene
from routing.api_server import ApiServer, merge
from routing.cluster import FULL, SPLIT, Cluster, dataplane, mesh_service
from routing.dialects import DIALECTS, EVERY, IDS
from routing.test_admitted import WORLDS, routing
from serinus.api.canary import Canary
from serinus.cluster.kinds import DATAPLANES, MESHHTTPROUTES, MESHSERVICES, MESHTCPROUTES
from serinus.lab.mesh.admission import completed
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0, KumaVersion
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.addressing import Addressing, ByLabels, ByName, ByTag
from serinus.routing.kuma.dialect import Dialect
from serinus.routing.kuma.meshtcproute import carried_traffic, desired_route, route_change
from serinus.routing.kuma.views import MeshTCPRouteView
from serinus.routing.router import Ability, RoutingError
from workload.guide import Json, canary


def tcp(**changes: Any) -> Canary:
    """The guide's canary on a tcp port, with a metric that can be had there."""
    metrics = [{"name": "errors", "templateRef": {"name": "errors"}, "threshold": 1}]
    wanted = {"service__appProtocol": "tcp", "analysis__metrics": metrics}
    return canary(**{**wanted, **changes})


TCP = tcp()
every_dialect = pytest.mark.parametrize("way", EVERY, ids=IDS)


def view(route: Json) -> MeshTCPRouteView:
    return msgspec.convert(
        {**route, "spec": msgspec.Raw(msgspec.json.encode(route["spec"]))}, MeshTCPRouteView
    )


def rules(route: Json) -> list[Json]:
    (entry,) = route["spec"]["to"]
    found: list[Json] = entry["rules"]
    return found


@every_dialect
def test_weights_and_nothing_else(way: Addressing) -> None:
    route = desired_route(TCP, SPLIT, way)
    assert (route["kind"], route["spec"]["targetRef"]) == ("MeshTCPRoute", {"kind": "Mesh"})
    (rule,) = rules(route)
    assert set(rule) == {"default"}
    weights = [ref["weight"] for ref in rule["default"]["backendRefs"]]
    assert (set(rule["default"]), weights) == ({"backendRefs"}, [95, 5])
    assert carried_traffic(TCP, view(route)) == SPLIT
    assert route_change(TCP, view(route), SPLIT, way) == {}
    changed = merge(route, route_change(TCP, view(route), FULL, way))
    assert carried_traffic(TCP, view(changed)) == FULL


@every_dialect
def test_what_others_edited_is_repaired_and_what_is_theirs_stays(way: Addressing) -> None:
    route = desired_route(TCP, SPLIT, way)
    edited = deepcopy(route)
    theirs = {
        "targetRef": {"kind": "MeshService", "name": "other", "sectionName": "tcp"},
        "rules": [{"default": {"backendRefs": []}}],
    }
    edited["spec"]["to"].append(theirs)
    edited["spec"]["to"][0]["rules"][0]["default"]["backendRefs"].pop()
    edited["metadata"]["labels"]["team"] = "web"
    edited["spec"]["targetRef"] = {"kind": "MeshSubset", "tags": {"a": "b"}}
    repaired = merge(edited, route_change(TCP, view(edited), SPLIT, way))
    assert carried_traffic(TCP, view(repaired)) == SPLIT
    assert repaired["spec"]["to"][1] == theirs
    assert repaired["spec"]["targetRef"] == {"kind": "Mesh"}
    assert repaired["metadata"]["labels"]["team"] == "web"
    assert route_change(TCP, view(repaired), SPLIT, way) == {}


@pytest.mark.parametrize("before", IDS)
@pytest.mark.parametrize("after", IDS)
def test_a_route_of_another_dialect_is_written_anew(before: str, after: str) -> None:
    found = desired_route(TCP, SPLIT, DIALECTS[before])
    repaired = merge(found, route_change(TCP, view(found), SPLIT, DIALECTS[after]))
    assert repaired["spec"] == desired_route(TCP, SPLIT, DIALECTS[after])["spec"]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        yield Cluster(server)


@pytest.mark.parametrize(
    "asked",
    [
        TCP,
        tcp(service__appProtocol="kafka"),
        tcp(
            service__apex={},
            **{"service__appProtocol": "", "service__primary": {}, "service__canary": {}},
        ),
    ],
    ids=["tcp", "kafka", "nothing said"],
)
async def test_whoever_does_not_say_http_gets_connections_shared(
    asked: Canary, cluster: Cluster
) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
        await cluster.server.put(MESHSERVICES, mesh_service(name, protocol="tcp"))
    async with cluster.running():
        assert cluster.router.problems(asked) == ()
        assert cluster.router.preflight(asked) == ()
        assert cluster.router.abilities(asked) == frozenset({Ability.WEIGHTS})
        assert await cluster.carry(FULL, of=asked) == 1
        assert await cluster.carry(SPLIT, of=asked) == 1
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None
        await cluster.router.finalize(asked)
        assert cluster.server.get(MESHTCPROUTES, "test", "podinfo") is None


async def test_a_port_that_changes_its_protocol_leaves_no_route_behind(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    await cluster.mesh_services()
    http = canary(service__appProtocol="http")
    async with cluster.running():
        await cluster.carry(SPLIT, of=TCP)
        await cluster.carry(SPLIT, of=http)
        assert cluster.server.get(MESHTCPROUTES, "test", "podinfo") is None
        assert [write[0] for write in cluster.server.writes[-2:]] == ["POST", "DELETE"]
        await cluster.carry(FULL, of=TCP)
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None


async def test_what_connections_cannot_do_is_refused_by_field(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    asked = tcp(
        service__headless=True,
        service__timeout="5s",
        analysis__mirror=True,
        analysis__metrics=[{"name": "request-success-rate", "threshold": 99}],
    )
    async with cluster.running():
        told = {one.path: one.message for one in cluster.router.problems(asked)}
        assert set(told) == {
            "spec.service.headless",
            "spec.service.timeout",
            "spec.analysis.mirror",
            "spec.analysis.metrics[0].name",
        }
        assert told["spec.analysis.metrics[0].name"] == (
            "request-success-rate is about requests, and port 9898 is tcp to Kuma, which counts "
            "none there; set spec.service.appProtocol: http if that is what the port speaks, else "
            "use a MetricTemplate of your own by templateRef"
        )
        for traffic in (
            Traffic(Weights(100, 0), matched=True),
            Traffic(Weights(100, 0), mirrored=True),
            Traffic(Weights(50, 50), affinity=Affinity("a=b")),
        ):
            with pytest.raises(RoutingError, match="by weight only"):
                await cluster.router.reconcile(TCP, traffic)


async def test_it_waits_for_what_kuma_has_to_make(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    async with cluster.running():
        await cluster.carry(FULL, of=TCP)
        (problem,) = cluster.router.preflight(TCP)
        assert "there is no MeshService podinfo.test" in problem.message
        with pytest.raises(RoutingError, match="there is no MeshService"):
            await cluster.router.reconcile(TCP, SPLIT)


async def test_a_tag_without_pods_gets_no_connections(cluster: Cluster) -> None:
    await cluster.kuma("2.7")
    async with cluster.running():
        await cluster.carry(FULL, of=TCP)
        with pytest.raises(RoutingError, match=r"no ready pod of podinfo-canary\.test"):
            await cluster.router.reconcile(TCP, SPLIT)
        await cluster.server.put(DATAPLANES, dataplane("podinfo-canary"))
        await cluster.carry(SPLIT, of=TCP)


async def test_somebody_elses_route_of_that_name_is_a_problem(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    async with cluster.running():
        meta = {"name": "podinfo", "namespace": "test"}
        await cluster.put(MESHTCPROUTES, {"metadata": meta, "spec": {"to": []}})
        (problem,) = cluster.router.problems(TCP)
        assert "MeshTCPRoute podinfo.test belongs to somebody else" in problem.message


async def test_a_stronger_route_for_the_same_connections_is_told(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
        await cluster.server.put(MESHSERVICES, mesh_service(name, protocol="tcp"))
    async with cluster.running():
        ref = {"kind": "MeshService", "name": "podinfo", "namespace": "test"}
        pin = {
            "metadata": {"name": "pin", "namespace": "shop"},
            "spec": {"to": [{"targetRef": ref, "rules": [{"default": {"backendRefs": []}}]}]},
        }
        await cluster.put(MESHTCPROUTES, pin)
        (problem,) = cluster.router.preflight(TCP)
        assert problem.message.startswith("MeshTCPRoute pin.shop decides where requests go")
        assert problem.message.endswith("Delete that rule")


async def test_before_kuma_2_3_there_is_none(cluster: Cluster) -> None:
    await cluster.kuma("2.7", without=["meshtcproutes.kuma.io"])
    async with cluster.running():
        assert {one.path for one in cluster.router.problems(TCP)} == {"spec.service.appProtocol"}


@pytest.mark.parametrize(("version", "dialect"), WORLDS.values(), ids=WORLDS)
async def test_each_kuma_takes_it(tmp_path: Path, version: KumaVersion, dialect: Dialect) -> None:
    async with routing(tmp_path, version) as (_, play):
        assert play.router.dialect(TCP) is dialect
        for traffic in (FULL, FULL):
            wrote = await play.router.reconcile(TCP, traffic)
            for item in wrote:
                cache = play.caches.mesh_tcp_routes
                assert cache is not None
                assert await cache.reached(item.namespace, item.name, item.resource_version, 10)
            assert play.router.drift(TCP) == ()
        assert wrote == []


@pytest.mark.parametrize(
    ("version", "way"),
    [(V2_7, ByTag(SYSTEM_NAMESPACE)), (V2_14, ByName()), (V3_0, ByLabels())],
    ids=["2.7", "2.14", "3.0"],
)
async def test_callers_connections_are_shared_out(
    version: KumaVersion, way: Addressing, tmp_path: Path
) -> None:
    def routes(traffic: Traffic) -> list[Json]:
        return [completed(version, desired_route(TCP, traffic, way), "mesh-uid")]

    async def answered(count: int) -> set[str]:
        found = set()
        for _ in range(count):
            # A new connection for each.
            headers = {"connection": "close"}
            async with session.get(f"http://{APEX}:9898/", headers=headers) as answer:
                found.add(await answer.text())
        return found

    async with scene(version, tmp_path, routes(FULL)) as (stage, session):
        assert await answered(20) == {"primary"}
        async with asyncio.timeout(60):
            await stage.deliver(stage.world(routes(Traffic(Weights(50, 50)))))
            while "canary" not in await answered(5):
                pass
            await stage.deliver(stage.world(routes(Traffic(Weights(0, 100)))))
            while await answered(10) != {"canary"}:
                pass
