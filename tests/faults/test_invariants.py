"""The judge of the other tests does see what must not be."""

from itertools import count
from typing import Any

import pytest

from faults.invariants import expected_splits, replay

Object = dict[str, Any]
_VERSIONS = count(1)


def _meta() -> Object:
    return {"name": "app", "resourceVersion": str(next(_VERSIONS))}


def canary(weight: int) -> Object:
    spec = {"analysis": {"maxWeight": 50}}
    status = {"phase": "Progressing", "canaryWeight": weight}
    return {"kind": "Canary", "metadata": _meta(), "spec": spec, "status": status}


def target(replicas: int, available: int) -> Object:
    spec, status = {"replicas": replicas}, {"availableReplicas": available}
    return {"kind": "Deployment", "metadata": _meta(), "spec": spec, "status": status}


def route(primary: int, on_canary: int) -> Object:
    refs = [
        {"name": "app-primary", "weight": primary},
        {"name": "app-canary", "weight": on_canary},
    ]
    spec = {"to": [{"rules": [{"default": {"backendRefs": refs}}]}]}
    metadata = {**_meta(), "annotations": {"flagger.app/canary": "test/app"}}
    return {"kind": "MeshHTTPRoute", "metadata": metadata, "spec": spec}


def traffic_route(primary: int, on_canary: int, of: str = "test/app") -> Object:
    split = [
        {"weight": weight, "destination": {"kuma.io/service": f"{name}_test_svc_80"}}
        for name, weight in (("app-primary", primary), ("app-canary", on_canary))
    ]
    metadata = {**_meta(), "name": "app-test", "annotations": {"flagger.app/canary": of}}
    return {"kind": "TrafficRoute", "metadata": metadata, "spec": {"conf": {"split": split}}}


def test_a_traffic_route_is_judged_as_well() -> None:
    story = [target(1, 1), canary(25), traffic_route(75, 25), traffic_route(1, 99, "test/other")]
    assert replay("app", story).broken == []
    told = replay("app", [*story, traffic_route(40, 60)])
    assert told.splits == [(75, 25), (40, 60)]
    assert [what for what in told.broken if "60 percent on the canary" in what]


def test_a_good_rollout_is_not_complained_about() -> None:
    story = [target(1, 1), canary(0), route(100, 0), canary(25), route(75, 25)]
    story += [canary(50), route(50, 50), canary(0), route(100, 0), target(0, 0)]
    told = replay("app", reversed(story))
    assert told.broken == []
    assert told.splits == expected_splits(["Succeeded"], (25, 50))
    assert told.weights == [0, 25, 50, 0]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (lambda: route(75, 30), "the weights are"),
        (lambda: route(40, 60), "60 percent on the canary"),
        (lambda: target(0, 1), "scaled to zero with 25 percent"),
        (lambda: target(1, 0), "without an available pod"),
    ],
)
def test_what_must_not_be_is_seen(last: Any, words: str) -> None:
    story = [target(1, 1), canary(25), route(75, 25), last()]
    assert [what for what in replay("app", story).broken if words in what]


def test_a_step_taken_twice_is_seen() -> None:
    story = [target(1, 1), route(100, 0), canary(25), route(75, 25), route(100, 0), route(75, 25)]
    story += [canary(50), route(50, 50), route(100, 0)]
    assert replay("app", story).splits != expected_splits(["Succeeded"], (25, 50))
