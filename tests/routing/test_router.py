"""Routers against a real HTTP API, in clusters of several kinds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from routing.api_server import ApiServer, merge
from serinus.api.canary import Canary
from serinus.cluster.kinds import (
    CRDS,
    MESHES,
    MESHHTTPROUTES,
    MESHPROXYPATCHES,
    MESHSERVICES,
    TRAFFICROUTES,
)
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.dialect import (
    MESH_HTTP_ROUTES,
    MESH_PROXY_PATCHES,
    MESH_SERVICES,
    TRAFFIC_ROUTES,
    Dialect,
)
from serinus.routing.kuma.dialect import MESHES as MESH_CRD
from serinus.routing.kuma.discovery import KumaCaches, discover
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.providers import Routers
from serinus.routing.router import Ability, Router, RoutingError
from workload.guide import Json, canary

FULL = Traffic(Weights(100, 0))
SPLIT = Traffic(Weights(95, 5))


def crd(name: str, reference: Json | None = None) -> Json:
    target = {"properties": {"targetRef": {"properties": reference or {}}}}
    to = {"properties": {"to": {"type": "array", "items": target}}}
    schema = {"openAPIV3Schema": {"properties": {"spec": to}}}
    return {
        "metadata": {"name": name},
        "spec": {"versions": [{"name": "v1alpha1", "served": True, "schema": schema}]},
    }


def patch_crd(*kinds: str) -> Json:
    reference = {"properties": {"kind": {"enum": list(kinds)}, "labels": {}}}
    spec = {"properties": {"spec": {"properties": {"targetRef": reference}}}}
    versions = [{"name": "v1alpha1", "served": True, "schema": {"openAPIV3Schema": spec}}]
    return {"metadata": {"name": MESH_PROXY_PATCHES}, "spec": {"versions": versions}}


def mesh_service(name: str, protocol: str = "http", state: str = "Available") -> Json:
    ports = [{"port": 9898, "name": "http", "appProtocol": protocol}]
    app = "podinfo" if name == "podinfo-canary" else "podinfo-primary"
    tags = {"app": app, "k8s.kuma.io/namespace": "test"}
    spec = {"ports": ports, "selector": {"dataplaneTags": tags}, "state": state}
    return {"metadata": {"name": name, "namespace": "test"}, "spec": spec}


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
NAMED = {"kind": {}, "name": {}}
LABELLED = {"kind": {}, "labels": {}}


class Cluster:
    """An API server with Kuma's kinds, and a router whose caches follow it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.canary = canary()
        self.router: KumaRouter
        self.caches: KumaCaches

    async def kuma(self, version: str, mode: str | None = None) -> None:
        names = {
            "1.8": [MESH_CRD, TRAFFIC_ROUTES],
            "2.14": [MESH_CRD, TRAFFIC_ROUTES, MESH_HTTP_ROUTES, MESH_SERVICES],
            "3.0": [MESH_CRD, MESH_HTTP_ROUTES, MESH_SERVICES],
        }[version]
        for name in names:
            await self.server.put(CRDS, crd(name, LABELLED if version == "3.0" else NAMED))
        if version == "2.14":
            await self.server.put(CRDS, patch_crd("Mesh", "Dataplane"))
        spec = {"meshServices": {"mode": mode}} if mode else {}
        await self.server.put(MESHES, {"metadata": {"name": "default"}, "spec": spec})

    async def mesh_services(self) -> None:
        for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
            await self.server.put(MESHSERVICES, mesh_service(name))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Cluster"]:
        client = self.server.client
        kinds = await discover(client)
        self.caches = KumaCaches.of(client, kinds)
        self.router = KumaRouter(client, kinds, self.caches)
        caches = list(self.caches.all())
        kept = [asyncio.create_task(cache.run()) for cache in caches]
        try:
            for cache in caches:
                await cache.synced.wait()
            yield self
        finally:
            for task in kept:
                task.cancel()
            await asyncio.gather(*kept, return_exceptions=True)

    async def put(self, resource: Any, item: Json) -> None:
        await self.seen(resource, await self.server.put(resource, item))

    async def delete(self, resource: Any, name: str) -> None:
        await self.server.client.delete(resource, None, name)
        await self.gone(resource, None, name)

    async def gone(self, resource: Any, namespace: str | None, name: str) -> None:
        (cache,) = (cache for cache in self.caches.all() if cache.resource == resource)
        await cache.catch_up()
        assert cache.get(namespace, name) is None

    async def seen(self, resource: Any, item: Json) -> None:
        meta = item["metadata"]
        (cache,) = (cache for cache in self.caches.all() if cache.resource == resource)
        assert await cache.reached(meta.get("namespace"), meta["name"], meta["resourceVersion"], 10)

    async def carry(self, traffic: Traffic, of: Canary | None = None) -> int:
        """Have the requests go there; how many writes that took."""
        which = of or self.canary
        before = len(self.server.writes)
        for item in await self.router.reconcile(which, traffic):
            stored = self.server.get(item.resource, item.namespace, item.name)
            assert stored is not None
            await self.seen(item.resource, stored)
        assert self.router.drift(which) == ()
        after = len(self.server.requests)
        assert await self.router.reconcile(which, traffic) == []
        assert len(self.server.requests) == after, "no request when all is as it should be"
        return len(self.server.writes) - before


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        yield Cluster(server)


def in_namespace(namespace: str) -> Canary:
    one = canary()
    meta = msgspec.structs.replace(one.metadata, namespace=namespace, uid=f"uid-{namespace}")
    return msgspec.structs.replace(one, metadata=meta)


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
    async with cluster.running():
        (problem,) = cluster.router.problems(cluster.canary)
        assert "set spec.meshServices.mode" in problem.message
        with pytest.raises(RoutingError, match=r"set spec\.meshServices\.mode"):
            await cluster.router.reconcile(cluster.canary, FULL)
        assert cluster.server.writes == []
        await cluster.put(TRAFFICROUTES, ROUTE_ALL)
        assert cluster.router.problems(cluster.canary) == ()
        await cluster.carry(SPLIT)
        # A canary's own route does not prove that the mesh lives by TrafficRoutes.
        await cluster.delete(TRAFFICROUTES, "route-all-default")
        assert cluster.router.problems(cluster.canary) != ()


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


async def test_kuma_3_is_recognised_and_refused(cluster: Cluster) -> None:
    await cluster.kuma("3.0")
    async with cluster.running():
        (problem,) = cluster.router.problems(cluster.canary)
        assert "Kuma 3" in problem.message


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


async def test_pods_that_nothing_selects_hand_out_no_cookies(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    cluster.canary = canary(analysis__sessionAffinity=STICKY)
    service = mesh_service("podinfo-canary")
    service["spec"]["selector"] = {"dataplaneTags": {"k8s.kuma.io/namespace": "test"}}
    await cluster.server.put(MESHSERVICES, service)
    async with cluster.running():
        with pytest.raises(RoutingError, match="does not say by which labels"):
            await cluster.router.reconcile(cluster.canary, HELD)
        assert cluster.server.writes == []


async def test_affinity_needs_patches_by_labels(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()
    await cluster.server.put(CRDS, patch_crd("Mesh", "MeshSubset"))
    async with cluster.running():
        sticky = canary(analysis__sessionAffinity=STICKY)
        (problem,) = cluster.router.problems(sticky)
        assert problem.path == "spec.analysis.sessionAffinity"
        assert "Kuma 2.10 or newer" in problem.message
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
            newer = "to 2.14 with spec.meshServices.mode Exclusive"
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
        assert str(problem) == (
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
