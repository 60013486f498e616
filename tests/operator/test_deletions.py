"""What a rollout depends on goes away, in the middle of it."""

import json
from typing import Any

import pytest

from executor.scene import Scene

BOTH = pytest.mark.parametrize("version", ["1.8", "2.14"])


def test_without_its_target_a_rollout_ends_in_failure(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    scene.release("v2")
    scene.await_weight(25)
    scene.within("delete", "deployment", "podinfo", "--wait=false")
    scene.await_phase("Failed")
    assert scene.weights()[-1] == (100, 0)
    scene.await_message(f"target podinfo.{scene.namespace} does not exist any more")
    scene.await_ready("False", "spec.targetRef.name")
    scene.apply(scene.target(tag="v3"))
    scene.await_phase("Succeeded")


@BOTH
def test_a_deleted_canary_takes_its_route_along(scene: Scene) -> None:
    scene.start()
    scene.begin()
    _ = scene.routes, scene.services
    scene.release("v2")
    scene.await_weight(25)
    scene.within("delete", "canary", "podinfo")
    scene.routes.until(lambda: not _ours(scene))
    scene.services.until(lambda: "podinfo-primary" not in scene.services.latest)
    assert scene.within("get", "deployment", "podinfo", "-o", "name") == "deployment.apps/podinfo\n"


@BOTH
def test_one_deleted_while_nobody_watched_takes_its_route_along(scene: Scene) -> None:
    operator = scene.start()
    scene.begin()
    scene.routes.until(lambda: _ours(scene))
    operator.stop()
    scene.within("delete", "canary", "podinfo")
    scene.start()
    scene.routes.until(lambda: not _ours(scene))


@pytest.mark.parametrize("version", ["1.8"])
def test_one_that_cannot_be_read_takes_its_route_along(scene: Scene) -> None:
    scene.start()
    scene.begin()
    scene.routes.until(lambda: _ours(scene))
    scene.patch("canary", "podinfo", {"spec": {"analysis": {"stepWeight": 2.5}}})
    scene.await_ready("False", "spec.analysis.stepWeight")
    scene.within("delete", "canary", "podinfo")
    scene.routes.until(lambda: not _ours(scene))


@pytest.mark.parametrize("version", ["1.8"])
def test_a_renamed_canary_takes_over(scene: Scene) -> None:
    scene.start()
    scene.begin()
    scene.within("delete", "canary", "podinfo")
    renamed = scene.canary("renamed")
    scene.apply(renamed)
    scene.await_phase("Initialized", "renamed")
    scene.release("v2")
    scene.await_phase("Succeeded", "renamed")
    scene.routes.until(lambda: len(_ours(scene)) == 1)
    assert scene.weights()[-1] == (100, 0)


@pytest.mark.parametrize("version", ["1.8"])
def test_a_deleted_namespace_goes_in_peace(scene: Scene) -> None:
    operator = scene.start()
    scene.begin()
    scene.release("v2")
    scene.await_weight(25)
    scene.kubectl("delete", "namespace", scene.namespace, "--timeout=60s")
    scene.routes.until(lambda: not _ours(scene))
    assert operator.get("/readyz")[0] == 200
    assert [line for line in operator.log() if line["level"] == "error"] == []


def _ours(scene: Scene) -> list[dict[str, Any]]:
    return [
        route
        for route in list(scene.routes.latest.values())
        if f"_{scene.namespace}_svc_" in json.dumps(route)
        or route["metadata"].get("namespace") == scene.namespace
    ]
