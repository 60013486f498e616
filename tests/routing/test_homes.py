"""Where a canary's objects stand in each Kuma, and how they move when it is upgraded."""

from typing import Any

import pytest

from routing.api_server import merge
from routing.cluster import (
    FULL,
    SPLIT,
    SYSTEM,
    Cluster,
    dataplane,
    in_namespace,
    mesh_service,
)
from routing.test_meshhttproute import pruned
from routing.test_router import cluster
from serinus.cluster.kinds import (
    DATAPLANES,
    MESHHTTPROUTES,
    MESHPROXYPATCHES,
    MESHRETRIES,
    MESHSERVICES,
    MESHTCPROUTES,
    MESHTIMEOUTS,
    TRAFFICROUTES,
)
from serinus.cluster.resource import Resource
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.dialect import Dialect
from serinus.routing.router import RoutingError
from workload.guide import Json, canary

__all__ = ["cluster"]

MATCHED = Traffic(Weights(100, 0), matched=True)
MIRRORED = Traffic(Weights(100, 0), mirrored=True)
HELD = Traffic(Weights(90, 10), affinity=Affinity("side=c4n4ry", "old=pr1m4ry"))
ASKED: Json = {
    "analysis__sessionAffinity": {"cookieName": "side", "primaryCookieName": "old"},
    "analysis__match": [],
    "service__timeout": "5s",
    "service__retries": {"attempts": 3},
}
APP_HOMES: list[tuple[Resource, str]] = [
    (MESHHTTPROUTES, "podinfo"),
    (MESHTIMEOUTS, "podinfo"),
    (MESHRETRIES, "podinfo"),
    (MESHPROXYPATCHES, "podinfo-canary-affinity"),
    (MESHPROXYPATCHES, "podinfo-primary-affinity"),
]


def lists(cluster: Cluster) -> int:
    """How often Dataplanes were listed."""
    return sum(path.endswith("/dataplanes") for _, path, _ in cluster.server.requests)


def name_in_system(resource: Resource, name: str) -> str:
    """Kuma's own MeshTimeout and MeshRetry there would win over names after theirs."""
    first = "canary-" if resource in (MESHTIMEOUTS, MESHRETRIES) else ""
    return f"{first}{name}-test"


def at_home(cluster: Cluster, *, system: bool) -> list[Json]:
    found = [
        cluster.server.get(resource, SYSTEM, name_in_system(resource, name))
        if system
        else cluster.server.get(resource, "test", name)
        for resource, name in APP_HOMES
    ]
    return [item for item in found if item is not None]


@pytest.mark.parametrize(("version", "home"), [("2.7", SYSTEM), ("2.14", "test")])
@pytest.mark.parametrize("traffic", [SPLIT, MATCHED, HELD, MIRRORED], ids=str)
async def test_a_tag_is_given_nothing_before_kuma_knows_a_ready_pod(
    cluster: Cluster, version: str, home: str, traffic: Traffic
) -> None:
    await cluster.kuma(version)
    headers = [{"headers": {"a": {"exact": "b"}}}] if traffic is MATCHED else []
    cluster.canary = canary(**{**ASKED, "analysis__match": headers})
    name = "podinfo-test" if home == SYSTEM else "podinfo"
    async with cluster.running():
        assert cluster.router.dialect(cluster.canary) is Dialect.SERVICE_TAG
        await cluster.carry(FULL)
        assert lists(cluster) == 0
        before = cluster.server.get(MESHHTTPROUTES, home, name)
        unready: list[Json] = [
            dataplane("podinfo"),
            dataplane("podinfo-canary", {"health": {}}),
            dataplane("podinfo-canary", {"state": "NotReady", "health": None}),
            dataplane("podinfo-canary", mesh="other"),
        ]
        for item in unready:
            await cluster.server.put(DATAPLANES, item)
            with pytest.raises(RoutingError, match=r"no ready pod of podinfo-canary\.test yet"):
                await cluster.router.reconcile(cluster.canary, traffic)
            assert cluster.server.get(MESHHTTPROUTES, home, name) == before
        await cluster.server.put(DATAPLANES, dataplane("podinfo-canary", {"health": None}))
        await cluster.carry(traffic)
        assert lists(cluster) == len(unready) + 1
        await cluster.carry(FULL)
        assert lists(cluster) == len(unready) + 1, "the way back waits for nothing"


async def test_a_mirror_beside_weights_is_looked_after_by_itself(cluster: Cluster) -> None:
    await cluster.kuma("2.14")
    await cluster.dataplanes()
    async with cluster.running():
        await cluster.carry(SPLIT)
        await cluster.server.client.delete(DATAPLANES, "test", "podinfo-canary-1")
        assert await cluster.carry(Traffic(Weights(90, 10))) == 1
        with pytest.raises(RoutingError, match="requests are not mirrored"):
            await cluster.router.reconcile(cluster.canary, Traffic(Weights(80, 20), mirrored=True))
        route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        assert route is not None
        (rule,) = route["spec"]["to"][0]["rules"]
        assert [ref["weight"] for ref in rule["default"]["backendRefs"]] == [80, 20]
        assert "filters" not in rule["default"]


async def test_an_operator_that_may_not_list_dataplanes_says_so(cluster: Cluster) -> None:
    await cluster.kuma("2.14")
    await cluster.dataplanes()
    cluster.server.forbidden = {"dataplanes"}
    async with cluster.running():
        await cluster.carry(FULL)
        with pytest.raises(RoutingError, match=r"allow the operator to list dataplanes\.kuma\.io"):
            await cluster.router.reconcile(cluster.canary, SPLIT)
        cluster.server.forbidden = set()
        await cluster.carry(SPLIT)


async def test_objects_in_the_system_namespace(cluster: Cluster) -> None:
    await cluster.kuma("2.7")
    await cluster.dataplanes()
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        assert cluster.router.problems(cluster.canary) == ()
        await cluster.carry(HELD)
        assert at_home(cluster, system=False) == []
        route, timeout, retry, to_canary, to_primary = at_home(cluster, system=True)
        for item in (route, timeout, retry, to_canary, to_primary):
            meta = item["metadata"]
            assert meta["labels"] == {"kuma.io/mesh": "default", "kuma.io/origin": "zone"}
            assert meta["annotations"]["flagger.app/canary"] == "test/podinfo"
            assert "ownerReferences" not in meta
        tag = {"kind": "MeshService", "name": "podinfo_test_svc_9898"}
        for item in (route, timeout, retry):
            assert item["spec"]["to"][0]["targetRef"] == tag
        for item, app in ((to_canary, "podinfo"), (to_primary, "podinfo-primary")):
            tags = {"app": app, "k8s.kuma.io/namespace": "test"}
            assert item["spec"]["targetRef"] == {"kind": "MeshSubset", "tags": tags}
        edited = merge(to_canary, {"spec": {"targetRef": {"tags": {"k8s.kuma.io/namespace": "x"}}}})
        await cluster.put(MESHPROXYPATCHES, edited)
        assert cluster.router.drift(cluster.canary) == (
            "spec.targetRef.kind of MeshProxyPatch podinfo-canary-affinity-test",
            "spec.targetRef.tags.app of MeshProxyPatch podinfo-canary-affinity-test",
            "spec.targetRef.tags[k8s.kuma.io/namespace] of MeshProxyPatch "
            "podinfo-canary-affinity-test",
        )
        assert await cluster.carry(HELD) == 1
        await cluster.carry(FULL)
        assert len(at_home(cluster, system=True)) == 3
        await cluster.carry(HELD)
        await cluster.router.collect(lambda _namespace, _name: True)
        assert len(at_home(cluster, system=True)) == 5
        await cluster.router.finalize(cluster.canary)
        assert at_home(cluster, system=True) == []


async def test_what_stands_in_the_system_namespace_is_collected(cluster: Cluster) -> None:
    await cluster.kuma("2.7")
    await cluster.dataplanes()
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        await cluster.carry(HELD)
        await cluster.router.collect(lambda _namespace, _name: False)
        assert at_home(cluster, system=True) == []


async def test_two_canaries_that_would_have_one_name_there(cluster: Cluster) -> None:
    await cluster.kuma("2.7")
    async with cluster.running():
        await cluster.carry(FULL, of=in_namespace("a-b", "shop"))
        (problem,) = cluster.router.problems(in_namespace("b", "shop-a"))
        assert problem.path == "spec.service.name"
        assert problem.message == (
            f"MeshHTTPRoute shop-a-b.{SYSTEM} is canary shop.a-b's; delete or rename it, or give "
            "the canary's service another name"
        )
        assert cluster.router.problems(in_namespace("a-b", "shop")) == ()


async def test_an_operator_of_one_namespace_is_told_where_it_cannot_look(
    cluster: Cluster,
) -> None:
    await cluster.kuma("2.7")
    async with cluster.running("test"):
        (problem,) = cluster.router.problems(canary(service__timeout="5s"))[:1]
        assert problem.path == "metadata.namespace"
        assert f"in its own namespace {SYSTEM} only" in problem.message
        assert "run it for all namespaces" in problem.message
    await cluster.kuma("2.14")
    async with cluster.running("test"):
        assert cluster.router.problems(canary(service__timeout="5s")) == ()


async def test_kuma_2_9_takes_patches_in_its_own_namespace_alone(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.patches_by_tag_only()
    await cluster.mesh_services()
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        await cluster.carry(HELD)
        assert len(at_home(cluster, system=False)) == 3
        assert len(at_home(cluster, system=True)) == 2


def read_by_kuma_3(cluster: Cluster) -> None:
    for item in cluster.server.objects.values():
        if item.get("kind") in ("MeshHTTPRoute", "MeshTimeout", "MeshRetry"):
            item["spec"] = pruned(item["spec"])


async def test_an_upgrade_under_a_canary_in_mid_rollout(cluster: Cluster) -> None:
    cluster.canary = canary(**ASKED)
    await cluster.kuma("2.7")
    await cluster.dataplanes()
    async with cluster.running():
        await cluster.carry(HELD)
    assert len(at_home(cluster, system=True)) == 5
    await cluster.kuma("2.14")
    async with cluster.running():
        before = len(cluster.server.writes)
        assert await cluster.carry(HELD) == 10
        methods = [
            (method, path.split("/namespaces/")[1])
            for method, path, _ in cluster.server.writes[before:]
        ]
        for resource, name in APP_HOMES:
            made = methods.index(("POST", f"test/{resource.plural}"))
            old = name_in_system(resource, name)
            gone = methods.index(("DELETE", f"{SYSTEM}/{resource.plural}/{old}"))
            assert made < gone
        assert at_home(cluster, system=True) == []
        assert len(at_home(cluster, system=False)) == 5
    await cluster.mesh_services()
    await cluster.kuma("2.14", "Exclusive")
    async with cluster.running():
        assert cluster.router.drift(cluster.canary) == (), "nobody edited anything"
        assert await cluster.carry(HELD) == 3, "route, timeout and retry; patches stay"
    await cluster.kuma("3.0")
    read_by_kuma_3(cluster)
    async with cluster.running():
        assert cluster.router.dialect(cluster.canary) is Dialect.LABELS
        assert cluster.router.drift(cluster.canary) == (), "nobody edited anything"
        assert await cluster.carry(HELD) == 3
        route = at_home(cluster, system=False)[0]
        assert pruned(route["spec"]) == route["spec"]
        assert cluster.router.drift(cluster.canary) == ()
        await cluster.router.finalize(cluster.canary)
        assert at_home(cluster, system=False) == []


async def test_a_traffic_route_goes_when_the_mesh_has_moved(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    async with cluster.running():
        await cluster.carry(SPLIT)
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    async with cluster.running():
        await cluster.carry(SPLIT)
        assert [write[0] for write in cluster.server.writes[-2:]] == ["POST", "DELETE"]
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo") is None


@pytest.mark.parametrize("how", ["owned", "marked"])
async def test_ones_own_is_known_by_owner_or_by_mark(cluster: Cluster, how: str) -> None:
    await cluster.kuma("2.14", "Exclusive")
    async with cluster.running():
        await cluster.carry(FULL)
        route: Any = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        gone = {
            "owned": {"annotations": {"flagger.app/canary": None}},
            "marked": {"ownerReferences": None},
        }[how]
        await cluster.put(MESHHTTPROUTES, merge(route, {"metadata": gone}))
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None


@pytest.mark.parametrize("kind", [MESHHTTPROUTES, MESHTCPROUTES], ids=lambda kind: kind.kind)
async def test_no_route_leads_where_kuma_3_would_answer_with_errors(
    cluster: Cluster, kind: Resource
) -> None:
    """It fails closed: a route to a primary of which it knows nothing yet turns everybody away."""
    asked = canary(service__appProtocol="http" if kind is MESHHTTPROUTES else "tcp")
    await cluster.kuma("3.0")
    async with cluster.running():
        assert await cluster.carry(FULL, of=asked) == 0
        assert cluster.server.get(kind, "test", "podinfo") is None
        await cluster.put(MESHSERVICES, mesh_service("podinfo-primary"))
        assert await cluster.carry(FULL, of=asked) == 1
        # One that is there stays, and is written to.
        await cluster.server.client.delete(MESHSERVICES, "test", "podinfo-primary")
        await cluster.gone(MESHSERVICES, "test", "podinfo-primary")
        assert await cluster.carry(FULL, of=asked) == 0
        assert cluster.server.get(kind, "test", "podinfo") is not None


async def test_up_to_kuma_2_a_route_may_come_before_its_services(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    async with cluster.running():
        assert await cluster.carry(FULL) == 1
