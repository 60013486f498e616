"""TrafficRoutes: what is written, what counts as a difference, whose they are."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from serinus.rollout.effects import Weights
from serinus.routing.kuma.trafficroute import (
    belongs,
    carried_weights,
    desired_route,
    for_some_canary,
    route_change,
)
from serinus.routing.kuma.views import TrafficRouteView, decode_traffic_route
from serinus.routing.kuma.writing import paths
from workload.guide import Json, canary

GOLDEN = Path(__file__).parent / "golden" / "trafficroute.yaml"
CANARY = canary()
SPLIT = Weights(95, 5)
WEIGHTS = st.integers(0, 100).map(lambda share: Weights(100 - share, share))


def view(route: Json) -> TrafficRouteView:
    return decode_traffic_route(msgspec.json.encode(route))


def route(weights: Weights = SPLIT) -> Json:
    return desired_route(CANARY, "podinfo", weights)


def flaggers() -> Json:
    """The same as Flagger leaves it: without our mark."""
    return merge(route(), {"metadata": {"annotations": {"flagger.app/canary": None}}})


def test_golden() -> None:
    assert route() == yaml.safe_load(GOLDEN.read_text())


@given(WEIGHTS)
def test_weights_read_back_are_the_weights_written(weights: Weights) -> None:
    assert carried_weights(CANARY, view(route(weights))) == weights
    assert route_change(CANARY, view(route(weights)), weights) == {}


@given(WEIGHTS, WEIGHTS)
def test_a_change_of_weights_is_a_patch_of_the_split_alone(old: Weights, new: Weights) -> None:
    change = route_change(CANARY, view(route(old)), new)
    assert paths(change) == (() if old == new else ("spec.conf.split",))
    assert carried_weights(CANARY, view(merge(route(old), change))) == new


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
    assert carried_weights(CANARY, view(again)) == SPLIT


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
    assert carried_weights(CANARY, view(edited)) is None
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
    weights=WEIGHTS,
)
def test_whatever_was_done_to_it_one_patch_puts_it_right(
    conf: Json, sources: Any, weights: Weights
) -> None:
    edited = route()
    edited["spec"]["conf"] = conf
    edited["spec"]["sources"] = sources
    repaired = merge(edited, route_change(CANARY, view(edited), weights))
    assert route_change(CANARY, view(repaired), weights) == {}
    assert carried_weights(CANARY, view(repaired)) == weights
    for key in conf.keys() - {"destination"}:
        assert repaired["spec"]["conf"][key] == conf[key]


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
