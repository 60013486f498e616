"""What Flagger left behind is taken over, and what is described anew is the same: no rollout."""

import contextlib
import json
import sqlite3

import pytest

from executor.flagger_remains import leave, set_status
from executor.scene import Scene


def _await_adopted(scene: Scene) -> None:
    scene.canaries.until(lambda: scene.status().get("lastAppliedSpec", "").startswith("v1:"))


def _await_scaled_down(scene: Scene) -> None:
    """The target has no pods, and the operator has noted which generation of it that is: else it
    could be anybody's edit."""

    def noted() -> bool:
        target = scene.deployments.latest["podinfo"]
        generation = target["metadata"]["generation"]
        return bool(
            target["spec"]["replicas"] == 0
            and scene.status().get("lastAppliedGeneration") == generation
        )

    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    scene.canaries.until(noted)


def _no_rollout(scene: Scene) -> None:
    told = scene.messages()
    assert not [one for one in told if "New revision" in one or "Restarting" in one], told


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded"])
def test_a_rested_canary_of_flaggers_stays_at_rest(scene: Scene, phase: str) -> None:
    _ = scene.events, scene.deployments
    leave(scene, phase, tag="v1", primary="v1")
    scene.start()
    _await_adopted(scene)
    assert scene.phases() == ["", phase]
    assert scene.images("podinfo-primary") == ["play:v1"]
    assert scene.deployments.latest["podinfo-primary"]["metadata"]["generation"] == 1
    _no_rollout(scene)

    scene.release("v2")
    scene.await_phase("Progressing")


def test_a_failed_canary_of_flaggers_is_not_tried_again(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    leave(scene, "Failed", tag="v2", primary="v1")
    scene.start()
    _await_adopted(scene)
    assert scene.phases() == ["", "Failed"]
    assert scene.image("podinfo-primary") == "play:v1"
    _no_rollout(scene)

    scene.release("v3")
    scene.await_phase("Progressing")


def test_a_target_that_truly_differs_is_rolled_out(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    leave(scene, "Succeeded", tag="v2", primary="v1")
    scene.start()
    scene.await_phase("Progressing")


def test_an_analysis_of_flaggers_is_finished(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    leave(scene, "Progressing", tag="v2", primary="v1", weight=25)
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
def test_another_form_of_hash_starts_nothing_at_rest(scene: Scene, end: str) -> None:
    """As after an upgrade of Serinus, or one of Kubernetes that adds a defaulted field: the hash
    is another and the generation is not."""
    _ = scene.events, scene.deployments
    operator = scene.start()
    scene.begin(scene.canary(threshold=1))
    scene.peers.success = 100.0 if end == "Succeeded" else 0.0
    scene.release("v2")
    scene.await_phase(end)
    _await_scaled_down(scene)
    operator.stop()

    before = scene.phases(), scene.images("podinfo-primary"), scene.messages()
    ours = scene.status()["lastAppliedSpec"]
    set_status(scene, {"lastAppliedSpec": "v0:another"})
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == "v0:another")
    scene.start()
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == ours)
    assert (scene.phases(), scene.images("podinfo-primary"), scene.messages()) == before


def test_another_form_of_hash_does_not_restart_an_analysis(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    operator = scene.start()
    scene.hold()
    operator.stop()
    set_status(scene, {"lastAppliedSpec": "v0:another"})
    scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] == "v0:another")
    scene.peers.success = 100.0
    scene.start()
    scene.await_phase("Succeeded")
    told = scene.messages()
    assert told[f"New revision detected! Scaling up podinfo.{scene.namespace}"] == 1
    assert not [one for one in told if "Restarting" in one]
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]


def _upgrade_kubernetes(scene: Scene) -> None:
    """The API server is stopped, and the next release knows one more default of pod templates.

    As in a real upgrade, neither the generation nor the version of any object moves by it.
    """
    cluster = scene.cluster
    cluster.kill_server()
    (path,) = cluster.root.glob("**/*.db")
    of_ours = "plural = 'deployments' and namespace = ?"
    with contextlib.closing(sqlite3.connect(path)) as stored, stored:
        rows = stored.execute(
            f"select name, raw from objects where {of_ours}", (scene.namespace,)
        ).fetchall()
        assert {name for name, _ in rows} == {"podinfo", "podinfo-primary"}
        for name, raw in rows:
            made = json.loads(raw)
            made["spec"]["template"]["spec"]["enableServiceLinks"] = True
            stored.execute(
                f"update objects set raw = ? where {of_ours} and name = ?",
                (json.dumps(made).encode(), scene.namespace, name),
            )
    cluster.start_server()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Progressing"])
def test_an_upgrade_of_kubernetes_starts_nothing(scene: Scene, phase: str) -> None:
    _ = scene.events, scene.deployments
    scene.start()
    if phase == "Progressing":
        scene.hold()
    else:
        scene.begin(scene.canary(threshold=1))
        scene.peers.success = 100.0 if phase == "Succeeded" else 0.0
        scene.release("v2")
        scene.await_phase(phase)
        _await_scaled_down(scene)
    known = scene.status()["lastAppliedSpec"]
    phases, primary = scene.phases(), scene.images("podinfo-primary")

    _upgrade_kubernetes(scene)
    for name in ("podinfo", "podinfo-primary"):
        # Any write shows the template as the new server has it. (An annotation would be a new
        # generation of a Deployment, a label is none.)
        scene.canaries.until(
            lambda name=name: scene.within(
                "label", "deployment", name, "seen=anew", "--overwrite", check=False
            ).endswith("labeled\n")
        )
    if phase == "Progressing":
        scene.peers.success = 100.0
        scene.await_phase("Succeeded")
        primary = ["play:v1", "play:v2"]
    else:
        scene.canaries.until(lambda: scene.status()["lastAppliedSpec"] != known)
        assert scene.phases() == phases
    assert scene.images("podinfo-primary") == primary
    told = scene.messages()
    assert told[f"New revision detected! Scaling up podinfo.{scene.namespace}"] == 1
    assert not [one for one in told if "Restarting" in one]
