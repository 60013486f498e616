"""What each Kuma makes of the same wish, row by row of what is known of it: weights, references
that lead nowhere, missing pods, roles, order, retries."""

from typing import Any

import pytest

from lab.mesh.dialects import (
    DIALECTS,
    LABELS,
    NAMES,
    TAGS_2_7,
    TAGS_2_14,
    Dialect,
    leads_to,
    routes_of,
)
from lab.mesh.mesh_objects import (
    Obj,
    cookie_patch,
    form_a,
    form_b,
    form_c,
    pod,
    podinfo_world,
    proxypatch,
    rule,
    service,
    trafficroute,
)
from serinus.lab.mesh.names import matches_hash
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7

EVERY = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
UNTIL_2_14 = pytest.mark.parametrize("dialect", DIALECTS[:3], ids=lambda d: d.name)
MESH_SERVICES = pytest.mark.parametrize("dialect", DIALECTS[2:], ids=lambda d: d.name)

FAILING = {"status": 500}
INSIDER = [{"type": "Exact", "name": "x-canary", "value": "insider"}]


def pods(*, canary: bool) -> list[Obj]:
    return [
        pod("podinfo-primary-1", "127.10.0.1", "podinfo-primary"),
        pod("podinfo-1", "127.10.0.2", "podinfo", ready=canary),
        pod("client-1", "127.10.0.9", "client"),
        pod("client-1", "127.10.0.8", "client", namespace="other"),
    ]


def services(canary: Obj) -> list[Obj]:
    found = podinfo_world()["services"]
    return [canary if one["metadata"]["name"] == "podinfo-canary" else one for one in found]


def only(found: list[Obj]) -> list[tuple[str, int]]:
    (route,) = found
    return leads_to(route)


@EVERY
def test_weights(dialect: Dialect) -> None:
    assert only(dialect.routes([dialect.split(95, 5)])) == [
        (dialect.cluster("podinfo-primary"), 95),
        (dialect.cluster("podinfo-canary"), 5),
    ]


@EVERY
def test_weight_zero_leaves_one_plain_cluster(dialect: Dialect) -> None:
    for weights, service_ in (((100, 0), "podinfo-primary"), ((0, 100), "podinfo-canary")):
        (route,) = dialect.routes([dialect.split(*weights)])
        assert route["route"]["cluster"] == dialect.cluster(service_)
        assert "weightedClusters" not in route["route"]


@UNTIL_2_14
def test_all_weights_zero_take_the_route_away(dialect: Dialect) -> None:
    """And the listener when it was the only one."""
    assert dialect.apex not in dialect.config([dialect.split(0, 0)]).listeners
    insiders = rule(dialect.backend("podinfo-canary"), headers=INSIDER)
    (left,) = dialect.routes([dialect.route(insiders, dialect.weights(0, 0))])
    assert left["match"]["headers"], "everybody else gets a 404"


def test_all_weights_zero_are_answered_500_in_3_0() -> None:
    (route,) = LABELS.routes([LABELS.split(0, 0)])
    assert route["directResponse"] == FAILING
    assert route["match"] == {"prefix": "/"}
    assert "route" not in route


@UNTIL_2_14
def test_what_does_not_resolve_leaves_its_share_to_the_others(dialect: Dialect) -> None:
    some = rule(dialect.backend("podinfo-primary", 95), dialect.backend("nobody", 5))
    assert only(dialect.routes([dialect.route(some)])) == [
        (dialect.cluster("podinfo-primary"), 100)
    ]
    none = rule(dialect.backend("nobody", 95), dialect.backend("nobody-else", 5))
    assert only(dialect.routes([dialect.route(none)])) == [(dialect.own, 100)]


def test_what_does_not_resolve_has_its_share_answered_500_in_3_0() -> None:
    weights = (LABELS.backend("podinfo-primary", 95), LABELS.backend("nobody", 5))
    failing, served = LABELS.routes([LABELS.route(rule(*weights))])
    assert failing["match"] == {
        "prefix": "/",
        "runtimeFraction": {"defaultValue": {"numerator": 5}},
    }
    assert failing["directResponse"] == FAILING
    assert served["match"] == {"prefix": "/"}
    assert leads_to(served) == [(LABELS.cluster("podinfo-primary"), 100)]
    assert failing["name"] == served["name"]


def test_a_share_that_is_no_whole_percentage_is_still_exact_enough() -> None:
    weights = [LABELS.backend("podinfo-primary"), LABELS.backend("podinfo-canary")]
    failing, _ = LABELS.routes([LABELS.route(rule(*weights, LABELS.backend("nobody")))])
    assert failing["match"]["runtimeFraction"]["defaultValue"] == {
        "numerator": 3333,
        "denominator": "TEN_THOUSAND",
    }


def test_when_nothing_resolves_everything_is_answered_500_in_3_0() -> None:
    none = rule(LABELS.backend("nobody", 95), LABELS.backend("nobody-else", 5))
    (route,) = LABELS.routes([LABELS.route(none)])
    assert route["directResponse"] == FAILING
    assert "runtimeFraction" not in route["match"]


@pytest.mark.parametrize("port", [{}, {"port": 1}, {"sectionName": "grpc"}])
def test_a_port_that_is_missing_does_not_resolve_in_3_0(port: Obj) -> None:
    (route,) = LABELS.routes([LABELS.route(rule({**LABELS.ref("podinfo-primary"), **port}))])
    assert route["directResponse"] == FAILING


def test_a_port_that_is_not_http() -> None:
    """A MeshService hears appProtocol alone; a service tag the annotation, too."""
    annotated = service(
        "podinfo-canary",
        "10.96.0.12",
        "podinfo",
        protocol=None,
        annotations={"9898.service.kuma.io/protocol": "http"},
    )
    found = {
        dialect.name: dialect.routes([dialect.split(50, 50)], services=services(annotated))
        for dialect in DIALECTS
    }
    for by_tag in (TAGS_2_7, TAGS_2_14):
        assert len(only(found[by_tag.name])) == 2
    assert only(found[NAMES.name]) == [(NAMES.cluster("podinfo-primary"), 100)]
    failing, served = found[LABELS.name]
    assert failing["directResponse"] == FAILING
    assert failing["match"]["runtimeFraction"] == {"defaultValue": {"numerator": 50}}
    assert leads_to(served) == [(LABELS.cluster("podinfo-primary"), 100)]
    plain = service("podinfo-canary", "10.96.0.12", "podinfo", protocol=None)
    for by_tag in (TAGS_2_7, TAGS_2_14):
        (route,) = by_tag.routes([by_tag.split(50, 50)], services=services(plain))
        assert leads_to(route) == [(by_tag.cluster("podinfo-primary"), 100)]


def test_missing_pods() -> None:
    """A service tag is dropped; a MeshService stays, without endpoints: Envoy answers 503."""
    for dialect in DIALECTS:
        config = dialect.config([dialect.split(50, 50)], pods=pods(canary=False))
        found = dict(only(routes_of(config, dialect.apex)))
        canary = dialect.cluster("podinfo-canary")
        if dialect.by_tag:
            assert found == {dialect.cluster("podinfo-primary"): 100}
        else:
            assert found[canary] == 50
            assert config.assignments[canary] == {"clusterName": canary}


@EVERY
def test_a_header_comes_before_the_bare_rule(dialect: Dialect) -> None:
    insiders = rule(dialect.backend("podinfo-canary"), headers=INSIDER)
    found = dialect.routes([dialect.route(dialect.weights(100, 0), insiders)])
    assert [leads_to(one)[0][0] for one in found] == [
        dialect.cluster("podinfo-canary"),
        dialect.cluster("podinfo-primary"),
    ]


@EVERY
def test_what_no_rule_matches_goes_to_the_service_itself(dialect: Dialect) -> None:
    found = dialect.routes([dialect.route(rule(dialect.backend("podinfo-canary"), method="POST"))])
    assert [leads_to(one)[0][0] for one in found] == [
        dialect.cluster("podinfo-canary"),
        dialect.own,
    ]


@EVERY
def test_every_route_retries_by_default(dialect: Dialect) -> None:
    for policies in ([], [dialect.split(95, 5)]):
        for route in dialect.routes(policies):
            assert route["route"]["timeout"] == "15s"
            assert route["route"]["retryPolicy"] == {
                "numRetries": 5,
                "perTryTimeout": "16s",
                "retryBackOff": {"baseInterval": "0.025s", "maxInterval": "0.250s"},
                "retryOn": "gateway-error,connect-failure,refused-stream",
            }


def limit(dialect: Dialect, kind: str, name: str, http: Obj) -> Obj:
    route = dialect.route()
    to = [{"targetRef": dialect.ref("podinfo"), "default": {"http": http}}]
    meta = {**route["metadata"], "name": name}
    return {**route, "kind": kind, "metadata": meta, "spec": {**route["spec"], "to": to}}


@EVERY
def test_in_kumas_own_namespace_the_first_name_wins(dialect: Dialect) -> None:
    """Kuma's own MeshTimeout is `mesh-timeout-all-default`."""
    timeout = limit(dialect, "MeshTimeout", "podinfo", {"requestTimeout": "3s"})
    (route,) = dialect.routes([dialect.split(95, 5), timeout])
    beside = timeout["metadata"]["namespace"] == "test"
    assert route["route"]["timeout"] == ("3s" if beside else "15s")


@EVERY
def test_timeouts_and_retries_of_the_service(dialect: Dialect) -> None:
    (route,) = dialect.routes(
        [
            dialect.split(95, 5),
            limit(dialect, "MeshTimeout", "canary-podinfo", {"requestTimeout": "3s"}),
            limit(dialect, "MeshRetry", "canary-podinfo", {"numRetries": 1, "retryOn": ["5xx"]}),
        ]
    )
    assert route["route"]["timeout"] == "3s"
    assert route["route"]["retryPolicy"]["numRetries"] == 1
    assert route["route"]["retryPolicy"]["retryOn"] == "5xx"


@pytest.mark.parametrize("dialect", DIALECTS[1:], ids=lambda d: d.name)
def test_a_timeout_of_the_route_has_the_last_word_about_its_own_routes(dialect: Dialect) -> None:
    def timeout(name: str, to: Obj, seconds: str) -> Obj:
        made = dialect.route(name=name)
        entry = {"targetRef": to, "default": {"http": {"requestTimeout": seconds}}}
        return {**made, "kind": "MeshTimeout", "spec": {**made["spec"], "to": [entry]}}

    labels = {"kuma.io/display-name": "podinfo", "k8s.kuma.io/namespace": "test"}
    ref: Obj = {"kind": "MeshHTTPRoute"}
    ref |= {"labels": labels} if dialect is LABELS else {"name": "podinfo"}
    insiders = rule(dialect.backend("podinfo-canary"), headers=INSIDER)
    found = dialect.routes(
        [
            dialect.route(insiders),
            timeout("z", ref, "1s"),
            timeout("a", dialect.ref("podinfo"), "2s"),
        ]
    )
    assert [one["route"]["timeout"] for one in found] == ["1s", "2s"]


@EVERY
def test_of_equal_matches_the_smaller_name_wins(dialect: Dialect) -> None:
    ours = dialect.route(rule(dialect.backend("podinfo-canary")), name="b")
    theirs = dialect.route(rule(dialect.backend("podinfo-primary")), name="a")
    for both in ([ours, theirs], [theirs, ours]):
        assert only(dialect.routes(both)) == [(dialect.cluster("podinfo-primary"), 100)]


@pytest.mark.parametrize("dialect", DIALECTS[1:], ids=lambda d: d.name)
def test_the_role_comes_before_the_name(dialect: Dialect) -> None:
    """System, then producer, then consumer: the later has the last word. A service tag makes a
    producer wherever it is named."""
    canary = rule(dialect.backend("podinfo-canary"))
    primary = rule(dialect.backend("podinfo-primary"))
    system = dialect.route(primary, name="a", namespace=SYSTEM_NAMESPACE)
    producer = dialect.route(canary, name="z")
    assert only(dialect.routes([producer, system])) == [(dialect.cluster("podinfo-canary"), 100)]
    if dialect.by_tag:
        return
    consumer = dialect.route(primary, name="zz", namespace="other")
    both = [consumer, producer]
    assert only(dialect.routes(both)) == [(dialect.cluster("podinfo-canary"), 100)]
    there = dialect.routes(both, who="client-1.other")
    assert only(there) == [(dialect.cluster("podinfo-primary"), 100)]


@EVERY
def test_the_usual_route_is_for_callers_of_every_namespace(dialect: Dialect) -> None:
    assert len(only(dialect.routes([dialect.split(95, 5)], who="client-1.other"))) == 2


def test_a_route_by_labels_is_a_consumers_until_2_14() -> None:
    route = {"kind": "MeshHTTPRoute", **form_c(95, 5)}
    assert len(only(NAMES.routes([route]))) == 2
    assert only(NAMES.routes([route], who="client-1.other")) == [(NAMES.own, 100)]


@pytest.mark.parametrize("label", ["kuma.io/zone", "app"])
def test_one_more_label_makes_it_a_consumers_in_3_0(label: str) -> None:
    value = {"kuma.io/zone": "default", "app": "podinfo"}[label]
    to = LABELS.ref("podinfo")
    to["labels"][label] = value
    route = LABELS.route(LABELS.weights(95, 5), to=to)
    assert len(only(LABELS.routes([route]))) == 2
    assert only(LABELS.routes([route], who="client-1.other")) == [(LABELS.own, 100)]


def test_another_namespaces_service_is_a_consumers_to_speak_of_in_3_0() -> None:
    route = LABELS.route(LABELS.weights(95, 5), namespace="other")
    assert only(LABELS.routes([route])) == [(LABELS.own, 100)]
    assert len(only(LABELS.routes([route], who="client-1.other"))) == 2


def test_a_display_name_alone_means_the_routes_own_namespace_in_3_0() -> None:
    def alone(name: str, **more: Any) -> Obj:
        return {"kind": "MeshService", "labels": {"kuma.io/display-name": name}, **more}

    backend = alone("podinfo-canary", port=9898)
    here = LABELS.route(rule(backend), to=alone("podinfo"))
    for who in ("client-1.test", "client-1.other"):
        assert only(LABELS.routes([here], who=who)) == [(LABELS.cluster("podinfo-canary"), 100)]
    there = LABELS.route(rule(backend), namespace="other")
    (route,) = LABELS.routes([there], who="client-1.other")
    assert route["directResponse"] == FAILING


def test_of_several_that_the_labels_select_the_oldest_wins() -> None:
    found = podinfo_world()["services"]
    for one, created in zip(found, ("03", "02", "01"), strict=False):
        one["metadata"]["creationTimestamp"] = f"2026-11-{created}T00:00:00Z"
        one["metadata"]["labels"]["part"] = "yes"
    backend = {"kind": "MeshService", "labels": {"part": "yes"}, "port": 9898}
    for dialect in (NAMES, LABELS):
        route = dialect.route(rule(backend))
        assert only(dialect.routes([route], services=found)) == [
            (dialect.cluster("podinfo-canary"), 100)
        ]


@pytest.mark.parametrize("form", [form_a, form_b])
def test_a_name_is_no_reference_in_3_0(form: Any) -> None:
    """Its schema drops the names; a route that an older Kuma kept is for nothing then."""
    route = {"kind": "MeshHTTPRoute", **form(95, 5)}
    assert LABELS.config([route]) == LABELS.config([])
    (failing,) = LABELS.routes([LABELS.route(rule({"kind": "MeshService", "port": 9898}))])
    assert failing["directResponse"] == FAILING


@EVERY
def test_a_route_for_some_callers_beats_the_one_for_all(dialect: Dialect) -> None:
    """Whatever their names are."""
    narrow = dialect.route(rule(dialect.backend("podinfo-canary")), name="z")
    if dialect.version is V2_7:
        narrow["spec"]["targetRef"] = {"kind": "MeshSubset", "tags": {"app": "client"}}
    else:
        narrow["spec"]["targetRef"] = {"kind": "Dataplane", "labels": {"app": "client"}}
    wide = dialect.route(rule(dialect.backend("podinfo-primary")), name="a")
    assert only(dialect.routes([wide, narrow])) == [(dialect.cluster("podinfo-canary"), 100)]
    others = dialect.routes([wide, narrow], who="podinfo-1.test")
    assert only(others) == [(dialect.cluster("podinfo-primary"), 100)]


@pytest.mark.parametrize("form", [form_b, form_c])
def test_routes_to_mesh_services_are_ignored_where_there_are_none(form: Any) -> None:
    route = {"kind": "MeshHTTPRoute", **form(95, 5)}
    assert TAGS_2_14.config([route]) == TAGS_2_14.config([])


@MESH_SERVICES
def test_port_and_section_name_are_one_service_but_two_clusters_in_3_0(dialect: Dialect) -> None:
    by_section = {**dialect.ref("podinfo-primary"), "sectionName": "http", "weight": 1}
    route = dialect.route(rule(dialect.backend("podinfo-primary"), by_section))
    names = [name for name, _ in only(dialect.routes([route]))]
    assert names[0] == dialect.cluster("podinfo-primary")
    if dialect is LABELS:
        assert names[1] == "kri_msvc_default_default_test_podinfo-primary_http"
    else:
        assert names[1] == names[0]


@EVERY
def test_names_of_routes(dialect: Dialect) -> None:
    """Until MeshServices they are a hash of the matches; with them the policy's, in 3.0 with the
    rule's number."""
    insiders = rule(dialect.backend("podinfo-canary"), headers=INSIDER)
    found = dialect.routes([dialect.route(dialect.weights(95, 5), insiders)])
    (own,) = dialect.routes([])
    bare = matches_hash([{"path": {"type": "PathPrefix", "value": "/"}}])
    assert own["name"] == bare
    kri = "kri_mhttpr_default_default_test_podinfo_"
    if dialect.by_tag:
        assert found[1]["name"] == bare
    elif dialect is NAMES:
        assert [one["name"] for one in found] == [kri, kri]
    else:
        assert [one["name"] for one in found] == [f"{kri}rule_1", f"{kri}rule_0"]


def mirror(dialect: Dialect, service_: str) -> Obj:
    one = {
        "type": "RequestMirror",
        "requestMirror": {"percentage": 100, "backendRef": dialect.backend(service_)},
    }
    return dialect.route(rule(dialect.backend("podinfo-primary"), filters=[one]))


def test_a_mirror_by_labels_leads_to_the_mesh_service_in_3_0() -> None:
    config = LABELS.config([mirror(LABELS, "podinfo-canary")])
    (route,) = routes_of(config, LABELS.apex)
    (policy,) = route["route"]["requestMirrorPolicies"]
    assert policy["cluster"] == LABELS.cluster("podinfo-canary")
    assert policy["cluster"] in config.clusters


def test_a_mirror_that_leads_nowhere_is_left_out_in_3_0() -> None:
    (route,) = LABELS.routes([mirror(LABELS, "nobody")])
    assert "requestMirrorPolicies" not in route["route"]
    assert leads_to(route) == [(LABELS.cluster("podinfo-primary"), 100)]


TRAFFIC = {
    "kind": "TrafficRoute",
    **trafficroute("podinfo", "podinfo_test_svc_9898", "podinfo-primary_test_svc_9898"),
}


@pytest.mark.parametrize("dialect", [TAGS_2_7, TAGS_2_14], ids=lambda d: d.name)
def test_the_first_trafficroute_takes_the_others_routes_away(dialect: Dialect) -> None:
    config = dialect.config([TRAFFIC])
    assert config.listeners["outbound:10.96.0.11:9898"]["filterChains"] == [{}]
    assert config.listeners["outbound:10.96.0.12:9898"]["filterChains"] == [{}]
    taken_back = dialect.config([TRAFFIC, dialect.split(95, 5)])
    assert len(only(routes_of(taken_back, dialect.apex))) == 2
    assert only(routes_of(taken_back, "outbound:10.96.0.11:9898"))


def test_with_mesh_services_it_takes_all_outbound_listeners_away() -> None:
    found = NAMES.config([TRAFFIC]).listeners
    assert not [name for name in found if name.startswith("outbound:10.")]


@EVERY
def test_a_patch_reaches_the_virtual_hosts_of_the_way_in(dialect: Dialect) -> None:
    patch = cookie_patch("podinfo", "podinfo-canary=abc")
    if dialect.version is V2_7:
        patch["metadata"]["namespace"] = SYSTEM_NAMESPACE
        patch["spec"]["targetRef"] = {"kind": "MeshSubset", "tags": {"app": "podinfo"}}
    config = dialect.config([patch], who="podinfo-1.test")
    name = "self_inbound_dp_9898" if dialect is LABELS else "inbound:127.10.0.2:9898"
    manager = config.listeners[name]["filterChains"][0]["filters"][0]["typedConfig"]
    (host,) = manager["routeConfig"]["virtualHosts"]
    (added,) = host["responseHeadersToAdd"]
    assert added["header"]["key"] == "set-cookie"
    other = dialect.config([patch], who="podinfo-primary-1.test")
    assert "set-cookie" not in str(other)


def test_a_patch_may_name_the_unified_virtual_host() -> None:
    patch = proxypatch("podinfo", "responseHeadersToRemove: [server]", name="self_inbound_dp_9898")
    assert "responseHeadersToRemove" in str(LABELS.config([patch], who="podinfo-1.test"))


def test_the_way_in_is_called_as_the_containers_port_in_3_0() -> None:
    named = pod("podinfo-1", "127.10.0.2", "podinfo")
    named["spec"]["containers"] = [
        {"name": "app", "ports": [{"name": "web", "containerPort": 9898}]}
    ]
    config = LABELS.config([], who="podinfo-1.test", pods=[named])
    listener = config.listeners["self_inbound_dp_web"]
    assert listener["address"]["socketAddress"]["portValue"] == 9898
    assert "self_inbound_dp_web" in config.clusters
