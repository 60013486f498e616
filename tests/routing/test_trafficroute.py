"""TrafficRoutes: what is written, what counts as a difference, whose they are."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.trafficroute import (
    belongs,
    carried_traffic,
    desired_route,
    for_some_canary,
    route_change,
)
from serinus.routing.kuma.views import TrafficRouteView, decode_traffic_route
from serinus.routing.kuma.writing import paths
from workload.guide import Json, canary

GOLDEN = Path(__file__).parent / "golden"
CANARY = canary(
    analysis__match=[
        {"headers": {"X-Canary": {"exact": "insider"}}},
        {"headers": {"x-mail": {"suffix": "@example.com"}, "accept": {"prefix": "text/"}}},
    ]
)
SPLIT = Traffic(Weights(95, 5))
WEIGHTS = st.integers(0, 100).map(lambda share: Weights(100 - share, share))
TRAFFIC = st.builds(Traffic, WEIGHTS, matched=st.booleans())


def view(route: Json) -> TrafficRouteView:
    return decode_traffic_route(msgspec.json.encode(route))


def route(traffic: Traffic = SPLIT) -> Json:
    return desired_route(CANARY, "podinfo", traffic)


def flaggers() -> Json:
    """The same as Flagger leaves it: without our mark."""
    return merge(route(), {"metadata": {"annotations": {"flagger.app/canary": None}}})


@pytest.mark.parametrize(
    ("name", "traffic"),
    [
        ("trafficroute", SPLIT),
        ("trafficroute-matched", Traffic(Weights(100, 0), matched=True)),
    ],
)
def test_golden(name: str, traffic: Traffic) -> None:
    assert route(traffic) == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())


@given(TRAFFIC)
def test_traffic_read_back_is_the_traffic_written(traffic: Traffic) -> None:
    assert carried_traffic(CANARY, view(route(traffic))) == traffic
    assert route_change(CANARY, view(route(traffic)), traffic) == {}


@given(TRAFFIC, TRAFFIC)
def test_a_change_of_traffic_is_a_patch_of_that_alone(old: Traffic, new: Traffic) -> None:
    change = route_change(CANARY, view(route(old)), new)
    weighed = {"spec.conf.split"} if old.weights != new.weights else set()
    matched = {"spec.conf.http"} if old.matched != new.matched else set()
    assert set(paths(change)) == weighed | matched
    assert carried_traffic(CANARY, view(merge(route(old), change))) == new


@pytest.mark.parametrize(
    ("edit", "repaired"),
    [
        ({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}, ()),
        ({"spec": {"conf": {"loadBalancer": {"random": {}}}}}, ()),
        ({"spec": {"sources": []}}, ("spec.sources",)),
        ({"spec": {"destinations": None}}, ("spec.destinations",)),
        (
            {"metadata": {"annotations": {"helm.toolkit.fluxcd.io/driftDetection": None}}},
            ("metadata.annotations[helm.toolkit.fluxcd.io/driftDetection]",),
        ),
        (
            {"spec": {"conf": {"split": None, "destination": {"kuma.io/service": "x"}}}},
            ("spec.conf.destination", "spec.conf.split"),
        ),
    ],
)
def test_drift(edit: Json, repaired: tuple[str, ...]) -> None:
    edited = merge(route(), edit)
    change = route_change(CANARY, view(edited), SPLIT)
    assert paths(change) == repaired
    again = merge(edited, change)
    assert route_change(CANARY, view(again), SPLIT) == {}
    assert carried_traffic(CANARY, view(again)) == SPLIT


@pytest.mark.parametrize(
    "split",
    [
        [{"weight": 95, "destination": {"kuma.io/service": "podinfo-primary_test_svc_9898"}}],
        [
            {"weight": 50, "destination": {"kuma.io/service": "podinfo-primary_test_svc_9898"}},
            {"weight": 60, "destination": {"kuma.io/service": "podinfo-canary_test_svc_9898"}},
        ],
        [
            {"weight": 50, "destination": {"kuma.io/service": "podinfo-primary_test_svc_9898"}},
            {"weight": 50, "destination": {"kuma.io/service": "somebody_else_svc_80"}},
        ],
        [
            {
                "weight": 95,
                "destination": {"kuma.io/service": "podinfo-primary_test_svc_9898", "v": "1"},
            },
            {"weight": 5, "destination": {"kuma.io/service": "podinfo-canary_test_svc_9898"}},
        ],
    ],
)
def test_what_is_no_split_between_the_two_carries_no_weights(split: list[Json]) -> None:
    edited = merge(route(), {"spec": {"conf": {"split": split}}})
    assert carried_traffic(CANARY, view(edited)) is None
    assert "split" in route_change(CANARY, view(edited), SPLIT)["spec"]["conf"]


FOREIGN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["split", "destination", "http", "loadBalancer", "x"]), inner, max_size=3
    ),
    max_leaves=5,
)


@given(
    conf=st.dictionaries(st.sampled_from(["destination", "http", "loadBalancer", "x"]), FOREIGN),
    sources=st.none() | st.lists(st.just({"match": {"a": "b"}})),
    traffic=TRAFFIC,
)
def test_whatever_was_done_to_it_one_patch_puts_it_right(
    conf: Json, sources: Any, traffic: Traffic
) -> None:
    edited = route()
    edited["spec"]["conf"] = conf
    edited["spec"]["sources"] = sources
    repaired = merge(edited, route_change(CANARY, view(edited), traffic))
    assert route_change(CANARY, view(repaired), traffic) == {}
    assert carried_traffic(CANARY, view(repaired)) == traffic
    for key in conf.keys() - {"destination", "http"}:
        assert repaired["spec"]["conf"][key] == conf[key]


ADMIN = {"match": {"path": {"prefix": "/admin"}}, "destination": {"kuma.io/service": "a_b_svc_1"}}
LEFT = {
    "match": {"headers": {"x": {"exact": "y"}}},
    "split": [{"weight": 1, "destination": {"kuma.io/service": "podinfo-canary_test_svc_9898"}}],
}


@given(
    rules=st.lists(st.sampled_from([ADMIN, {**ADMIN, "modify": {}}]), min_size=1, max_size=2),
    steps=st.lists(TRAFFIC, max_size=5),
)
def test_rules_of_others_outlive_any_rollout(rules: list[Json], steps: list[Traffic]) -> None:
    first = merge(route(), {"spec": {"conf": {"http": rules}}})
    found = merge(route(), {"spec": {"conf": {"http": [LEFT, *rules]}}})
    for traffic in [*steps, SPLIT]:
        found = merge(found, route_change(CANARY, view(found), traffic))
        assert [rule for rule in found["spec"]["conf"]["http"] if rule in rules] == rules
    assert found == first


def test_whose_it_is() -> None:
    elsewhere = canary()
    elsewhere = msgspec.structs.replace(
        elsewhere, metadata=msgspec.structs.replace(elsewhere.metadata, namespace="prod")
    )
    for ours in (route(), flaggers()):
        assert belongs(CANARY, view(ours))
        assert not belongs(elsewhere, view(ours))
        assert for_some_canary(view(ours))
    route_all = {
        "metadata": {"name": "route-all-default"},
        "spec": {"destinations": [{"match": {"kuma.io/service": "*"}}]},
    }
    assert not belongs(CANARY, view(route_all))
    assert not for_some_canary(view(route_all))
