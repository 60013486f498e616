"""A Canary that cannot be obeyed is told so by field, and holds up nobody else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from executor.scene import Scene

Object = dict[str, Any]


def _analysis(**fields: Any) -> Callable[[Object], None]:
    return lambda canary: canary["spec"]["analysis"].update(fields)


def _spec(**fields: Any) -> Callable[[Object], None]:
    return lambda canary: canary["spec"].update(fields)


INVALID: list[tuple[str, Callable[[Object], None], str]] = [
    ("heavy", _analysis(maxWeight=120), "spec.analysis.maxWeight"),
    ("astray", lambda canary: canary["spec"]["targetRef"].update(name="none"), "targetRef.name"),
    ("foreign", _spec(provider="istio"), "spec.provider"),
    ("unheard", _analysis(interval="5seconds"), "spec.analysis.interval"),
    ("hosted", lambda canary: canary["spec"]["service"].update(hosts=["a"]), "spec.service.hosts"),
    ("fractional", _analysis(stepWeight=2.5), "spec.analysis.stepWeight"),
]


def test_each_is_told_its_field_and_the_good_one_goes_on(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events, scene.canaries
    for name, change, _path in INVALID:
        canary = scene.canary(name, target=name)
        change(canary)
        scene.apply(scene.target(name), *scene.mesh_services(name), canary)
    scene.begin()
    scene.release("v2")
    for name, _change, path in INVALID:
        scene.await_ready("False", path, name=name)
        scene.await_message(path, name)
        assert [event for event in scene.messages(name) if "Refusing to roll out" in event]
    scene.await_phase("Succeeded")
    for name, _change, _path in INVALID:
        scene.apply(scene.canary(name, target=name))
    for name, _change, _path in INVALID:
        scene.await_ready("True", name=name)
        scene.await_phase("Initialized", name)


STORED: list[tuple[str, Callable[[Object], None], str]] = [
    ("backwards", _analysis(interval="-5s"), "spec.analysis.interval"),
    ("wordy", _analysis(stepWeight="some"), "spec.analysis.stepWeight"),
    ("listed", _spec(service=["http"]), "spec.service"),
    ("nobodys", lambda canary: canary["spec"].pop("targetRef"), "spec.targetRef"),
]


@pytest.fixture
def loose_schema(scene: Scene) -> Iterator[None]:
    """Canaries may hold anything, as in a cluster with the CRD of another release."""
    name, path = "canaries.flagger.app", "/spec/versions/0/schema/openAPIV3Schema/properties/spec"
    crd = json.loads(scene.kubectl("get", "crd", name, "-o", "json"))
    strict = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def replace(schema: Object) -> None:
        patch = json.dumps([{"op": "replace", "path": path, "value": schema}])
        scene.kubectl("patch", "crd", name, "--type=json", "-p", patch)

    replace({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    yield
    scene.within("delete", "canaries", "--all")
    replace(strict)


@pytest.mark.usefixtures("loose_schema")
def test_what_another_schema_let_in_is_told_too(scene: Scene) -> None:
    _ = scene.events
    for name, change, _path in STORED:
        canary = scene.canary(name, target=name)
        change(canary)
        scene.apply(canary)
    scene.start()
    for name, _change, path in STORED:
        scene.await_ready("False", path, name=name)
        scene.await_message(path, name)
    scene.begin()


def test_what_is_broken_again_is_told_again(scene: Scene) -> None:
    scene.start()
    scene.begin()
    for _ in range(2):
        scene.within("patch", "canary", "podinfo", "--type=merge", "-p",
                     '{"spec":{"analysis":{"stepWeight":2.5}}}')  # fmt: skip
        scene.await_ready("False", "spec.analysis.stepWeight")
        assert scene.condition("Promoted")["status"] == "True", "what was known stays known"
        scene.within("patch", "canary", "podinfo", "--type=merge", "-p",
                     '{"spec":{"analysis":{"stepWeight":25}}}')  # fmt: skip
        scene.await_ready("True")

    def refusals() -> int:
        told = scene.messages().items()
        return sum(count for message, count in told if "Refusing to roll out" in message)

    scene.events.until(lambda: refusals() == 2)


def test_a_target_that_comes_later_is_taken_up(scene: Scene) -> None:
    scene.start()
    scene.apply(scene.canary(), *scene.mesh_services())
    scene.await_ready("False", "spec.targetRef.name")
    scene.apply(scene.target())
    scene.await_phase("Initialized")
    scene.await_ready("True")


@pytest.mark.parametrize("version", ["1.8"])
def test_set_aside_and_taken_up_again(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    scene.release("v2")
    scene.await_weight(25)
    scene.within("patch", "canary", "podinfo", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    scene.await_ready("False", "spec.suspend")
    scene.await_message("set it to false to go on")
    before, asked = scene.status(), len(scene.peers.writes())
    # Another canary's whole rollout is time enough for this one to move, if it did.
    other = scene.canary("other", target="other")
    scene.begin(other)
    scene.release("v2", "other")
    scene.await_phase("Succeeded", "other")
    assert scene.status() == before
    assert not [one for one in scene.peers.writes()[asked:] if one.path.endswith("/podinfo/status")]
    scene.within("patch", "canary", "podinfo", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
