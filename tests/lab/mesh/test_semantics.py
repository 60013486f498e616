"""What becomes of routes that ask for something odd: Kuma's answers, one by one."""

from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    Obj,
    by_labels,
    by_name,
    by_tag,
    form_a,
    form_b,
    mesh,
    meshhttproute,
    namespace,
    pod,
    podinfo_world,
    rule,
    service,
    trafficroute,
)
from serinus.lab.mesh.model import World, observe
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.routes_meshhttproute import CannotBuild
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_14, KumaVersion

APEX = "outbound:10.96.0.10:9898"
TO = {"kind": "MeshService", "name": "podinfo", "sectionName": "http"}
PRIMARY = "default_podinfo-primary_test_default_msvc_9898"
CANARY = "default_podinfo-canary_test_default_msvc_9898"
ITSELF = "default_podinfo_test_default_msvc_9898"


def world(
    routes: list[Obj], version: KumaVersion = V2_14, mode: str | None = "Exclusive", **objects: Any
) -> World:
    found: dict[str, Any] = {**podinfo_world(), "meshes": [mesh(mode)], **objects}
    return observe(
        version,
        **found,
        traffic_routes=[route for route in routes if "mesh" in route],
        http_routes=[route for route in routes if "mesh" not in route],
    )


def listeners(seen: World, who: str = "client-1.test") -> dict[str, Any]:
    proxy = next(p for p in seen.proxies if f"{p.name}.{p.namespace}" == who)
    return resources(seen, proxy).listeners


def routes(seen: World, listener: str = APEX, who: str = "client-1.test") -> list[Obj]:
    manager = listeners(seen, who)[listener]["filterChains"][0]["filters"][0]["typedConfig"]
    found: list[Obj] = manager["routeConfig"]["virtualHosts"][0]["routes"]
    return found


def where(route: Obj) -> list[tuple[str, int]]:
    action = route["route"]
    if "cluster" in action:
        return [(action["cluster"], 100)]
    return [(c["name"], c["weight"]) for c in action["weightedClusters"]["clusters"]]


def only(seen: World) -> list[tuple[str, int]]:
    found = routes(seen)
    assert len(found) == 1
    return where(found[0])


class TestMeshHTTPRoute:
    def test_weight_zero_leaves_one_plain_cluster(self) -> None:
        assert only(world([form_b(100, 0)])) == [(PRIMARY, 100)]

    def test_all_weights_zero_take_the_listener_away(self) -> None:
        assert APEX not in listeners(world([form_b(0, 0)]))

    def test_an_unresolved_backend_leaves_its_share_to_the_others(self) -> None:
        route = meshhttproute([rule(by_name("podinfo-primary", 95), by_name("nobody", 5))], TO)
        assert only(world([route])) == [(PRIMARY, 100)]

    def test_without_any_backend_requests_go_to_the_service_itself(self) -> None:
        route = meshhttproute([rule(by_name("nobody"), by_name("nobody-else"))], TO)
        assert only(world([route])) == [(ITSELF, 100)]

    def test_a_tag_without_ready_pods_is_dropped(self) -> None:
        pods = [
            pod("podinfo-primary-1", "127.10.0.1", "podinfo-primary"),
            pod("podinfo-1", "127.10.0.2", "podinfo", ready=False),
            pod("client-1", "127.10.0.9", "client"),
        ]
        found = only(world([form_a(50, 50)], pods=pods))
        assert found == [("podinfo-primary_test_svc_9898", 100)]

    def test_a_mesh_service_without_ready_pods_keeps_its_share(self) -> None:
        pods = [
            pod("podinfo-primary-1", "127.10.0.1", "podinfo-primary"),
            pod("client-1", "127.10.0.9", "client"),
        ]
        seen = world([form_b(50, 50)], pods=pods)
        assert only(seen) == [(PRIMARY, 50), (CANARY, 50)]
        proxy = next(p for p in seen.proxies if p.name == "client-1")
        assert resources(seen, proxy).assignments[CANARY] == {"clusterName": CANARY}

    def test_a_terminating_pod_gets_nothing(self) -> None:
        pods = podinfo_world()["pods"]
        pods[1]["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
        found = only(world([form_a(50, 50)], pods=pods))
        assert found == [("podinfo-primary_test_svc_9898", 100)]

    def test_a_port_that_is_not_http_is_dropped_by_name(self) -> None:
        """MeshServices hear appProtocol only; the annotation is for service tags."""
        services = podinfo_world()["services"]
        services[2] = service(
            "podinfo-canary",
            "10.96.0.12",
            "podinfo",
            protocol=None,
            annotations={"9898.service.kuma.io/protocol": "http"},
        )
        assert only(world([form_b(50, 50)], services=services)) == [(PRIMARY, 100)]
        assert [name for name, _ in only(world([form_a(50, 50)], services=services))] == [
            "podinfo-primary_test_svc_9898",
            "podinfo-canary_test_svc_9898",
        ]

    def test_an_apex_without_app_protocol_is_only_connections(self) -> None:
        services = podinfo_world()["services"]
        services[0] = service("podinfo", "10.96.0.10", "podinfo-primary", protocol=None)
        found = listeners(world([form_b(50, 50)], services=services))[APEX]
        assert found["filterChains"][0]["filters"][0]["typedConfig"]["cluster"] == ITSELF

    def test_more_specific_matches_come_first_whatever_the_order(self) -> None:
        insider = [{"type": "Exact", "name": "x-canary", "value": "insider"}]
        route = meshhttproute(
            [
                rule(by_name("podinfo-primary")),
                rule(by_name("podinfo-canary"), headers=insider),
                rule(by_name("podinfo-canary"), path={"type": "PathPrefix", "value": "/new"}),
            ],
            TO,
        )
        found = routes(world([route]))
        assert [one["match"] for one in found] == [
            {"path": "/new"},
            {"prefix": "/new/"},
            {
                "prefix": "/",
                "headers": [{"name": "x-canary", "stringMatch": {"exact": "insider"}}],
            },
            {"prefix": "/"},
        ]
        assert [where(one)[0][0] for one in found] == [CANARY, CANARY, CANARY, PRIMARY]

    def test_what_no_rule_matches_goes_to_the_service_itself(self) -> None:
        route = meshhttproute([rule(by_name("podinfo-canary"), method="POST")], TO)
        found = routes(world([route]))
        assert [where(one)[0][0] for one in found] == [CANARY, ITSELF]

    def test_equal_matches_merge_and_the_smaller_name_wins(self) -> None:
        ours = meshhttproute([rule(by_name("podinfo-canary"))], TO, name="b")
        theirs = meshhttproute([rule(by_name("podinfo-primary"))], TO, name="a")
        for both in ([ours, theirs], [theirs, ours]):
            assert only(world(both)) == [(PRIMARY, 100)]

    def test_a_producer_overrides_the_system(self) -> None:
        system = form_a(100, 0, name="a", namespace=SYSTEM_NAMESPACE)
        ours = meshhttproute(
            [rule(by_tag("podinfo-canary"))],
            {"kind": "MeshService", "name": "podinfo_test_svc_9898"},
            name="b",
        )
        assert only(world([system, ours])) == [("podinfo-canary_test_svc_9898", 100)]

    def test_a_mirror_to_a_real_mesh_service_breaks_the_callers_whole_configuration(self) -> None:
        mirror = {
            "type": "RequestMirror",
            "requestMirror": {"percentage": 100, "backendRef": by_name("podinfo-canary")},
        }
        route = meshhttproute([rule(by_name("podinfo-primary"), filters=[mirror])], TO)
        with pytest.raises(CannotBuild, match="podinfo-canary"):
            listeners(world([route]))

    def test_so_does_a_mirror_by_tag_while_the_canary_has_no_ready_pod(self) -> None:
        backend = {"kind": "MeshService", "name": "podinfo-canary_test_svc_9898"}
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}
        route = meshhttproute([rule(by_name("podinfo-primary"), filters=[mirror])], TO)
        assert only(world([route])) == [(PRIMARY, 100)]
        pods = podinfo_world()["pods"]
        pods[1] = pod("podinfo-1", "127.10.0.2", "podinfo", ready=False)
        with pytest.raises(CannotBuild, match="no service tag with ready HTTP pods"):
            listeners(world([route], pods=pods))

    def test_labels_that_select_nothing_are_unresolved(self) -> None:
        route = meshhttproute([rule(by_labels("podinfo-primary"), by_labels("nobody"))], TO)
        assert only(world([route])) == [(PRIMARY, 100)]

    def test_another_mesh_is_another_world(self) -> None:
        objects = podinfo_world()
        objects["namespaces"] = [namespace("test", mesh="blue"), namespace("other")]
        objects["meshes"] = [mesh("Exclusive"), mesh("Exclusive", "blue")]
        seen = world([form_b(50, 50)], **objects)
        assert APEX not in listeners(seen, "client-1.other")
        assert len(routes(seen)) == 1
        assert where(routes(seen)[0])[0][0].startswith("blue_podinfo_test")


class TestTrafficRoute:
    def split(self, primary: int, canary: int, **extra: Any) -> Obj:
        return trafficroute(
            "podinfo",
            "podinfo_test_svc_9898",
            [("podinfo-primary_test_svc_9898", primary), ("podinfo-canary_test_svc_9898", canary)],
            **extra,
        )

    def test_the_exact_destination_beats_route_all(self) -> None:
        for order in ([self.split(95, 5), ROUTE_ALL], [ROUTE_ALL, self.split(95, 5)]):
            assert only(world(order, V1_8, None)) == [
                ("podinfo-primary_test_svc_9898", 95),
                ("podinfo-canary_test_svc_9898", 5),
            ]

    def test_weight_zero_leaves_one_plain_cluster(self) -> None:
        seen = world([self.split(100, 0), ROUTE_ALL], V1_8, None)
        assert only(seen) == [("podinfo-primary_test_svc_9898", 100)]

    def test_an_unready_share_degrades_the_outbound_to_connections(self) -> None:
        pods = podinfo_world()["pods"]
        pods[1] = pod("podinfo-1", "127.10.0.2", "podinfo", ready=False)
        seen = world([self.split(50, 50), ROUTE_ALL], V1_8, None, pods=pods)
        chain = listeners(seen)[APEX]["filterChains"][0]["filters"][0]
        assert chain["name"] == "envoy.filters.network.tcp_proxy"

    def test_http_rules_come_before_the_split(self) -> None:
        http = [
            {
                "match": {"headers": {"x-canary": {"exact": "insider"}}},
                "destination": {"kuma.io/service": "podinfo-canary_test_svc_9898"},
            }
        ]
        found = routes(world([self.split(100, 0, http=http), ROUTE_ALL], V1_8, None))
        assert [where(one)[0][0] for one in found] == [
            "podinfo-canary_test_svc_9898",
            "podinfo-primary_test_svc_9898",
        ]

    def test_a_service_without_pods_has_no_listener(self) -> None:
        pods = [p for p in podinfo_world()["pods"] if p["metadata"]["name"] != "podinfo-1"]
        seen = world([ROUTE_ALL], V1_8, None, pods=pods)
        assert "outbound:10.96.0.12:9898" not in listeners(seen)

    def test_the_annotation_makes_a_port_http(self) -> None:
        services = podinfo_world()["services"]
        note = {"9898.service.kuma.io/protocol": "http"}
        services[0] = service(
            "podinfo", "10.96.0.10", "podinfo-primary", protocol=None, annotations=note
        )
        assert only(world([ROUTE_ALL], V1_8, None, services=services))

    def test_a_mesh_http_route_takes_the_caller_back_from_the_trap(self) -> None:
        seen = world([self.split(95, 5), form_b(90, 10)])
        assert only(seen) == [(PRIMARY, 90), (CANARY, 10)]
