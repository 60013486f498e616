"""Two canaries that name one target: the one that has it goes on, the other is told by name."""

import json
from typing import Any

from executor.scene import Scene


def _uid_of_owner(scene: Scene) -> str:
    found: dict[str, Any] = json.loads(scene.within("get", "deploy", "podinfo-primary", "-o=json"))
    return str(found["metadata"]["ownerReferences"][0]["uid"])


def _uid(scene: Scene, name: str) -> str:
    return str(scene.canaries.latest[name]["metadata"]["uid"])


def test_the_newer_of_two_canaries_is_refused_with_the_name_of_the_older(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    # First in the alphabet, and made within the same second perhaps.
    scene.apply(scene.canary("another", target="podinfo"))
    scene.await_ready("False", "spec.targetRef.name", '"podinfo"', '"podinfo"', name="another")
    scene.await_message('spec.targetRef.name: canary "podinfo" rolls out Deployment', "another")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    assert scene.phases("another") in ([], [""])
    assert scene.condition("Ready")["status"] == "True"


def test_of_two_that_come_together_one_begins_and_the_other_follows_it(scene: Scene) -> None:
    scene.apply(scene.target(), *scene.mesh_services())
    scene.apply(scene.canary("second"), scene.canary("first"))
    scene.start()
    _ = scene.canaries
    scene.canaries.until(lambda: "Initialized" in (scene.phase("first"), scene.phase("second")))
    begun = "first" if scene.phase("first") == "Initialized" else "second"
    other = "second" if begun == "first" else "first"
    scene.await_ready("False", f'canary "{begun}"', name=other)
    assert _uid_of_owner(scene) == _uid(scene, begun)
    scene.within("delete", "canary", begun)
    scene.await_phase("Initialized", other)
    scene.await_ready("True", name=other)


def test_one_that_is_turned_to_anothers_target_does_not_take_it_over(scene: Scene) -> None:
    scene.start()
    _ = scene.routes
    scene.begin(scene.canary("older", target="elsewhere"))
    scene.begin()
    turned = {"spec": {"targetRef": {"name": "podinfo"}}}
    scene.patch("canary", "older", turned)
    scene.await_ready("False", 'canary "podinfo"', name="older")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert _uid_of_owner(scene) == _uid(scene, "podinfo")
