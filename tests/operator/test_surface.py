"""What an administrator sees of the operator, and what it costs the API server."""

import json
import re
import time
from collections import Counter

import pytest

from executor.process import Operator
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
    of = f'name="podinfo",namespace="{scene.namespace}"'
    at = f'namespace="{scene.namespace}"'
    kinds = 'analysis_status="completed",deployment_strategy="canary",'
    lines = {
        f"flagger_canary_status{{{of}}} 2.0",
        f"flagger_canary_total{{{at}}} 1.0",
        f'flagger_canary_weight{{{at},workload="podinfo-primary"}} 100.0',
        f'flagger_canary_weight{{{at},workload="podinfo"}} 0.0',
        f'flagger_canary_metric_analysis{{metric="request-success-rate",{of}}} 0.0',
        f"flagger_canary_successes_total{{{kinds}{of}}} 1.0",
        f"flagger_canary_failures_total{{{kinds}{of}}} 1.0",
    }
    # An end is counted after it was saved.
    deadline = time.monotonic() + 60
    while missing := lines - set(_sorted_labels(text := _metrics(operator)).splitlines()):
        assert time.monotonic() < deadline, missing
    assert set(re.findall(r"^(\w+)", text, re.MULTILINE)) >= NAMES
    scene.within("delete", "canary", "shop")
    deadline = time.monotonic() + 60
    while scene.namespace in (left := _metrics(operator)):
        assert time.monotonic() < deadline, left
    for line in operator.log():
        assert {"level", "ts", "msg"} <= set(line)
    assert f"shop.{scene.namespace}" in {line.get("canary") for line in operator.log()}


def _metrics(operator: Operator) -> str:
    status, text = operator.get("/metrics")
    assert status == 200
    return text


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
    _await_quiet(scene)
    assert [str(request) for request in scene.peers.requests[seen:] if request.watches] == []
    scene.release("v2")
    scene.await_weight(3)
    begin = len(scene.peers.requests)
    scene.await_weight(13)
    made = [request for request in scene.peers.requests[begin:] if not request.watches]
    steps = Counter(f"{request.method} {request.path.rsplit('/', 1)[-1]}" for request in made)
    assert set(steps) == {"PUT status", "PATCH podinfo", "POST events"}
    saved = [json.loads(request.body) for request in made if request.path.endswith("/status")]
    weights = [canary["status"]["canaryWeight"] for canary in saved]
    assert weights == sorted(set(weights)), "each step is saved once"
    # Events are written a little later, by others.
    spread = max(steps.values()) - min(steps.values())
    assert spread <= 2, f"one of each for a step: {steps}"


def _await_quiet(scene: Scene) -> None:
    """Until there has been no request for six of the canary's intervals."""
    deadline = time.monotonic() + 60
    since, seen = time.monotonic(), len(scene.peers.requests)
    while time.monotonic() - since < 6 * 0.3:
        assert time.monotonic() < deadline, [str(one) for one in scene.peers.requests[-5:]]
        if len(scene.peers.requests) != seen:
            since, seen = time.monotonic(), len(scene.peers.requests)
        time.sleep(0.05)


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
