"""Routers against a real HTTP API, in clusters of several kinds."""

from collections.abc import AsyncIterator

import pytest

from routing.api_server import ApiServer, merge
from routing.cluster import FULL, SELECTORS, SPLIT, Cluster, in_namespace, mesh_service
from serinus.cluster.kinds import (
    MESHHTTPROUTES,
    MESHPROXYPATCHES,
    MESHSERVICES,
    TRAFFICROUTES,
)
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.dialect import MESH_PROXY_PATCHES, Dialect
from serinus.routing.providers import Routers
from serinus.routing.router import Ability, Router, RoutingError
from workload.guide import Json, canary

ROUTE_ALL: Json = {
    "mesh": "default",
    "metadata": {"name": "route-all-default"},
    "spec": {"destinations": [{"match": {"kuma.io/service": "*"}}]},
}
SERVICE: Json = {
    "service__match": [{"uri": {"prefix": "/api"}}],
    "service__headers": {"request": {"set": {"x-a": "b"}}},
    "service__rewrite": {"uri": "/"},
    "service__timeout": "5s",
    "service__retries": {"attempts": 3},
}
SERVICE_FIELDS = [name.replace("__", ".").join(("spec.", "")) for name in SERVICE]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        yield Cluster(server)


async def test_a_route_in_the_guides_world(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    async with cluster.running():
        router: Router = cluster.router
        assert router.problems(cluster.canary) == ()
        assert await cluster.carry(FULL) == 1
        assert await cluster.carry(SPLIT) == 1
        route = cluster.server.get(TRAFFICROUTES, None, "podinfo")
        assert route is not None
        await cluster.put(TRAFFICROUTES, merge(route, {"metadata": {"labels": {"a": "b"}}}))
        assert await cluster.carry(SPLIT) == 0, "somebody's label is no reason to write"
        await router.finalize(cluster.canary)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo") is None


async def test_a_route_of_flaggers_is_taken_over_with_its_weights(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    async with cluster.running():
        await cluster.carry(SPLIT)
        ours = cluster.server.get(TRAFFICROUTES, None, "podinfo")
        unmarked = merge(ours, {"metadata": {"annotations": {"flagger.app/canary": None}}})
        await cluster.put(TRAFFICROUTES, unmarked)
        assert cluster.router.drift(cluster.canary) == (), "nobody changed anything"
        assert await cluster.carry(SPLIT) == 1
        assert "spec" not in cluster.server.writes[-1][2]


async def test_one_name_in_two_namespaces(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    async with cluster.running():
        other = in_namespace("prod")
        await cluster.carry(SPLIT)
        await cluster.carry(FULL, of=other)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo-prod") is not None
        assert await cluster.carry(SPLIT) == 0
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo-prod") is not None


async def test_a_route_of_another_mesh_is_not_touched(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    async with cluster.running():
        await cluster.carry(SPLIT)
        route = cluster.server.get(TRAFFICROUTES, None, "podinfo")
        assert route is not None
        await cluster.put(TRAFFICROUTES, {**route, "mesh": "other"})
        (problem,) = cluster.router.problems(cluster.canary)
        assert problem.path == "metadata.annotations[kuma.io/mesh]"
        assert "is of mesh other" in problem.message


async def test_never_the_first_traffic_route_of_a_newer_mesh(cluster: Cluster) -> None:
    await cluster.kuma("2.14")
    await cluster.dataplanes()
    async with cluster.running():
        await cluster.carry(SPLIT)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo") is None
        await cluster.put(TRAFFICROUTES, ROUTE_ALL)
        await cluster.carry(SPLIT)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo") is not None
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None
        # A canary's own route does not prove that the mesh lives by TrafficRoutes.
        await cluster.delete(TRAFFICROUTES, "route-all-default")
        assert cluster.router.dialect(cluster.canary) is Dialect.SERVICE_TAG
        await cluster.carry(SPLIT)
        assert cluster.server.get(TRAFFICROUTES, None, "podinfo") is None
        assert [write[0] for write in cluster.server.writes[-2:]] == ["POST", "DELETE"]


async def test_a_route_by_mesh_service_name(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    async with cluster.running():
        assert cluster.router.dialect(cluster.canary) is Dialect.MESH_SERVICE_NAME
        assert await cluster.carry(FULL) == 1, "all to the primary waits for nothing"
        with pytest.raises(RoutingError, match=r"there is no MeshService podinfo\.test, "):
            await cluster.router.reconcile(cluster.canary, SPLIT)
        await cluster.put(MESHSERVICES, mesh_service("podinfo"))
        await cluster.put(MESHSERVICES, mesh_service("podinfo-primary"))
        await cluster.put(MESHSERVICES, mesh_service("podinfo-canary", "tcp"))
        with pytest.raises(RoutingError, match=r"podinfo-canary\.test has port 9898 as tcp"):
            await cluster.router.reconcile(cluster.canary, SPLIT)
        await cluster.put(MESHSERVICES, mesh_service("podinfo-canary"))
        assert await cluster.carry(SPLIT) == 1
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None


async def test_what_kumas_webhooks_write_is_no_drift(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    mesh = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "name": "default", "uid": "m"}

    def admit(item: Json) -> Json:
        owners = item["metadata"].get("ownerReferences", [])
        more = [] if mesh in owners else [mesh]
        labels = {"kuma.io/policy-role": "producer", "kuma.io/zone": "default"}
        meta = {"labels": labels, "ownerReferences": [*owners, *more]}
        return merge(item, {"metadata": meta})

    cluster.server.admit = admit
    async with cluster.running():
        assert await cluster.carry(FULL) == 1
        assert await cluster.carry(FULL) == 0


async def test_a_write_that_came_too_late_is_made_anew(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
        await cluster.server.put(MESHSERVICES, mesh_service(name))
    async with cluster.running():
        await cluster.carry(FULL)
    # The caches have stopped, so they show the route as it was before somebody added to it.
    route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
    assert route is not None
    extra = {
        "targetRef": {"kind": "MeshService", "name": "other"},
        "rules": [{"matches": [], "default": {}}],
    }
    spec = {**route["spec"], "to": [*route["spec"]["to"], extra]}
    await cluster.server.put(MESHHTTPROUTES, {**route, "spec": spec})
    await cluster.router.reconcile(cluster.canary, SPLIT)
    after = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
    assert after is not None
    assert extra in after["spec"]["to"]
    assert after["spec"]["to"][0]["rules"][0]["default"]["backendRefs"][1]["weight"] == 5


async def test_somebody_elses_route_of_that_name_is_a_problem(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    async with cluster.running():
        theirs = {"metadata": {"name": "podinfo", "namespace": "test"}, "spec": {"to": []}}
        await cluster.put(MESHHTTPROUTES, theirs)
        (problem,) = cluster.router.problems(cluster.canary)
        assert problem.path == "spec.service.name"
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is not None


async def test_a_cluster_without_kuma(cluster: Cluster) -> None:
    async with cluster.running():
        (problem,) = cluster.router.problems(cluster.canary)
        assert "Kuma is not installed" in problem.message
        await cluster.router.finalize(cluster.canary)


COOKIES = Affinity("side=c4n4ry", "old=pr1m4ry")
HELD = Traffic(Weights(90, 10), affinity=COOKIES)
STICKY = {"cookieName": "side", "primaryCookieName": "old"}
PATCHES = ("podinfo-canary-affinity", "podinfo-primary-affinity")


def kinds_written(server: ApiServer) -> list[tuple[str, str]]:
    """Method and object of each write, in their order."""
    return [(method, path.rsplit("/", 1)[-1]) for method, path, _ in server.writes]


async def test_cookies_are_handed_out_as_long_as_the_route_knows_them(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    cluster.canary = canary(analysis__sessionAffinity=STICKY)
    async with cluster.running():
        assert cluster.router.problems(cluster.canary) == ()
        assert Ability.AFFINITY in cluster.router.abilities(cluster.canary)
        await cluster.carry(FULL)
        assert await cluster.carry(HELD) == 3
        assert kinds_written(cluster.server)[1:] == [
            ("POST", "meshproxypatches"),
            ("POST", "meshproxypatches"),
            ("PATCH", "podinfo"),
        ]
        for name, app in zip(PATCHES, ("podinfo", "podinfo-primary"), strict=True):
            patch = cluster.server.get(MESHPROXYPATCHES, "test", name)
            assert patch is not None
            assert patch["spec"]["targetRef"] == {"kind": "Dataplane", "labels": {"app": app}}
            edited = merge(patch, {"spec": {"default": {"appendModifications": []}}})
            await cluster.put(MESHPROXYPATCHES, edited)
        assert cluster.router.drift(cluster.canary) == tuple(
            f"spec.default.appendModifications of MeshProxyPatch {name}" for name in PATCHES
        )
        assert await cluster.carry(HELD) == 2
        before = len(cluster.server.writes)
        await cluster.router.reconcile(cluster.canary, FULL)
        assert kinds_written(cluster.server)[before:] == [
            ("PATCH", "podinfo"),
            *(("DELETE", name) for name in PATCHES),
        ]
        for name in PATCHES:
            await cluster.gone(MESHPROXYPATCHES, "test", name)
        route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        assert route is not None
        await cluster.seen(MESHHTTPROUTES, route)
        assert await cluster.carry(FULL) == 0


async def test_a_crash_between_the_writes_leaves_nothing_behind(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    cluster.canary = canary(analysis__sessionAffinity=STICKY)
    async with cluster.running():
        await cluster.carry(HELD)
        newer = Traffic(Weights(80, 20), affinity=Affinity("side=newer"))
        await cluster.router.reconcile(cluster.canary, newer)
        await cluster.gone(MESHPROXYPATCHES, "test", PATCHES[1])
        patch = cluster.server.get(MESHPROXYPATCHES, "test", PATCHES[0])
        assert patch is not None and "side=newer" in str(patch) and "c4n4ry" not in str(patch)
        route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        assert route is not None
        assert "c4n4ry" not in str(route) and "pr1m4ry" not in str(route)
        # Somebody's tick ended after the patches; the next one is told of a rollback.
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(MESHPROXYPATCHES, "test", PATCHES[0]) is None
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None


async def test_patches_of_deleted_canaries_are_collected(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    cluster.canary = canary(analysis__sessionAffinity=STICKY)
    async with cluster.running():
        await cluster.carry(HELD)
        await cluster.router.collect(lambda _namespace, _name: True)
        assert cluster.server.get(MESHPROXYPATCHES, "test", PATCHES[0]) is not None
        await cluster.router.collect(lambda _namespace, _name: False)
        assert cluster.server.get(MESHPROXYPATCHES, "test", PATCHES[0]) is None
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None


async def test_somebody_elses_patch_of_that_name_is_a_problem(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    async with cluster.running():
        theirs = {"metadata": {"name": PATCHES[0], "namespace": "test"}, "spec": {}}
        await cluster.put(MESHPROXYPATCHES, theirs)
        assert cluster.router.problems(cluster.canary) == ()
        (problem,) = cluster.router.problems(canary(analysis__sessionAffinity=STICKY))
        assert problem.path == "spec.analysis.sessionAffinity"
        assert "belongs to somebody else" in problem.message
        await cluster.router.finalize(cluster.canary)
        assert cluster.server.get(MESHPROXYPATCHES, "test", PATCHES[0]) is not None


@pytest.mark.parametrize(("selector", "why"), [({}, "is empty"), (None, "there is none")])
async def test_pods_that_nothing_selects_hand_out_no_cookies(
    cluster: Cluster, selector: dict[str, str] | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    cluster.canary = canary(analysis__sessionAffinity=STICKY)
    if selector is None:
        monkeypatch.delitem(SELECTORS, "podinfo-canary")
    else:
        monkeypatch.setitem(SELECTORS, "podinfo-canary", selector)
    async with cluster.running():
        with pytest.raises(RoutingError, match=f"does not say by which labels.*{why}"):
            await cluster.router.reconcile(cluster.canary, HELD)
        assert cluster.server.writes == []


async def test_affinity_needs_patches(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive", without=[MESH_PROXY_PATCHES])
    await cluster.mesh_services()
    async with cluster.running():
        sticky = canary(analysis__sessionAffinity=STICKY)
        (problem,) = cluster.router.problems(sticky)
        assert problem.path == "spec.analysis.sessionAffinity"
        assert "install Kuma's CRD meshproxypatches.kuma.io" in problem.message
        with pytest.raises(RoutingError, match="cookies cannot be handed out"):
            await cluster.router.reconcile(sticky, HELD)
        assert cluster.server.writes == []


async def test_requests_are_mirrored_to_ready_pods_only(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    mirrored = Traffic(Weights(100, 0), mirrored=True)
    down = mesh_service("podinfo-canary", state="Unavailable")
    async with cluster.running():
        await cluster.put(MESHSERVICES, down)
        with pytest.raises(RoutingError, match=r"no ready pod of podinfo-canary\.test yet"):
            await cluster.router.reconcile(cluster.canary, mirrored)
        route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        assert route is not None and "RequestMirror" not in str(route)
        await cluster.seen(MESHHTTPROUTES, route)
        await cluster.put(MESHSERVICES, mesh_service("podinfo-canary"))
        assert await cluster.carry(mirrored) == 1
        await cluster.put(MESHSERVICES, down)
        with pytest.raises(RoutingError, match="no ready pod"):
            await cluster.router.reconcile(cluster.canary, mirrored)
        route = cluster.server.get(MESHHTTPROUTES, "test", "podinfo")
        assert route is not None and "RequestMirror" not in str(route)


async def test_what_a_traffic_route_cannot_is_refused_by_field(cluster: Cluster) -> None:
    await cluster.kuma("1.8")
    asked = canary(
        analysis__match=[{"headers": {"a": {"exact": "b"}}, "queryParams": {"c": {"exact": "d"}}}],
        analysis__mirror=True,
        analysis__sessionAffinity=STICKY,
        **SERVICE,
    )
    async with cluster.running():
        found = {problem.path: problem.message for problem in cluster.router.problems(asked)}
        assert set(found) == {
            "spec.analysis.match[0].queryParams",
            "spec.analysis.mirror",
            "spec.analysis.sessionAffinity",
            *SERVICE_FIELDS,
        }
        for path, message in found.items():
            assert message.startswith("a TrafficRoute has no ")
            instead = {"spec.service.timeout": "Timeout", "spec.service.retries": "Retry"}.get(path)
            newer = "or use MeshHTTPRoutes: Kuma 2.6 or newer, in a mesh where no TrafficRoutes"
            assert (f"use Kuma's {instead}" if instead else newer) in message
        for traffic in (HELD, Traffic(Weights(100, 0), mirrored=True)):
            with pytest.raises(RoutingError):
                await cluster.router.reconcile(asked, traffic)
        headers = canary(analysis__match=[{"headers": {"a": {"exact": "b"}}}])
        assert cluster.router.problems(headers) == ()
        await cluster.carry(FULL, of=headers)
        assert await cluster.carry(Traffic(Weights(100, 0), matched=True), of=headers) == 1
        assert await cluster.carry(FULL, of=headers) == 1
        route = cluster.server.get(TRAFFICROUTES, None, "podinfo")
        assert route is not None and "http" not in route["spec"]["conf"]


async def test_plain_kubernetes_writes_nothing(cluster: Cluster) -> None:
    plain = canary(provider="kubernetes", analysis__iterations=5, analysis__stepWeight=None)
    async with cluster.running():
        routers: Router = Routers(cluster.router, default="kuma")
        assert routers.problems(plain) == ()
        assert routers.abilities(plain) == frozenset()
        assert await routers.reconcile(plain, FULL) == []
        assert routers.drift(plain) == ()
        for traffic in (SPLIT, HELD, Traffic(Weights(100, 0), mirrored=True)):
            with pytest.raises(RoutingError, match="cannot send any to the canary"):
                await routers.reconcile(plain, traffic)
        await routers.finalize(plain)
        await routers.collect(lambda _namespace, _name: False)
        assert cluster.server.writes == []
        asked = canary(
            provider="kubernetes",
            analysis__match=[{"headers": {"a": {"exact": "b"}}}],
            analysis__mirror=True,
            **SERVICE,
        )
        assert [problem.path for problem in routers.problems(asked)] == [
            "spec.analysis.mirror",
            "spec.analysis.match[0].headers",
            *SERVICE_FIELDS,
        ]


async def test_the_provider_chooses_the_router(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    async with cluster.running():
        routers = Routers(cluster.router, default="kubernetes")
        kuma, other = canary(provider="kuma"), canary(provider="istio")
        assert routers.for_canary(kuma) is cluster.router
        assert routers.splits(kuma) and not routers.splits(canary())
        assert routers.provider(canary()) == "kubernetes"
        (problem,) = routers.problems(other)
        assert str(problem).startswith(
            'spec.provider: provider "istio" is another mesh\'s; use "kuma" or "kubernetes"'
        )
        with pytest.raises(RoutingError, match="another mesh's"):
            await routers.reconcile(other, FULL)
        for written in await routers.reconcile(kuma, SPLIT):
            stored = cluster.server.get(written.resource, written.namespace, written.name)
            assert stored is not None
            await cluster.seen(written.resource, stored)
        assert await routers.reconcile(canary(), FULL) == []
        assert cluster.server.get(MESHHTTPROUTES, "test", "podinfo") is None
