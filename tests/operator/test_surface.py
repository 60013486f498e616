"""What an administrator sees of the operator, and what it costs the API server."""

import re
import time

import pytest

from executor.scene import Scene

NAMES = {
    "flagger_info",
    "flagger_canary_total",
    "flagger_canary_status",
    "flagger_canary_weight",
    "flagger_canary_metric_analysis",
    "flagger_canary_successes_total",
    "flagger_canary_failures_total",
    "flagger_canary_duration_seconds_count",
}


def test_metrics_probes_and_logs(scene: Scene) -> None:
    operator = scene.start()
    scene.begin(scene.canary(name="shop"))
    scene.release("v2")
    scene.await_phase("Succeeded", "shop")
    scene.peers.success = 0.0
    scene.release("v3")
    scene.await_phase("Failed", "shop")
    assert operator.get("/healthz") == (200, "OK\n")
    assert operator.get("/readyz") == (200, "OK\n")
    status, text = operator.get("/metrics")
    assert status == 200
    assert NAMES <= set(re.findall(r"^(\w+)", text, re.MULTILINE))
    of = f'name="podinfo",namespace="{scene.namespace}"'
    at = f'namespace="{scene.namespace}"'
    kinds = 'analysis_status="completed",deployment_strategy="canary",'
    for line in (
        f"flagger_canary_status{{{of}}} 2.0",
        f"flagger_canary_total{{{at}}} 1.0",
        f'flagger_canary_weight{{{at},workload="podinfo-primary"}} 100.0',
        f'flagger_canary_weight{{{at},workload="podinfo"}} 0.0',
        f'flagger_canary_metric_analysis{{metric="request-success-rate",{of}}} 0.0',
        f"flagger_canary_successes_total{{{kinds}{of}}} 1.0",
        f"flagger_canary_failures_total{{{kinds}{of}}} 1.0",
    ):
        assert line in _sorted_labels(text), line
    scene.within("delete", "canary", "shop")
    deadline = time.monotonic() + 10
    while scene.namespace in (left := operator.get("/metrics")[1]):
        assert time.monotonic() < deadline, left
    for line in operator.log():
        assert {"level", "ts", "msg"} <= set(line)
    assert f"shop.{scene.namespace}" in {line.get("canary") for line in operator.log()}


def _sorted_labels(text: str) -> str:
    return re.sub(
        r"\{(.*)\}", lambda found: "{" + ",".join(sorted(found[1].split(","))) + "}", text
    )


def test_a_settled_canary_costs_nothing_and_a_step_little(scene: Scene) -> None:
    scene.start()
    _ = scene.events
    scene.begin(scene.canary(stepWeight=1, maxWeight=50))
    seen = len(scene.peers.requests)
    scene.await_message("Initialization done!")
    quiet = _quiet(scene)
    assert [str(request) for request in scene.peers.requests[seen:] if request.watches] == []
    assert quiet > 2.0, "seconds, that is 6 intervals"
    scene.release("v2")
    scene.await_weight(3)
    begin = len(scene.peers.requests)
    scene.await_weight(13)
    made = [request for request in scene.peers.requests[begin:] if not request.watches]
    print("ten steps took", [f"{request.method} {request.path}" for request in made])
    assert len(made) <= 3 * 11, "a status, a route and an event for each, and one under way"


def _quiet(scene: Scene) -> float:
    """How many seconds pass without any request; at most 2 and a bit."""
    began, seen = time.monotonic(), -1
    deadline = began + 10
    while time.monotonic() - began <= 2.0:
        if len(scene.peers.requests) != seen:
            began, seen = time.monotonic(), len(scene.peers.requests)
        assert time.monotonic() < deadline, [str(one) for one in scene.peers.requests[-5:]]
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.parametrize("version", ["1.8"])
def test_the_same_names_in_two_namespaces(scene: Scene) -> None:
    """A TrafficRoute has no namespace, so one of the two gets another name."""
    other = Scene(scene.cluster)
    try:
        scene.start(everywhere=True)
        _ = scene.routes, other.routes
        for one in (scene, other):
            one.begin()
            one.begin(one.canary("second", target="second"))
        for one in (scene, other):
            one.release("v2")
            one.release("v2", "second")
        for one in (scene, other):
            one.await_phase("Succeeded")
            one.await_phase("Succeeded", "second")
            assert one.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
        names = set(scene.routes.latest)
        assert {"podinfo", f"podinfo-{other.namespace}"} <= names
    finally:
        other.close()
