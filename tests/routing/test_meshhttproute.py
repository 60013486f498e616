"""MeshHTTPRoutes in every dialect: what is written, and what counts as a difference."""

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from routing.dialects import DIALECTS, EVERY, IDS
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.addressing import Addressing, ByLabels, ByName, ByTag, is_lost
from serinus.routing.kuma.belonging import belongs
from serinus.routing.kuma.cookies import holding
from serinus.routing.kuma.meshhttproute import (
    carried_traffic,
    desired_route,
    in_dialect,
    route_change,
)
from serinus.routing.kuma.meshservices import declared_problems
from serinus.routing.kuma.views import MeshHTTPRouteView, decode_mesh_http_route
from serinus.routing.kuma.writing import paths
from workload.guide import Json, canary

MATCH = [
    {"headers": {"X-Canary": {"exact": "insider"}, "user-agent": {"prefix": "Mozilla"}}},
    {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
    {"headers": {"x-mail": {"suffix": "@example.com"}}, "queryParams": {"beta": {"exact": "1"}}},
]
CANARY = canary(
    analysis__match=MATCH,
    analysis__mirrorWeight=20,
    analysis__sessionAffinity={"cookieName": "side", "primaryCookieName": "old"},
)
HELD = Affinity("side=c4n4ry", "old=pr1m4ry")
SPLIT = Traffic(Weights(95, 5))
WEIGHTS = st.integers(0, 100).map(lambda share: Weights(100 - share, share))
COOKIES = st.from_regex(r"[a-z.+-]{1,6}=[A-Za-z0-9.+*-]{1,6}", fullmatch=True)
TRAFFIC = st.builds(
    Traffic,
    WEIGHTS,
    matched=st.booleans(),
    mirrored=st.booleans(),
    affinity=st.none()
    | st.builds(Affinity, COOKIES.map("c".__add__), st.none() | COOKIES.map("p".__add__)),
)
HEADERS: Json = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/admin"}}],
    "default": {"backendRefs": [{"kind": "MeshService", "name": "admin", "port": 80}]},
}
MESH_OWNER = {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "name": "default", "uid": "mesh"}


def view(route: Json) -> MeshHTTPRouteView:
    return decode_mesh_http_route(msgspec.json.encode(route))


BY_NAME = ByName()
dialects = pytest.mark.parametrize("way", EVERY, ids=IDS)
ways = st.sampled_from(EVERY)


def route(traffic: Traffic = SPLIT, way: Addressing = BY_NAME) -> Json:
    """The route as Kuma's webhooks complete it (seen on a control plane of 2.14.3)."""
    completed = deepcopy(desired_route(CANARY, traffic, way))
    completed["metadata"]["labels"].update(
        {
            "k8s.kuma.io/namespace": "test",
            "kuma.io/env": "kubernetes",
            "kuma.io/origin": "zone",
            "kuma.io/policy-role": "producer",
            "kuma.io/zone": "default",
        }
    )
    completed["metadata"]["annotations"]["kuma.io/display-name"] = "podinfo"
    completed["metadata"].setdefault("ownerReferences", []).append(MESH_OWNER)
    return completed


def edited(change: Any, way: Addressing = BY_NAME) -> Json:
    """The route after somebody's hands were on it."""
    whole = route(way=way)
    change(whole["spec"]["to"][0])
    return whole


def rule(entry: Json) -> Json:
    bare: Json = entry["rules"][0]
    return bare


def backends(entry: Json) -> list[Json]:
    refs: list[Json] = rule(entry)["default"]["backendRefs"]
    return refs


@given(TRAFFIC, ways)
def test_traffic_read_back_is_the_traffic_written(traffic: Traffic, way: Addressing) -> None:
    found = view(route(traffic, way))
    assert carried_traffic(CANARY, found) == traffic
    assert route_change(CANARY, found, traffic, way) == {}
    assert in_dialect(CANARY, found, way)


@given(TRAFFIC, TRAFFIC, ways)
def test_a_change_of_traffic_is_one_patch_of_the_destinations_alone(
    old: Traffic, new: Traffic, way: Addressing
) -> None:
    change = route_change(CANARY, view(route(old, way)), new, way)
    assert paths(change) == (() if old == new else ("spec.to",))
    assert carried_traffic(CANARY, view(merge(route(old, way), change))) == new


NO_DRIFT: list[Any] = [
    lambda entry: entry["rules"].append(HEADERS),
    lambda entry: rule(entry)["default"].update({"filters": [{"type": "RequestMirror"}]}),
    lambda entry: backends(entry).reverse(),
    lambda entry: backends(entry)[0].update({"defaultedByANewerKuma": True}),
]


@dialects
@pytest.mark.parametrize("change", NO_DRIFT)
def test_what_others_add_is_no_drift(change: Any, way: Addressing) -> None:
    assert route_change(CANARY, view(edited(change, way)), SPLIT, way) == {}


DRIFT: list[Any] = [
    lambda entry: entry["rules"].clear(),
    lambda entry: entry["rules"].append(rule(entry)),
    lambda entry: entry["targetRef"].update({"sectionName": "9797"}),
    lambda entry: rule(entry).update({"default": {}}),
    lambda entry: rule(entry)["matches"][0]["path"].update({"value": "/x"}),
    lambda entry: backends(entry).pop(),
    lambda entry: backends(entry).append({"kind": "MeshService", "name": "third", "port": 1}),
    lambda entry: backends(entry)[1].update({"namespace": "elsewhere"}),
    lambda entry: backends(entry)[1].update({"port": 1}),
    lambda entry: backends(entry)[1].update(backends(entry)[0]),
    lambda entry: backends(entry)[1].update({"labels": {"kuma.io/display-name": "x"}}),
]


@dialects
@pytest.mark.parametrize("change", DRIFT)
def test_a_foreign_edit_of_what_is_ours_is_repaired(change: Any, way: Addressing) -> None:
    found = edited(change, way)
    repair = route_change(CANARY, view(found), SPLIT, way)
    assert paths(repair) == ("spec.to",)
    repaired = merge(found, repair)
    assert route_change(CANARY, view(repaired), SPLIT, way) == {}
    assert carried_traffic(CANARY, view(repaired)) == SPLIT
    assert set(references(repaired)) == set(references(route(way=way)))


@pytest.mark.parametrize(
    ("edit", "repaired", "way"),
    [
        (
            {"spec": {"targetRef": {"kind": "Dataplane", "labels": {"a": "b"}}}},
            "spec.targetRef",
            BY_NAME,
        ),
        (
            {"metadata": {"labels": {"kuma.io/mesh": None}}},
            "metadata.labels[kuma.io/mesh]",
            BY_NAME,
        ),
        ({"metadata": {"ownerReferences": [MESH_OWNER]}}, "metadata.ownerReferences", BY_NAME),
        (
            {"metadata": {"labels": {"kuma.io/origin": None}}},
            "metadata.labels[kuma.io/origin]",
            DIALECTS["service-tag-system"],
        ),
    ],
)
def test_who_it_is_for_and_whose_it_is_are_repaired(
    edit: Json, repaired: str, way: Addressing
) -> None:
    found = merge(route(way=way), edit)
    repair = route_change(CANARY, view(found), SPLIT, way)
    assert paths(repair)
    assert all(path.startswith(repaired) for path in paths(repair))
    whole = merge(found, repair)
    assert route_change(CANARY, view(whole), SPLIT, way) == {}
    assert MESH_OWNER in whole["metadata"]["ownerReferences"]
    assert "kuma.io/policy-role" in whole["metadata"]["labels"]


@dialects
@pytest.mark.parametrize("changed", [{"service__portName": "web"}, {"service__port": 80}])
def test_a_port_that_was_changed_leaves_no_second_split(changed: Json, way: Addressing) -> None:
    other = canary(**changed)
    found = route(way=way)
    repaired = merge(found, route_change(other, view(found), SPLIT, way))
    (entry,) = repaired["spec"]["to"]
    assert entry["targetRef"] == way.apex(other)


OTHER_RULES = st.lists(st.sampled_from([HEADERS, {"matches": [], "default": {}}]), max_size=2)
OTHER_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "targetRef": st.fixed_dictionaries(
                {"kind": st.just("MeshService"), "name": st.sampled_from(["other", "podinfo"])}
            ),
            "rules": OTHER_RULES,
        }
    ),
    max_size=2,
)


IN_EVERY = [ref for way in EVERY for ref in backends(route(way=way)["spec"]["to"][0])]
"""The canary's two sides as each dialect calls them."""


def references(whole: Json) -> list[str]:
    """All that lead somewhere, as sorted texts without their weights."""
    found: list[Json] = []
    for entry in whole["spec"]["to"]:
        found.append(entry["targetRef"])
        for each in entry["rules"]:
            found += each["default"].get("backendRefs", [])
            filters = each["default"].get("filters", [])
            found += [one["requestMirror"]["backendRef"] for one in filters]
    texts = ({key: value for key, value in ref.items() if key != "weight"} for ref in found)
    return sorted(json.dumps(ref, sort_keys=True) for ref in texts)


def of_ours(text: str) -> bool:
    """Whether a reference leads to a side of the canary, in whatever dialect."""
    return "podinfo-primary" in text or "podinfo-canary" in text


@given(
    before=OTHER_ENTRIES,
    after=OTHER_ENTRIES,
    rules=OTHER_RULES,
    refs=st.lists(
        st.sampled_from(
            [ref for way in EVERY for ref in backends(route(way=way)["spec"]["to"][0])]
        ),
        max_size=3,
    ),
    old=TRAFFIC,
    traffic=TRAFFIC,
    was=ways,
    way=ways,
)
def test_whatever_was_done_to_it_one_patch_puts_it_right(
    before: list[Json],
    after: list[Json],
    rules: list[Json],
    refs: list[Json],
    old: Traffic,
    traffic: Traffic,
    was: Addressing,
    way: Addressing,
) -> None:
    found = route(old, was)
    ours = found["spec"]["to"][0]
    for each in ours["rules"]:
        each["default"]["backendRefs"] = refs
    ours["rules"] += rules
    found["spec"]["to"] = [*before, ours, *after]
    repaired = merge(found, route_change(CANARY, view(found), traffic, way))
    assert route_change(CANARY, view(repaired), traffic, way) == {}
    assert carried_traffic(CANARY, view(repaired)) == traffic
    assert in_dialect(CANARY, view(repaired), way)
    wanted = references(desired_route(CANARY, traffic, way))
    assert [ref for ref in references(repaired) if ref in wanted or of_ours(ref)] == wanted
    for foreign in [*before, *after]:
        assert foreign in repaired["spec"]["to"]
    for foreign in rules:
        assert foreign in repaired["spec"]["to"][len(before)]["rules"]


FOREIGN_FILTERS = st.lists(
    st.sampled_from(
        [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}},
            {
                "type": "RequestMirror",
                "requestMirror": {"backendRef": {"name": "audit_test_svc_1"}},
            },
        ]
    ),
    max_size=2,
    unique_by=str,
)


@given(
    rules=OTHER_RULES,
    filters=FOREIGN_FILTERS,
    steps=st.lists(st.tuples(TRAFFIC, ways), max_size=5),
)
def test_rules_and_filters_of_others_outlive_any_rollout(
    rules: list[Json], filters: list[Json], steps: list[tuple[Traffic, Addressing]]
) -> None:
    first = route()
    entry = first["spec"]["to"][0]
    if filters:
        rule(entry)["default"]["filters"] = filters
    entry["rules"] = [*rules[:1], *entry["rules"], *rules[1:]]
    found = first
    for traffic, way in [*steps, (SPLIT, BY_NAME)]:
        found = merge(found, route_change(CANARY, view(found), traffic, way))
        (entry,) = found["spec"]["to"]
        bare = next(one for one in entry["rules"] if one["matches"] == BARE)
        assert [one for one in bare["default"].get("filters", []) if one in filters] == filters
        assert [one for one in entry["rules"] if one in rules] == rules
    found["metadata"]["labels"]["kuma.io/origin"] = "zone"
    assert found == first


BARE: list[Json] = [{"path": {"type": "PathPrefix", "value": "/"}}]
TO_CANARY: Json = {"kind": "MeshService", "name": "podinfo-canary", "port": 9898, "weight": 100}


@pytest.mark.parametrize(
    "stale",
    [
        {"matches": [{"headers": [{"name": "x"}]}], "default": {"backendRefs": [TO_CANARY]}},
        {
            "matches": [holding("old=value")],
            "default": {"backendRefs": [{**TO_CANARY, "name": "podinfo-primary"}]},
        },
    ],
)
def test_nothing_is_left_behind_of_what_nobody_remembers(stale: Json) -> None:
    found = edited(lambda entry: entry["rules"].insert(0, stale))
    change = route_change(CANARY, view(found), SPLIT, BY_NAME)
    assert merge(found, change) == route()


def pruned(value: Any) -> Any:
    """What the CRDs of Kuma 3 leave of an object written for Kuma 2."""
    if isinstance(value, list):
        return [pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    gone = ("name", "namespace", "tags") if value.get("kind") == "MeshService" else ()
    return {key: pruned(item) for key, item in value.items() if key not in gone}


@given(
    TRAFFIC,
    TRAFFIC,
    st.sampled_from([ByTag(), BY_NAME]),
    OTHER_ENTRIES,
    st.lists(st.just(HEADERS), max_size=1),
)
def test_what_kuma_3_leaves_of_an_older_route_is_replaced(
    old: Traffic, new: Traffic, was: Addressing, others: list[Json], rules: list[Json]
) -> None:
    way = ByLabels()
    by_labels = {"targetRef": {"kind": "MeshService", "labels": {"a": "b"}}, "rules": rules}
    found = route(old, was)
    found["spec"]["to"][0]["rules"] += rules
    found["spec"]["to"] += [*others, by_labels]
    found["spec"] = pruned(found["spec"])
    assert not in_dialect(CANARY, view(found), way)
    repaired = merge(found, route_change(CANARY, view(found), new, way))
    assert carried_traffic(CANARY, view(repaired)) == new
    assert route_change(CANARY, view(repaired), new, way) == {}
    assert not any(is_lost(json.loads(text)) for text in references(repaired))
    assert (by_labels in repaired["spec"]["to"]) == (not rules)


@dialects
def test_the_defaults_of_a_schema_are_no_drift(way: Addressing) -> None:
    mirrored = Traffic(Weights(100, 0), mirrored=True)
    found = route(mirrored, way)
    first = deepcopy(found)
    mirror = rule(found["spec"]["to"][0])["default"]["filters"][0]["requestMirror"]
    mirror["backendRef"]["weight"] = 1
    assert route_change(CANARY, view(found), mirrored, way) == {}
    mirror["backendRef"]["port"] = 1
    repaired = merge(found, route_change(CANARY, view(found), mirrored, way))
    assert carried_traffic(CANARY, view(repaired)) == mirrored
    rule(repaired["spec"]["to"][0])["default"]["filters"][0]["requestMirror"]["backendRef"].pop(
        "weight"
    )
    assert repaired == first


def test_a_share_is_mirrored_whole_where_none_is_given() -> None:
    found = desired_route(canary(), Traffic(Weights(100, 0), mirrored=True), BY_NAME)
    (mirror,) = rule(found["spec"]["to"][0])["default"]["filters"]
    assert mirror["requestMirror"]["percentage"] == 100


def test_whose_it_is() -> None:
    assert belongs(CANARY, view(route()).metadata)
    restored = merge(route(), {"metadata": {"ownerReferences": [MESH_OWNER]}})
    assert belongs(CANARY, view(restored).metadata)
    theirs = merge(restored, {"metadata": {"annotations": {"flagger.app/canary": None}}})
    assert not belongs(CANARY, view(theirs).metadata)


@pytest.mark.parametrize(
    ("changes", "paths_named"),
    [
        ({}, []),
        ({"service__appProtocol": "grpc"}, []),
        ({"service__appProtocol": "tcp"}, ["spec.service.appProtocol"] * 3),
        ({"service__canary": {}}, ["spec.service.appProtocol"]),
        ({"service__headless": True}, ["spec.service.headless"]),
    ],
)
def test_what_kuma_could_not_route_is_refused(changes: Json, paths_named: list[str]) -> None:
    assert [problem.path for problem in declared_problems(canary(**changes))] == paths_named
