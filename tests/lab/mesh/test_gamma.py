"""HTTPRoutes for a Service: what the lab's Kuma makes of them, up to real requests."""

import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import Obj, mesh, namespace, pod, service
from lab.mesh.test_control_plane import STRICT, control_plane, get, make_podinfo, until, weights
from lab.mesh.test_traffic import Callers, scene
from lab.mesh.test_traffic import get as ask
from serinus.cluster import kinds
from serinus.cluster.errors import ApiError, NotFound
from serinus.lab.mesh.gamma import CONTROLLER, OWNER, Cluster, translate
from serinus.lab.mesh.model import observe
from serinus.lab.mesh.policies import reaching
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0, KumaVersion
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.gateway.httproute import desired_route
from workload.guide import canary

TRANSLATING = [V2_7, V2_14, V3_0]
GAMMA = {"provider": "gatewayapi:v1", "service__appProtocol": "http"}
PARENT = {"group": "", "kind": "Service", "name": "podinfo"}
CANARY = canary(**GAMMA, service__gatewayRefs=[PARENT])
NAME = "podinfo-test-podinfo.test"


def http_route(primary: int = 95, to_canary: int = 5) -> Obj:
    """The operator's route, as an API server keeps it."""
    route = desired_route(CANARY, Traffic(Weights(primary, to_canary)))
    route["metadata"]["generation"] = 3
    return route


def cluster(**parts: Any) -> Cluster:
    services = [
        service("podinfo", "10.96.0.10", "podinfo-primary"),
        service("podinfo-primary", "10.96.0.11", "podinfo-primary"),
        service("podinfo-canary", "10.96.0.12", "podinfo"),
    ]
    return Cluster(
        **{
            "services": {(s["metadata"]["namespace"], s["metadata"]["name"]): s for s in services},
            "namespaces": {name: namespace(name) for name in ("test", "other")},
            **parts,
        }
    )


def conditions(parents: tuple[Obj, ...]) -> list[list[tuple[str, str, str]]]:
    return [
        [(one["type"], one["status"], one["reason"]) for one in parent["conditions"]]
        for parent in parents
    ]


def test_kuma_2_names_the_backends_by_tags_and_their_zone() -> None:
    for version in (V2_7, V2_14):
        (made,) = translate(version, http_route(), cluster()).routes
        meta = made["metadata"]
        assert (meta["name"], meta["namespace"]) == (NAME, SYSTEM_NAMESPACE)
        assert meta["labels"]["kuma.io/mesh"] == "default"
        backend = {"kind": "MeshServiceSubset", "tags": {"kuma.io/zone": "default"}}
        assert made["spec"] == {
            "targetRef": {"kind": "Mesh"},
            "to": [
                {
                    "targetRef": {"kind": "MeshService", "name": "podinfo_test_svc_9898"},
                    "rules": [
                        {
                            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                            "default": {
                                "backendRefs": [
                                    {**backend, "name": "podinfo-primary_test_svc_9898"}
                                    | {"weight": 95},
                                    {**backend, "name": "podinfo-canary_test_svc_9898"}
                                    | {"weight": 5},
                                ]
                            },
                        }
                    ],
                }
            ],
        }


def test_kuma_3_names_everything_by_labels_and_port_name() -> None:
    (made,) = translate(V3_0, http_route(), cluster()).routes
    (to,) = made["spec"]["to"]

    def labelled(name: str) -> Obj:
        labels = {"kuma.io/display-name": name, "k8s.kuma.io/namespace": "test"}
        return {"kind": "MeshService", "labels": labels, "sectionName": "http"}

    assert to["targetRef"] == labelled("podinfo")
    assert to["rules"][0]["default"]["backendRefs"] == [
        {**labelled("podinfo-primary"), "weight": 95},
        {**labelled("podinfo-canary"), "weight": 5},
    ]


@pytest.mark.parametrize("version", TRANSLATING, ids=lambda v: v.name)
def test_from_another_namespace_it_is_for_the_callers_there(version: KumaVersion) -> None:
    route = http_route()
    route["metadata"]["namespace"] = "other"
    route["spec"]["parentRefs"][0]["namespace"] = "test"
    (made,) = translate(version, route, cluster()).routes
    assert made["metadata"]["name"] == "podinfo-other-podinfo.test"
    seen = callers()
    world = observe(version, **seen)
    reached = [proxy.namespace for proxy in world.proxies if reaching(version, [made], proxy)]
    assert reached == ["other"]
    (own,) = translate(version, http_route(), cluster()).routes
    assert all(reaching(version, [own], proxy) for proxy in world.proxies)


def callers() -> dict[str, list[Obj]]:
    return {
        "namespaces": [namespace("test"), namespace("other")],
        "services": [],
        "pods": [
            pod("client", "127.10.0.9", "client"),
            pod("client", "127.10.0.8", "client", namespace="other"),
        ],
        "meshes": [mesh("Exclusive")],
    }


@pytest.mark.parametrize("version", TRANSLATING, ids=lambda v: v.name)
def test_what_is_translated_and_what_is_not(version: KumaVersion) -> None:
    route = http_route()
    (rule,) = route["spec"]["rules"]
    route["spec"]["hostnames"] = ["podinfo.example"]
    rule["timeouts"] = {"request": "1s"}
    rule["backendRefs"][0]["filters"] = [
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["x"]}}
    ]
    rule["matches"] = [
        {
            "path": {"type": "PathPrefix", "value": "/api/"},
            "method": "GET",
            "headers": [{"type": "Exact", "name": "X-Canary", "value": "Yes"}],
            "queryParams": [{"type": "Exact", "name": "B", "value": "1"}],
        }
    ]
    rule["filters"] = [
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "X-A", "value": "B"}], "remove": ["X-C"]},
        },
        {
            "type": "RequestMirror",
            "requestMirror": {"backendRef": {"name": "podinfo-canary", "port": 9898}, "percent": 5},
        },
        {"type": "ExtensionRef", "extensionRef": {"group": "a.b", "kind": "C", "name": "d"}},
    ]
    (made,) = translate(version, route, cluster()).routes
    (to,) = made["spec"]["to"]
    (got,) = to["rules"]
    assert set(to) == {"targetRef", "rules"}
    assert set(got) == {"matches", "default"}
    (match,) = got["matches"]
    assert match["path"]["value"] == "/api"
    assert match["method"] == "GET"
    assert match["headers"] == [{"type": "Exact", "name": "x-canary", "value": "Yes"}]
    assert match["queryParams"] == [{"type": "Exact", "name": "B", "value": "1"}]
    modifier, mirror = got["default"]["filters"]
    assert modifier["requestHeaderModifier"]["set"] == [{"name": "x-a", "value": "B"}]
    assert set(mirror["requestMirror"]) == {"backendRef"}
    assert all("filters" not in ref for ref in got["default"]["backendRefs"])


def test_a_parent_without_a_port_is_all_ports_and_one_that_is_none_nothing() -> None:
    services = cluster().services
    apex = deepcopy(dict(services[("test", "podinfo")]))
    apex["spec"]["ports"].append({"port": 9797, "name": "metrics"})
    route = http_route()
    del route["spec"]["parentRefs"][0]["port"]
    here = cluster(services={**services, ("test", "podinfo"): apex})
    (made,) = translate(V2_14, route, here).routes
    assert [to["targetRef"]["name"] for to in made["spec"]["to"]] == [
        "podinfo_test_svc_9898",
        "podinfo_test_svc_9797",
    ]
    route["spec"]["parentRefs"] = [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
    ]
    assert translate(V2_14, route, here) == translate(V2_14, {**route, "spec": {}}, here)


@pytest.mark.parametrize("version", TRANSLATING, ids=lambda v: v.name)
def test_what_the_status_says(version: KumaVersion) -> None:
    whole = cluster()
    made = translate(version, http_route(), whole)
    accepted, resolved = ("Accepted", "True", "Accepted"), ("ResolvedRefs", "True", "ResolvedRefs")
    assert conditions(made.parents) == [[accepted, resolved]]
    assert {parent["controllerName"] for parent in made.parents} == {CONTROLLER}
    assert made.parents[0]["conditions"][0]["observedGeneration"] == 3
    without = dict(whole.services)
    del without[("test", "podinfo-canary")]
    made = translate(version, http_route(), cluster(services=without))
    refused = ("ResolvedRefs", "False", "BackendNotFound")
    assert conditions(made.parents) == [[accepted, refused]]
    assert len(made.routes) == 1
    del without[("test", "podinfo")]
    made = translate(version, http_route(), cluster(services=without))
    assert conditions(made.parents) == [[("Accepted", "False", "NoMatchingParent"), refused]]
    assert made.routes == ()


def test_kuma_3_wants_a_grant_for_another_namespaces_backend() -> None:
    route = http_route()
    route["metadata"]["namespace"] = "other"
    for ref in route["spec"]["rules"][0]["backendRefs"]:
        ref["namespace"] = "test"
    grant = {
        "metadata": {"name": "others", "namespace": "test"},
        "spec": {
            "from": [
                {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "other"}
            ],
            "to": [{"group": "", "kind": "Service"}],
        },
    }
    route["spec"]["parentRefs"][0]["namespace"] = "test"

    def resolved(version: KumaVersion, *grants: Obj) -> str:
        parents = translate(version, route, cluster(grants=grants)).parents
        return conditions(parents)[0][1][2]

    assert resolved(V3_0) == "RefNotPermitted"
    assert resolved(V3_0, grant) == resolved(V2_14) == "ResolvedRefs"


@pytest.mark.parametrize("version", [V2_14, V3_0], ids=lambda v: v.name)
async def test_it_is_kept_and_told_and_taken_away(version: KumaVersion, tmp_path: Path) -> None:
    async with control_plane(tmp_path, version) as (client, paths):
        uids = await make_podinfo(client, {"labels": {"kuma.io/sidecar-injection": "enabled"}})
        listener = "kri_msvc_default_default_test_podinfo_http"

        async def split_is(*wanted: int) -> bool:
            return weights(paths, uids["client"], listener) == list(wanted)

        async def told() -> list[str]:
            route = await get(client, kinds.HTTPROUTES, "test", "podinfo")
            parents = (route.get("status") or {}).get("parents") or []
            return [one["status"] for parent in parents for one in parent["conditions"]]

        route = http_route(90, 10)
        del route["metadata"]["ownerReferences"]
        await client.create(kinds.HTTPROUTES, "test", route, STRICT)
        await until(lambda: split_is(90, 10))
        assert await until(told) == ["True", "True"]
        made = await get(client, kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, NAME)
        assert OWNER in made["metadata"]["labels"]
        await client.patch(
            kinds.MESHHTTPROUTES,
            SYSTEM_NAMESPACE,
            NAME,
            {"spec": {"to": []}},
        )

        async def back() -> bool:
            found = await get(client, kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, NAME)
            return bool(found["spec"] == made["spec"])

        await until(back)
        await client.patch(
            kinds.HTTPROUTES, "test", "podinfo", {"spec": http_route(60, 40)["spec"]}
        )
        await until(lambda: split_is(60, 40))
        typo = http_route()
        typo["spec"]["rules"][0]["backendRefs"][0]["wait"] = 90
        with pytest.raises(ApiError, match=r"unknown field .*backendRefs\[0\].wait"):
            await client.create(kinds.HTTPROUTES, "other", typo, STRICT)
        await client.delete(kinds.HTTPROUTES, "test", "podinfo")

        async def gone() -> bool:
            try:
                await client.get(kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, NAME)
            except NotFound:
                return True
            return False

        await until(gone)
        await until(split_is)


@pytest.mark.parametrize("version", TRANSLATING, ids=lambda v: v.name)
async def test_callers_are_led_by_its_weights(version: KumaVersion, tmp_path: Path) -> None:
    """From the operator's object to answers of a real Envoy."""

    def routes(primary: int, to_canary: int) -> list[Obj]:
        return list(translate(version, http_route(primary, to_canary), cluster()).routes)

    async with scene(version, tmp_path, routes(100, 0)) as (stage, session):
        async with Callers(session) as callers:
            await callers.answered(40)
            assert set(callers.counts) == {"primary"}
            for to_canary in (10, 50):
                await stage.deliver(stage.world(routes(100 - to_canary, to_canary)))
                await callers.answered(40)
            await stage.until(session, {"primary", "canary"})
        assert set(callers.counts) <= {"primary", "canary"}
        await stage.sidecars["client"].has_its_routes()
        counts = Counter([await ask(session) for _ in range(400)])
        assert 130 < counts["canary"] < 270
        clusters = json.loads(await stage.sidecars["client"].ask("/clusters?format=json"))
        names = {one["name"] for one in clusters["cluster_statuses"]}
        canarys = "kri_msvc_default_default_test_podinfo-canary_http"
        if version.targets_by_name:
            canarys = "podinfo-canary_test_svc_9898-"
        assert any(name.startswith(canarys) for name in names)
        await stage.deliver(stage.world(routes(0, 100)))
        await stage.until(session, {"canary"})
