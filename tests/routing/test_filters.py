"""`spec.service.headers` and `rewrite` in a MeshHTTPRoute's words."""

from functools import partial

import msgspec
import pytest

from routing.api_server import merge
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma import meshhttproute
from serinus.routing.kuma.addressing import ByName
from serinus.routing.kuma.filters import FILTERS, problems, service_filters
from serinus.routing.kuma.meshhttproute import carried_traffic
from serinus.routing.kuma.views import MeshHTTPRouteView, decode_mesh_http_route
from workload.guide import Json, canary

desired_route = partial(meshhttproute.desired_route, addressing=ByName())
route_change = partial(meshhttproute.route_change, addressing=ByName())

HEADERS: Json = {
    "request": {"set": {"X-Set": "a"}, "add": {"x-add": "b"}, "remove": ["X-Gone"]},
    "response": {"set": {"x-answer": "c"}},
}
FOREIGN: Json = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit"}}}
ALL = Traffic(Weights(90, 10), mirrored=True, affinity=Affinity("c=1", "p=1"))


def view(route: Json) -> MeshHTTPRouteView:
    return decode_mesh_http_route(msgspec.json.encode(route))


def rules(route: Json) -> list[Json]:
    found: list[Json] = route["spec"]["to"][0]["rules"]
    return found


def test_headers_are_changed_by_every_rule_of_ours() -> None:
    asked = canary(service__headers=HEADERS)
    route = desired_route(asked, ALL)
    assert len(rules(route)) == 3
    for rule in rules(route):
        assert rule["default"]["filters"][:2] == [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {
                    "set": [{"name": "x-set", "value": "a"}],
                    "add": [{"name": "x-add", "value": "b"}],
                    "remove": ["x-gone"],
                },
            },
            {
                "type": "ResponseHeaderModifier",
                "responseHeaderModifier": {"set": [{"name": "x-answer", "value": "c"}]},
            },
        ]
    assert route_change(asked, view(route), ALL) == {}
    assert carried_traffic(asked, view(route)) == ALL


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        (
            {"uri": "/new", "authority": "shop.example"},
            {
                "hostname": "shop.example",
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"},
            },
        ),
        (
            {"uri": "/new", "type": "ReplaceFullPath"},
            {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
        ),
        (
            {"uri": "/new", "type": "ReplacePrefixMatch"},
            {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new/"}},
        ),
        (
            {"uri": "/", "type": "ReplacePrefixMatch"},
            {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
        ),
    ],
)
def test_a_rewrite(asked: Json, written: Json) -> None:
    (found,) = service_filters(canary(service__rewrite=asked))
    assert found == {"type": "URLRewrite", "urlRewrite": written}
    assert list(problems(canary(service__rewrite=asked))) == []


def test_filters_follow_the_canary_and_those_of_others_stay() -> None:
    plain, asked = canary(), canary(service__headers=HEADERS, service__rewrite={"uri": "/x"})
    first = desired_route(plain, ALL)
    rules(first)[-1]["default"]["filters"].insert(0, FOREIGN)
    found = merge(first, route_change(asked, view(first), ALL))
    assert found["metadata"]["annotations"][FILTERS] == (
        "RequestHeaderModifier,ResponseHeaderModifier,URLRewrite"
    )
    for rule in rules(found):
        kinds = [one["type"] for one in rule["default"]["filters"]]
        assert kinds.count("RequestHeaderModifier") == kinds.count("URLRewrite") == 1
    fewer = canary(service__headers={"response": {"remove": ["server"]}})
    found = merge(found, route_change(fewer, view(found), ALL))
    assert route_change(fewer, view(found), ALL) == {}
    assert "URLRewrite" not in str(found) and "RequestHeaderModifier" not in str(found)
    assert FOREIGN in rules(found)[-1]["default"]["filters"]
    assert merge(found, route_change(plain, view(found), ALL)) == first


def test_an_edited_filter_is_repaired() -> None:
    asked = canary(service__headers=HEADERS)
    first = desired_route(asked, ALL)
    edited = desired_route(asked, ALL)
    rules(edited)[0]["default"]["filters"][0]["requestHeaderModifier"]["set"] = []
    rules(edited)[-1]["default"]["filters"].pop(1)
    assert rules(merge(edited, route_change(asked, view(edited), ALL)))[0] == rules(first)[0]
    repaired = merge(edited, route_change(asked, view(edited), ALL))
    assert route_change(asked, view(repaired), ALL) == {}


@pytest.mark.parametrize(
    ("field", "asked", "path", "words"),
    [
        ("headers", {"request": {"set": {"a b": "c"}}}, "headers.request.set[a b]", "no header"),
        ("headers", {"response": {"add": {"a": "5%"}}}, "headers.response.add[a]", "percent sign"),
        (
            "headers",
            {"request": {"remove": [f"x-{n}" for n in range(17)]}},
            "headers.request.remove",
            "Kuma takes 16",
        ),
        ("rewrite", {}, "rewrite", "changes nothing"),
        ("rewrite", {"uri": "x"}, "rewrite.uri", "begin it with a slash"),
        ("rewrite", {"uri": "/\\1"}, "rewrite.uri", "backslash"),
        ("rewrite", {"authority": "a:80"}, "rewrite.authority", "no port"),
        ("rewrite", {"uri": "/", "type": "x"}, "rewrite.type", "use ReplaceFullPath"),
    ],
)
def test_what_cannot_be_changed(field: str, asked: Json, path: str, words: str) -> None:
    (problem,) = problems(canary(**{f"service__{field}": asked}))
    assert problem.path == f"spec.service.{path}"
    assert words in problem.message


def test_a_prefix_is_replaced_where_one_is_matched() -> None:
    rewrite = {"uri": "/", "type": "ReplacePrefixMatch"}
    asked = canary(
        service__rewrite=rewrite,
        service__match=[{"uri": {"prefix": "/a"}}, {"uri": {"exact": "/b"}}],
    )
    (problem,) = problems(asked)
    assert problem.path == "spec.service.rewrite.type"
    assert "match by prefix" in problem.message
