"""The Gateway API's provider: its HTTPRoute, and the router against a real HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import ApiServer, merge
from serinus.api.canary import Canary
from serinus.cluster.cache import Cache
from serinus.cluster.kinds import HTTPROUTES, MESHES, MESHHTTPROUTES
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.gateway.httproute import (
    HTTPRouteRouter,
    carried_traffic,
    desired_route,
    route_change,
)
from serinus.routing.gateway.views import HTTPRouteView, decode_http_route
from serinus.routing.kuma.discovery import KumaCaches, KumaKinds
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.kuma.writing import paths
from serinus.routing.providers import Routers
from serinus.routing.router import Ability, RoutingError
from workload.guide import Json, canary

APEX = {"group": "", "kind": "Service", "name": "podinfo"}
MATCH = [
    {"headers": {"X-Canary": {"exact": "insider"}, "user-agent": {"prefix": "Mozilla/5"}}},
    {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
    {"queryParams": {"beta": {"exact": "1"}}},
]


def gamma(**changes: Any) -> Canary:
    return canary(**{"provider": "gatewayapi:v1", "service__gatewayRefs": [APEX], **changes})


CANARY = gamma(analysis__match=MATCH)
FULL = Traffic(Weights(100, 0))
SPLIT = Traffic(Weights(95, 5))
TRAFFIC = st.builds(
    Traffic,
    st.integers(0, 100).map(lambda share: Weights(100 - share, share)),
    matched=st.booleans(),
)
THEIRS: Json = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/admin"}}],
    "backendRefs": [{"group": "", "kind": "Service", "name": "admin", "port": 80, "weight": 1}],
}


def view(route: Json) -> HTTPRouteView:
    return decode_http_route(msgspec.json.encode(route))


def edited(change: Callable[[Json], Any]) -> Json:
    """The route after somebody's hands were on it."""
    route = deepcopy(desired_route(CANARY, SPLIT))
    change(route["spec"])
    return route


@given(TRAFFIC)
def test_traffic_read_back_is_the_traffic_written(traffic: Traffic) -> None:
    found = view(desired_route(CANARY, traffic))
    assert carried_traffic(CANARY, found) == traffic
    assert route_change(CANARY, found, traffic) == {}


@given(TRAFFIC, TRAFFIC, st.booleans())
def test_a_change_of_traffic_is_one_patch_of_the_rules_alone(
    old: Traffic, new: Traffic, shared: bool
) -> None:
    before = desired_route(CANARY, old)
    if shared:
        before["spec"]["rules"].insert(0, THEIRS)
    change = route_change(CANARY, view(before), new)
    assert paths(change) == (() if old == new else ("spec.rules",))
    after = merge(before, change)
    assert carried_traffic(CANARY, view(after)) == new
    assert (THEIRS in after["spec"]["rules"]) is shared
    assert route_change(CANARY, view(after), new) == {}


NO_DRIFT: list[Any] = [
    lambda spec: spec["rules"].append(THEIRS),
    lambda spec: spec["rules"][0].update({"timeouts": {"request": "1s"}}),
    lambda spec: spec["rules"][0].update({"filters": [{"type": "ExtensionRef"}]}),
    lambda spec: spec["rules"][0]["backendRefs"].reverse(),
    lambda spec: spec["rules"][0]["backendRefs"][0].update({"defaultedByANewerApi": True}),
    lambda spec: spec["parentRefs"][0].update({"defaultedByANewerApi": True}),
]


@pytest.mark.parametrize("change", NO_DRIFT)
def test_what_others_add_is_no_drift(change: Any) -> None:
    assert route_change(CANARY, view(edited(change)), SPLIT) == {}


CANARYS: Json = {"matches": THEIRS["matches"], "backendRefs": [{"name": "podinfo-canary"}]}
DRIFT: list[Any] = [
    lambda spec: spec["rules"].clear(),
    lambda spec: spec["rules"].append(spec["rules"][0]),
    lambda spec: spec["rules"].append(CANARYS),
    lambda spec: spec["rules"][0].pop("backendRefs"),
    lambda spec: spec["rules"][0]["backendRefs"].append(THEIRS["backendRefs"][0]),
    lambda spec: spec["rules"][0]["backendRefs"][1].update({"namespace": "elsewhere"}),
    lambda spec: spec["rules"][0]["backendRefs"][1].update({"filters": [{"type": "X"}]}),
    lambda spec: spec["rules"][0]["backendRefs"][1].update({"weight": 6}),
    lambda spec: spec["rules"][0]["backendRefs"][1].update({"port": 9797}),
    lambda spec: spec["rules"][0]["matches"][0]["path"].update({"value": "/x"}),
    lambda spec: spec["parentRefs"][0].update({"port": 9797}),
    lambda spec: spec["parentRefs"].append(APEX),
    lambda spec: spec.update({"hostnames": ["a.example"]}),
]


@pytest.mark.parametrize("change", DRIFT)
def test_what_leads_requests_elsewhere_is_repaired(change: Any) -> None:
    route = edited(change)
    patch = route_change(CANARY, view(route), SPLIT)
    assert patch
    after = merge(route, patch)
    assert carried_traffic(CANARY, view(after)) == SPLIT
    assert route_change(CANARY, view(after), SPLIT) == {}
    assert "podinfo-canary" not in str(
        [rule for rule in after["spec"]["rules"] if rule["matches"] == THEIRS["matches"]]
    )


def test_flaggers_route_is_taken_over() -> None:
    """As Flagger 1.44 writes it for a session affinity, in the words of the API."""
    refs = [
        {"group": "", "kind": "Service", "name": f"podinfo-{side}", "port": 9898, "weight": weight}
        for side, weight in (("primary", 90), ("canary", 10))
    ]
    refs[1]["filters"] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {}}]
    cookie = {"type": "RegularExpression", "name": "Cookie", "value": ".*side=x.*"}
    every = {"path": {"type": "PathPrefix", "value": "/"}}
    theirs = {
        "metadata": {
            "name": "podinfo",
            "namespace": "test",
            "ownerReferences": [
                {
                    "apiVersion": "flagger.app/v1beta1",
                    "kind": "Canary",
                    "name": "podinfo",
                    "uid": "canary-uid",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "parentRefs": [APEX],
            "rules": [
                {"matches": [{**every, "headers": [cookie]}], "backendRefs": refs},
                {"matches": [every], "backendRefs": refs},
            ],
        },
    }
    after = merge(theirs, route_change(gamma(), view(theirs), Traffic(Weights(90, 10))))
    assert after["spec"] == desired_route(gamma(), Traffic(Weights(90, 10)))["spec"]


def test_header_prefixes_and_suffixes_are_expressions() -> None:
    (rule, _) = desired_route(CANARY, Traffic(Weights(100, 0), matched=True))["spec"]["rules"]
    headers = [header for match in rule["matches"] for header in match.get("headers", ())]
    assert {"type": "RegularExpression", "name": "user-agent", "value": "Mozilla/5.*"} in headers
    assert all(header["type"] in ("Exact", "RegularExpression") for header in headers)
    assert [ref["name"] for ref in rule["backendRefs"]] == ["podinfo-canary"]


PROBLEMS: list[tuple[dict[str, Any], str, str]] = [
    ({"service__gatewayRefs": []}, "spec.service.gatewayRefs", 'group: "", kind: Service, name: p'),
    ({"service__gatewayRefs": [{**APEX, "name": "x"}]}, "spec.service.gatewayRefs", "its apex"),
    (
        {"service__gatewayRefs": [{**APEX, "namespace": "x"}]},
        "spec.service.gatewayRefs",
        "its apex",
    ),
    (
        {"service__gatewayRefs": [{"kind": "Service", "name": "podinfo"}]},
        "spec.service.gatewayRefs[0].group",
        '"gateway.networking.k8s.io" has no Services, so nobody would read the route',
    ),
    (
        {"service__gatewayRefs": [{**APEX, "group": "core"}]},
        "spec.service.gatewayRefs[0].group",
        'write group: ""',
    ),
    ({"service__gatewayRefs": [{**APEX, "port": 80}]}, "spec.service.gatewayRefs[0].port", "9898"),
    (
        {"service__gatewayRefs": [{**APEX, "sectionName": "http"}]},
        "spec.service.gatewayRefs[0].sectionName",
        "by number",
    ),
    ({"service__hosts": ["a.example"]}, "spec.service.hosts", "ignores host names"),
    ({"service__apex": {}}, "spec.service.appProtocol", "set appProtocol: http"),
    ({"service__timeout": "5s"}, "spec.service.timeout", "write a MeshTimeout"),
    ({"service__retries": {"attempts": 3}}, "spec.service.retries", "write a MeshRetry"),
    ({"analysis__mirror": True}, "spec.analysis.mirror", "use provider kuma"),
    (
        {"analysis__sessionAffinity": {"cookieName": "side"}},
        "spec.analysis.sessionAffinity",
        "use provider kuma",
    ),
    (
        {
            "service__match": [{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}],
            "service__rewrite": {"uri": "/", "type": "ReplacePrefixMatch"},
        },
        "spec.service.rewrite.type",
        "single match",
    ),
    (
        {"analysis__match": [{"headers": {"x": {"exact": ""}}}]},
        "spec.analysis.match[0].headers[x]",
        'use regex: "^$"',
    ),
    (
        {"service__match": [{"queryParams": {"q": {"regex": ""}}}]},
        "spec.service.match[0].queryParams[q]",
        "no empty value",
    ),
    *(
        ({"service__match": [{"uri": {kind: path}}]}, f"spec.service.match[0].uri.{kind}", path)
        for kind, path in (
            *(("exact", "/a//b"), ("exact", "/a/../b"), ("exact", "/a/."), ("exact", "/a%2Fb")),
            *(("prefix", "/a/./b"), ("prefix", "/a/.."), ("prefix", "/a#b")),
        )
    ),
    (
        {"analysis__match": [{"headers": {"x": {"regex": "("}}}]},
        "spec.analysis.match[0].headers[x].regex",
        "RE2",
    ),
]


class Cluster:
    """An API server and a router whose cache follows it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.cache = Cache(server.client, HTTPROUTES, decode_http_route)
        self.router = HTTPRouteRouter(server.client, self.cache)
        self.canary = CANARY

    @property
    def route(self) -> Json:
        route = self.server.get(HTTPROUTES, "test", "podinfo")
        assert route is not None
        return route

    async def seen(self) -> None:
        version = self.route["metadata"]["resourceVersion"]
        assert await self.cache.reached("test", "podinfo", version, 10)

    async def put(self, item: Json) -> None:
        await self.server.put(HTTPROUTES, item)
        await self.seen()

    async def carry(self, traffic: Traffic) -> int:
        """The number of writes that it took."""
        before = len(self.server.writes)
        for one in await self.router.reconcile(self.canary, traffic):
            assert await self.cache.reached("test", "podinfo", one.resource_version, 10)
        return len(self.server.writes) - before


@asynccontextmanager
async def _cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        found = Cluster(server)
        running = asyncio.create_task(found.cache.run())
        try:
            await found.cache.synced.wait()
            yield found
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with _cluster() as found:
        yield found


@pytest.mark.parametrize(("changes", "path", "words"), PROBLEMS)
async def test_what_it_cannot_is_refused_by_field(
    cluster: Cluster, changes: dict[str, Any], path: str, words: str
) -> None:
    (problem,) = cluster.router.problems(gamma(**changes))
    assert problem.path == path
    assert words in problem.message


async def test_a_gateway_may_be_the_parent(cluster: Cluster) -> None:
    edge = {"name": "edge", "namespace": "gateways", "sectionName": "https"}
    asked = gamma(service__gatewayRefs=[edge], service__hosts=["shop.example"], service__apex={})
    assert cluster.router.problems(asked) == ()
    spec = desired_route(asked, SPLIT)["spec"]
    assert spec["hostnames"] == ["shop.example"]
    assert spec["parentRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", **edge},
    ]


async def test_each_traffic_takes_one_write_and_then_none(cluster: Cluster) -> None:
    assert cluster.router.problems(cluster.canary) == ()
    matched = Traffic(Weights(100, 0), matched=True)
    for traffic in (FULL, SPLIT, Traffic(Weights(0, 100)), matched, FULL):
        assert await cluster.carry(traffic) == 1
        assert await cluster.carry(traffic) == 0
        assert cluster.router.drift(cluster.canary) == ()
    meta = cluster.route["metadata"]
    assert meta["labels"]["kuma.io/mesh"] == "default"
    assert [owner["kind"] for owner in meta["ownerReferences"]] == ["Canary"]


async def test_edits_of_others_are_told_and_repaired(cluster: Cluster) -> None:
    await cluster.carry(SPLIT)
    await cluster.put(merge(cluster.route, {"spec": {"parentRefs": []}}))
    assert cluster.router.drift(cluster.canary) == ("spec.parentRefs",)
    assert await cluster.carry(SPLIT) == 1
    assert cluster.router.drift(cluster.canary) == ()


async def test_filters_come_and_go_with_the_canary(cluster: Cluster) -> None:
    cluster.canary = gamma(service__headers={"request": {"set": {"X-A": "b"}}})
    await cluster.carry(SPLIT)
    (rule,) = cluster.route["spec"]["rules"]
    assert rule["filters"] == [
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]},
        }
    ]
    cluster.canary = gamma()
    assert await cluster.carry(SPLIT) == 1
    assert "filters" not in cluster.route["spec"]["rules"][0]
    assert "serinus.dev/filters" not in cluster.route["metadata"]["annotations"]


def said(status: str, generation: int, kind: str = "ResolvedRefs") -> Json:
    condition = {
        "type": kind,
        "status": status,
        "reason": "BackendNotFound",
        "message": "no such Service",
        "observedGeneration": generation,
    }
    parent = {"parentRef": APEX, "controllerName": "a.example/gateway", "conditions": [condition]}
    return {"status": {"parents": [parent]}}


async def test_a_controllers_refusal_holds_the_canary_and_nobody_else(cluster: Cluster) -> None:
    await cluster.carry(FULL)
    generation = cluster.route["metadata"]["generation"]
    assert cluster.router.preflight(cluster.canary) == ()
    for kind in ("Accepted", "ResolvedRefs"):
        await cluster.put(merge(cluster.route, said("False", generation, kind)))
        (problem,) = cluster.router.preflight(cluster.canary)
        assert problem.path == "spec.service.gatewayRefs"
        for word in ("a.example/gateway", kind, "BackendNotFound", "no such Service"):
            assert word in problem.message
        with pytest.raises(RoutingError, match="no such Service"):
            await cluster.router.reconcile(cluster.canary, SPLIT)
        assert await cluster.carry(FULL) == 0
    # What was said of the route before, or of what does not matter, is nothing against this one.
    for status in (
        said("False", generation - 1),
        said("True", generation),
        said("False", generation, "Programmed"),
    ):
        await cluster.put(merge(cluster.route, status))
        assert cluster.router.preflight(cluster.canary) == ()
    assert await cluster.carry(SPLIT) == 1


async def test_what_it_has_not_it_does_not_half_do(cluster: Cluster) -> None:
    for traffic in (
        Traffic(Weights(100, 0), mirrored=True),
        Traffic(Weights(90, 10), affinity=Affinity("side=x")),
    ):
        with pytest.raises(RoutingError, match="Gateway API on Kuma has no"):
            await cluster.router.reconcile(cluster.canary, traffic)
    assert cluster.server.writes == []
    assert not cluster.router.abilities(cluster.canary) & {Ability.MIRROR, Ability.AFFINITY}


async def test_somebody_elses_route_is_left_alone(cluster: Cluster) -> None:
    await cluster.put({"metadata": {"name": "podinfo", "namespace": "test"}, "spec": {}})
    (problem,) = cluster.router.problems(cluster.canary)
    assert (problem.path, "belongs to somebody else" in problem.message) == (
        "spec.service.name",
        True,
    )
    await cluster.router.finalize(cluster.canary)
    await cluster.router.collect(lambda _namespace, _name: False)
    assert cluster.route["spec"] == {}


async def test_it_goes_with_its_canary(cluster: Cluster) -> None:
    await cluster.carry(SPLIT)
    await cluster.router.collect(lambda _namespace, _name: True)
    assert cluster.route
    await cluster.router.collect(lambda _namespace, _name: False)
    assert cluster.server.get(HTTPROUTES, "test", "podinfo") is None
    await cluster.cache.catch_up()
    await cluster.carry(SPLIT)
    await cluster.router.finalize(cluster.canary)
    assert cluster.server.get(HTTPROUTES, "test", "podinfo") is None


async def test_a_change_of_the_provider_leaves_no_route_behind(cluster: Cluster) -> None:
    server = cluster.server
    kinds = KumaKinds(
        frozenset(("meshes.kuma.io", "meshhttproutes.kuma.io", "meshservices.kuma.io")),
        refs_by_name=True,
    )
    spec = {"meshServices": {"mode": "Exclusive"}}
    await server.put(MESHES, {"metadata": {"name": "default"}, "spec": spec})
    caches = KumaCaches.of(server.client, kinds)
    running = [asyncio.create_task(cache.run()) for cache in caches.all()]
    try:
        for cache in caches.all():
            await cache.synced.wait()
        routers = Routers(KumaRouter(server.client, kinds, caches), "kuma", cluster.router)
        by_kuma = canary()
        for asked, now, before in (
            (by_kuma, MESHHTTPROUTES, HTTPROUTES),
            (CANARY, HTTPROUTES, MESHHTTPROUTES),
            (by_kuma, MESHHTTPROUTES, HTTPROUTES),
        ):
            await routers.reconcile(asked, FULL)
            assert server.get(now, "test", "podinfo") is not None
            assert server.get(before, "test", "podinfo") is None
            for cache in (*caches.all(), cluster.cache):
                await cache.catch_up()
        await routers.finalize(CANARY)
        assert server.get(MESHHTTPROUTES, "test", "podinfo") is None
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "gatewayapi:v1beta1"])
async def test_without_the_crd_it_says_so(cluster: Cluster, provider: str) -> None:
    kinds = KumaKinds(frozenset(), refs_by_name=False)
    client = cluster.server.client
    kuma = KumaRouter(client, kinds, KumaCaches.of(client, kinds))
    asked = gamma(provider=provider)
    (problem,) = Routers(kuma, "kuma").problems(asked)
    assert problem.path == "spec.provider"
    assert "httproutes.gateway.networking.k8s.io" in problem.message
    with pytest.raises(RoutingError, match="install the Gateway API"):
        await Routers(kuma, "kuma").reconcile(asked, FULL)
    routers = Routers(kuma, "kuma", cluster.router)
    assert routers.problems(asked) == ()
    assert routers.splits(asked)
    assert Ability.WEIGHTS in routers.abilities(asked)


async def test_a_mesh_that_lives_by_traffic_routes_is_left_to_them(cluster: Cluster) -> None:
    client = cluster.server.client
    kinds = KumaKinds(frozenset(("meshes.kuma.io", "trafficroutes.kuma.io")), refs_by_name=False)
    await cluster.server.put(MESHES, {"metadata": {"name": "default"}, "spec": {}})
    caches = KumaCaches.of(client, kinds)
    running = [asyncio.create_task(cache.run()) for cache in caches.all()]
    try:
        for cache in caches.all():
            await cache.synced.wait()
        routers = Routers(KumaRouter(client, kinds, caches), "kuma", cluster.router)
        (problem,) = routers.problems(gamma())
        assert problem.path == "spec.provider"
        assert "overrides the TrafficRoutes of every service" in problem.message
        edge = gamma(service__gatewayRefs=[{"name": "edge"}])
        assert routers.problems(edge) == ()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
