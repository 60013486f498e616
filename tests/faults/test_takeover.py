"""On the real control plane: Flagger's canaries are taken over, and no rollout starts."""

import pytest

from executor.flagger_remains import leave
from executor.scene import Scene

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize(
    ("phase", "tag"), [("Initialized", "v1"), ("Succeeded", "v1"), ("Failed", "v2")]
)
def test_flaggers_rested_canaries_stay_at_rest(scene: Scene, phase: str, tag: str) -> None:
    _ = scene.events, scene.deployments
    leave(scene, phase, tag=tag, primary="v1")
    scene.start()
    scene.canaries.until(lambda: scene.status().get("lastAppliedSpec", "").startswith("v1:"))
    assert scene.phases() == ["", phase]
    assert scene.deployments.latest["podinfo-primary"]["metadata"]["generation"] == 1
    assert not [one for one in scene.messages() if "New revision" in one or "Restarting" in one]

    scene.release("v3")
    scene.await_phase("Progressing")


def test_an_analysis_of_flaggers_is_finished(scene: Scene) -> None:
    _ = scene.events, scene.deployments
    leave(scene, "Progressing", tag="v2", primary="v1", weight=25)
    scene.start()
    scene.await_phase("Succeeded")
    assert scene.images("podinfo-primary") == ["play:v1", "play:v2"]
