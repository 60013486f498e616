"""`spec.service.match`: which requests are split at all."""

import json
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from serinus.api.canary import Canary
from serinus.lab.mesh.matches import precedence
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma import meshhttproute
from serinus.routing.kuma.addressing import ByName
from serinus.routing.kuma.matches import EVERY_PATH, problems, route_matches, service_matches
from serinus.routing.kuma.meshhttproute import carried_traffic
from serinus.routing.kuma.views import MeshHTTPRouteView, decode_mesh_http_route
from workload.guide import Json, canary

desired_route = partial(meshhttproute.desired_route, addressing=ByName())
route_change = partial(meshhttproute.route_change, addressing=ByName())

TEST = [{"headers": {"x-canary": {"exact": "insider"}}}, {"queryParams": {"b": {"exact": "1"}}}]
MATCH: list[Json] = [
    {"uri": {"exact": "/cart"}, "method": {"exact": "POST"}},
    {"uri": {"prefix": "/api/"}, "headers": {"X-Tenant": {"regex": "a|b"}}},
    {"uri": {"regex": "/v[0-9]+/.*"}, "queryParams": {"q": {"prefix": "y"}}},
]
SPLIT = Traffic(Weights(90, 10))
TRAFFIC = st.builds(
    Traffic,
    st.integers(0, 100).map(lambda share: Weights(100 - share, share)),
    matched=st.booleans(),
    mirrored=st.booleans(),
    affinity=st.sampled_from([None, Affinity("c=1"), Affinity("c=1", "p=1")]),
)
ASKED = st.sampled_from([[], MATCH, MATCH[:1], MATCH[1:]])


def view(route: Json) -> MeshHTTPRouteView:
    return decode_mesh_http_route(msgspec.json.encode(route))


def rules(route: Json) -> list[Json]:
    found: list[Json] = route["spec"]["to"][0]["rules"]
    return found


def in_some_order(route: Json) -> list[str]:
    return sorted(json.dumps(rule, sort_keys=True) for rule in rules(route))


def asking(match: list[Json]) -> Canary:
    return canary(service__match=match, analysis__match=TEST)


def test_which_requests_are_split() -> None:
    (rule,) = rules(desired_route(asking(MATCH), SPLIT))
    assert rule["matches"] == [
        {"path": {"type": "Exact", "value": "/cart"}, "method": "POST"},
        {
            "path": {"type": "PathPrefix", "value": "/api"},
            "headers": [{"type": "RegularExpression", "name": "x-tenant", "value": "a|b"}],
        },
        {
            "path": {"type": "RegularExpression", "value": "/v[0-9]+/.*"},
            "queryParams": [{"type": "RegularExpression", "name": "q", "value": "y.*"}],
        },
    ]
    assert list(problems(asking(MATCH))) == []


@pytest.mark.parametrize(
    ("prefix", "written"), [("/", "/"), ("/api", "/api"), ("/api/", "/api"), ("/a/b", "/a/b")]
)
def test_a_prefix_ends_where_a_segment_does(prefix: str, written: str) -> None:
    (match,) = service_matches(canary(service__match=[{"uri": {"prefix": prefix}}]))
    assert match == {"path": {"type": "PathPrefix", "value": written}}


def test_an_ab_test_is_among_the_requests_that_are_matched() -> None:
    asked = asking(MATCH)
    first, split = rules(desired_route(asked, Traffic(Weights(100, 0), matched=True)))
    test, every = route_matches(asked.spec.analysis.match), service_matches(asked)
    assert len(first["matches"]) == len(test) * len(every)
    assert split["matches"] == every
    for outer in every:
        inside = [one for one in first["matches"] if one["path"] == outer["path"]]
        assert len(inside) == len(test)
        for one in inside:
            assert one.get("method") == outer.get("method")
            assert precedence(one) < precedence(outer)
    assert [one["headers"][-1]["name"] for one in first["matches"][: len(every)]] == [
        "x-canary"
    ] * len(every)


@given(old=ASKED, new=ASKED, before=TRAFFIC, after=TRAFFIC)
def test_the_rules_follow_the_canary(
    old: list[Json], new: list[Json], before: Traffic, after: Traffic
) -> None:
    route = desired_route(asking(old), before)
    assert carried_traffic(asking(old), view(route)) == before
    changed = merge(route, route_change(asking(new), view(route), after))
    assert route_change(asking(new), view(changed), after) == {}
    assert carried_traffic(asking(new), view(changed)) == after
    assert in_some_order(changed) == in_some_order(desired_route(asking(new), after))


def test_a_rule_of_others_for_the_rest_stays() -> None:
    rest = {
        "matches": [{"path": EVERY_PATH}],
        "default": {"backendRefs": [{"kind": "MeshService", "name": "other", "port": 80}]},
    }
    found = desired_route(asking(MATCH), SPLIT)
    rules(found).append(rest)
    assert route_change(asking(MATCH), view(found), SPLIT) == {}


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ({"uri": {"prefix": "api"}}, "uri.prefix", "begins no path"),
        ({"uri": {"exact": "api"}}, "uri.exact", "begins no path"),
        ({"uri": {"regex": "("}}, "uri.regex", "no RE2 expression"),
        ({"method": {"exact": "get"}}, "method.exact", "use one of CONNECT"),
        ({"headers": {"a b": {"exact": "x"}}}, "headers[a b]", "no header of the name"),
        ({"headers": {"a": {"regex": "(?!y)"}}}, "headers[a].regex", "no RE2 expression"),
        ({"queryParams": {"a": {"regex": "("}}}, "queryParams[a].regex", "no RE2 expression"),
    ],
)
def test_what_kuma_cannot_split_by(entry: Json, path: str, words: str) -> None:
    (problem,) = problems(canary(service__match=[{}, entry]))
    assert problem.path == f"spec.service.match[1].{path}"
    assert words in problem.message
