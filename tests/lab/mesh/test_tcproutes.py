"""MeshTCPRoute: weights of connections, and who rules a destination beside MeshHTTPRoute."""

import pytest

from lab.mesh.dialects import DIALECTS, LABELS, NAMES, TAGS_2_7, TAGS_2_14, Dialect, leads_to
from lab.mesh.mesh_objects import Obj, pod, podinfo_world, rule, service, trafficroute
from serinus.lab.mesh.proxy import Resources

EVERY = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)


def tcp_services() -> list[Obj]:
    """The three of podinfo's without a word about their protocol."""
    return [
        service(name, ip, app, protocol=None)
        for name, ip, app in (
            ("podinfo", "10.96.0.10", "podinfo-primary"),
            ("podinfo-primary", "10.96.0.11", "podinfo-primary"),
            ("podinfo-canary", "10.96.0.12", "podinfo"),
        )
    ] + podinfo_world()["services"][3:]


def tcp_route(dialect: Dialect, *backends: Obj, name: str = "podinfo") -> Obj:
    route = dialect.route({"default": {"backendRefs": list(backends)}}, name=name)
    return {**route, "kind": "MeshTCPRoute"}


def split(dialect: Dialect, primary: int, canary: int) -> Obj:
    return tcp_route(
        dialect,
        dialect.backend("podinfo-primary", primary),
        dialect.backend("podinfo-canary", canary),
    )


def chain(config: Resources, dialect: Dialect) -> Obj:
    found: Obj = config.listeners[dialect.apex]["filterChains"][0]
    return found


def connections(dialect: Dialect, *policies: Obj, **objects: list[Obj]) -> list[tuple[str, int]]:
    """Where connections to podinfo go."""
    config = dialect.config(policies, **{"services": tcp_services(), **objects})
    (one,) = chain(config, dialect)["filters"]
    assert one["name"] == "envoy.filters.network.tcp_proxy"
    assert {name for name, _ in leads_to(one["typedConfig"])} <= config.clusters.keys()
    return leads_to(one["typedConfig"])


@EVERY
def test_without_a_route_connections_go_to_the_service_itself(dialect: Dialect) -> None:
    assert connections(dialect) == [(dialect.own, 100)]


@EVERY
def test_weights(dialect: Dialect) -> None:
    assert connections(dialect, split(dialect, 95, 5)) == [
        (dialect.cluster("podinfo-primary"), 95),
        (dialect.cluster("podinfo-canary"), 5),
    ]
    assert connections(dialect, split(dialect, 100, 0)) == [
        (dialect.cluster("podinfo-primary"), 100)
    ]


@EVERY
def test_of_several_the_smaller_name_wins(dialect: Dialect) -> None:
    ours = tcp_route(dialect, dialect.backend("podinfo-canary"), name="b")
    theirs = tcp_route(dialect, dialect.backend("podinfo-primary"), name="a")
    for both in ([ours, theirs], [theirs, ours]):
        assert connections(dialect, *both) == [(dialect.cluster("podinfo-primary"), 100)]


@EVERY
def test_a_service_without_ready_pods_keeps_its_share(dialect: Dialect) -> None:
    """Of connections the protocol does not matter, so an unknown one does not either."""
    pods = podinfo_world()["pods"]
    pods[1] = pod("podinfo-1", "127.10.0.2", "podinfo", ready=False)
    found = connections(dialect, split(dialect, 50, 50), pods=pods)
    assert found[1] == (dialect.cluster("podinfo-canary"), 50)


@EVERY
def test_a_meshhttproute_says_nothing_about_connections(dialect: Dialect) -> None:
    assert connections(dialect, dialect.split(0, 100)) == [(dialect.own, 100)]


@EVERY
def test_an_http_service_is_the_meshhttproutes(dialect: Dialect) -> None:
    both = [split(dialect, 0, 100), dialect.split(95, 5)]
    assert len(dialect.routes(both)) == 1
    (one,) = dialect.routes(both)
    assert leads_to(one)[0] == (dialect.cluster("podinfo-primary"), 95)


@EVERY
def test_alone_a_meshtcproute_makes_connections_of_requests(dialect: Dialect) -> None:
    """Another service's MeshHTTPRoute does not change that."""
    elsewhere = dialect.route(
        rule(dialect.backend("podinfo-canary")), to=dialect.ref("podinfo-primary")
    )
    for policies in ([split(dialect, 95, 5)], [split(dialect, 95, 5), elsewhere]):
        (one,) = chain(dialect.config(policies), dialect)["filters"]
        assert one["name"] == "envoy.filters.network.tcp_proxy"
        assert leads_to(one["typedConfig"])[1] == (dialect.cluster("podinfo-canary"), 5)


@pytest.mark.parametrize("dialect", [TAGS_2_7, TAGS_2_14, NAMES], ids=lambda d: d.name)
def test_weights_of_zero_take_the_listener_away(dialect: Dialect) -> None:
    config = dialect.config([split(dialect, 0, 0)], services=tcp_services())
    assert dialect.apex not in config.listeners


def test_a_backend_that_does_not_resolve() -> None:
    for dialect in (NAMES, LABELS):
        some = tcp_route(dialect, dialect.backend("podinfo-primary", 95), dialect.backend("nobody"))
        assert connections(dialect, some) == [(dialect.cluster("podinfo-primary"), 100)]
    none = tcp_route(NAMES, NAMES.backend("nobody"))
    assert connections(NAMES, none) == [(NAMES.own, 100)]
    none = tcp_route(LABELS, LABELS.backend("nobody"))
    config = LABELS.config([none], services=tcp_services())
    assert chain(config, LABELS) == {}, "connections are closed"


@pytest.mark.parametrize("dialect", [TAGS_2_7, TAGS_2_14], ids=lambda d: d.name)
def test_beside_trafficroutes_it_rules_connections_only(dialect: Dialect) -> None:
    """An HTTP destination of which only the TrafficRoute speaks stays the TrafficRoute's."""
    traffic: Obj = {
        "kind": "TrafficRoute",
        **trafficroute("podinfo", "podinfo_test_svc_9898", "podinfo-canary_test_svc_9898"),
    }
    assert connections(dialect, traffic) == [(dialect.cluster("podinfo-canary"), 100)]
    both = connections(dialect, traffic, split(dialect, 100, 0))
    assert both == [(dialect.cluster("podinfo-primary"), 100)]
    elsewhere = {**split(dialect, 100, 0)}
    elsewhere["spec"] = {
        **elsewhere["spec"],
        "to": [{**elsewhere["spec"]["to"][0], "targetRef": dialect.ref("podinfo-primary")}],
    }
    (route,) = dialect.routes([traffic, elsewhere])
    assert leads_to(route) == [(dialect.cluster("podinfo-canary"), 100)]
