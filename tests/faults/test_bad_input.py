"""What people and older releases leave in a cluster ends in a clear state, and disturbs nobody."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from executor.scene import Scene
from faults.invariants import expected_splits

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
CRD = "canaries.flagger.app"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"


@pytest.fixture
def schema(scene: Scene) -> Iterator[Any]:
    """Sets what a Canary's spec may hold; the strict schema comes back afterwards."""
    crd = json.loads(scene.kubectl("get", "crd", CRD, "-o", "json"))
    strict = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def replace(wanted: Object) -> None:
        patch = json.dumps([{"op": "replace", "path": SCHEMA, "value": wanted}])
        scene.kubectl("patch", "crd", CRD, "--type=json", "-p", patch)

    yield lambda loose: replace(
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True} if loose else strict
    )
    replace(strict)
    scene.within("delete", "canaries", "--all", "--wait=false")


def test_stored_forms_of_another_schema_are_told_and_stop_nobody(scene: Scene, schema: Any) -> None:
    _ = scene.events, scene.canaries, scene.routes
    schema(True)
    stored = {
        "backwards": ("interval", "-5s"),
        "wordy": ("stepWeight", "some"),
        "listed": ("metrics", {"not": "a list"}),
    }
    for name, (field, value) in stored.items():
        canary = scene.canary(name, target=name)
        canary["spec"]["analysis"][field] = value
        # The API server goes by a new schema a moment after it was accepted.
        scene.cluster.plane.until(
            lambda canary=canary: (
                "created"
                in scene.within("create", "-f", "-", stdin=json.dumps(canary), check=False)
            )
        )
    schema(False)
    operator = scene.start()
    scene.begin()
    for name, (field, _value) in stored.items():
        scene.await_message(f"spec.analysis.{field}", name)
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_a_canary_of_a_mebibyte_is_rolled_out(scene: Scene) -> None:
    operator = scene.start()
    _ = scene.routes
    hook = {
        "name": "gate",
        "type": "pre-rollout",
        "url": f"{scene.peers.http}/hook",
        "metadata": {f"note-{number}": "x" * 1000 for number in range(1010)},
    }
    canary = scene.canary(webhooks=[hook])
    assert len(json.dumps(canary)) > 1_000_000
    scene.apply(scene.target(), *scene.mesh_services())
    # `kubectl apply` would put a copy into an annotation, which may be 256 KiB long.
    scene.within("create", "-f", "-", stdin=json.dumps(canary))
    scene.await_phase("Initialized")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert len(scene.peers.hooks[0]["metadata"]) == 1010
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_a_namespace_deleted_in_mid_rollout_stops_nobody(scene: Scene) -> None:
    other = Scene(scene.cluster)
    try:
        operator = scene.start(everywhere=True)
        _ = scene.routes, other.routes
        other.begin(other.canary(threshold=10_000))
        scene.begin()
        other.release("v2")
        other.await_weight(25)
        scene.release("v2")
        scene.kubectl("delete", "namespace", other.namespace, "--timeout=60s")
        scene.await_phase("Succeeded")
        assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
        assert other.canaries.latest == {} and other.routes.latest == {}
        assert [line for line in operator.log() if line["level"] == "error"] == []
        before = len(scene.peers.requests)
        scene.release("v3")
        scene.canaries.until(lambda: scene.phases().count("Succeeded") == 2, "another rollout")
        late = [seen for seen in scene.peers.requests[before:] if other.namespace in seen.path]
        assert [seen for seen in late if seen.writes] == []
    finally:
        other.close()


def test_a_target_deleted_in_mid_rollout_ends_in_failure(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.routes.until(lambda: scene.weights()[-1:] == [(75, 25)])
    scene.within("delete", "deployment", "podinfo")
    scene.await_phase("Failed")
    assert scene.weights()[-1] == (100, 0)
    scene.await_message("does not exist")
    scene.await_ready("False", "spec.targetRef.name", "does not exist")
    scene.apply(scene.target(tag="v3"))
    scene.canaries.until(lambda: scene.phase() == "Succeeded", "the new target's rollout", 40)


def test_of_two_canaries_with_one_target_the_newer_names_the_older(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    scene.apply(scene.canary("another", target="podinfo"))
    scene.await_ready("False", "spec.targetRef.name", 'canary "podinfo"', name="another")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert scene.phase("another") == ""


def test_a_canary_under_a_new_name_takes_over(scene: Scene) -> None:
    """Renaming is deleting and creating; here in the worse order."""
    scene.start()
    _ = scene.routes
    scene.begin()
    scene.apply(scene.canary("renamed"))
    scene.await_ready("False", 'canary "podinfo"', name="renamed")
    scene.within("delete", "canary", "podinfo")
    scene.await_phase("Initialized", "renamed")
    scene.await_ready("True", name="renamed")
    scene.release("v2")
    scene.await_phase("Succeeded", "renamed")
    assert scene.weights()[-1] == (100, 0)
    assert list(scene.routes.latest) == ["podinfo"]
