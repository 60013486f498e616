"""A target that changes while a rollout is under way: nothing unjudged becomes the primary."""

from executor.peers import Cut
from executor.scene import Scene


def test_another_revision_begins_the_analysis_anew(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events, scene.deployments
    scene.hold()
    scene.release("v3")
    scene.await_message(f"New revision detected! Restarting analysis for podinfo.{scene.namespace}")
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    assert scene.images("podinfo-primary") == ["play:v1", "play:v3"]
    assert scene.weights() == [(100, 0), (75, 25), (100, 0), (75, 25), (50, 50), (100, 0)]


def test_back_to_the_promoted_revision_starts_nothing(scene: Scene) -> None:
    scene.start()
    _ = scene.events
    scene.begin(scene.canary(threshold=1))
    scene.peers.success = 0.0
    scene.release("v2")
    scene.await_phase("Failed")
    failed = scene.status()["lastAppliedSpec"]
    scene.release("v1")
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] != failed)
    assert scene.phases()[-3:] == ["Initialized", "Progressing", "Failed"]
    scene.peers.success = 100.0
    scene.release("v3")
    scene.await_phase("Succeeded")
    assert scene.image("podinfo-primary") == "play:v3"


def _stop_at(scene: Scene, words: bytes) -> None:
    """Have v2 pass its analysis, and the operator end right after a write with these words."""
    operator = scene.start()
    _ = scene.routes, scene.deployments
    scene.begin()
    scene.peers.cut = Cut(1, False, operator.kill, words)
    scene.release("v2")
    operator.wait()


PROMOTING = b'"phase":"Promoting"'
COPIED = b'"value":{"metadata":{"labels":{"app":"podinfo-primary"}'


def test_a_change_before_the_copy_is_judged_first(scene: Scene) -> None:
    _stop_at(scene, PROMOTING)
    scene.await_phase("Promoting")
    scene.release("v3")
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.images("podinfo-primary") == ["play:v1", "play:v3"]
    assert scene.weights()[-4:] == [(100, 0), (75, 25), (50, 50), (100, 0)]


def test_a_change_after_the_copy_waits_for_its_turn(scene: Scene) -> None:
    _stop_at(scene, COPIED)
    scene.release("v3")
    scene.start()
    scene.canaries.until(lambda: scene.phases().count("Succeeded") == 2)
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2", "play:v3"]


def test_a_primary_deleted_while_promoting_comes_back(scene: Scene) -> None:
    _stop_at(scene, PROMOTING)
    scene.within("delete", "deployment", "podinfo-primary")
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.image("podinfo-primary") == "play:v2"


def test_a_target_deleted_while_promoting_goes_back(scene: Scene) -> None:
    _stop_at(scene, PROMOTING)
    scene.within("delete", "deployment", "podinfo")
    scene.start()
    scene.await_phase("Failed")
    assert scene.image("podinfo-primary") == "play:v1"
    scene.routes.until(lambda: scene.weights()[-1] == (100, 0))


def test_a_target_deleted_while_finalising_is_no_failure(scene: Scene) -> None:
    _stop_at(scene, b'"phase":"Finalising"')
    scene.within("delete", "deployment", "podinfo")
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.image("podinfo-primary") == "play:v2"
    assert scene.weights()[-1] == (100, 0)
