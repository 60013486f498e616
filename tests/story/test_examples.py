"""The examples that no other story plays: each is applied, a version is released, and it ends as
its comment says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serinus.lab import world
from serinus.lab.demo import manifests
from story.callers import TESTER
from story.stage import Stage, received
from story.story_lab import story_lab

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(400)]

LAB, PLAYED = "story-examples", "story-played"
NEW = "6.0.1"
EXAMPLES = {
    "steps": "step-weights",
    "returning": "step-weight-promotion",
    "skipping": "skip-analysis",
    "measured": "custom-metric",
    "plain": "plain-kubernetes",
    "reverting": "revert-on-deletion",
    "alerted": "alerts",
}
TOLD = {
    "steps": [f"Advance podinfo.steps canary weight {weight}" for weight in (1, 5, 20, 60)],
    "returning": [f"Advance podinfo.returning primary weight {weight}" for weight in (50, 75, 100)],
    "skipping": ["Promotion completed! Canary analysis was skipped for podinfo.skipping"],
    "measured": [f"Advance podinfo.measured canary weight {weight}" for weight in (25, 50)],
    "plain": [f"Advance podinfo.plain canary iteration {number}/5" for number in range(1, 6)],
    "reverting": ["Promotion completed! Scaling down podinfo.reverting"],
    "alerted": ["Promotion completed! Scaling down podinfo.alerted"],
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with story_lab(LAB, "2.14") as lab:
        stage = Stage(lab, EXAMPLES)
        stage.prepare()
        yield stage


def promote(stage: Stage, namespace: str) -> None:
    stage.release(namespace, NEW)
    stage.until_phase(namespace, "Succeeded")


@pytest.mark.parametrize("namespace", EXAMPLES)
def test_a_version_is_promoted(stage: Stage, namespace: str) -> None:
    # Two at a time: the inotify instances that a user has are enough for some fifteen sidecars.
    following = list(EXAMPLES)[list(EXAMPLES).index(namespace) + 1 :][:1]
    for other in following:
        stage.release(other, NEW)
    promote(stage, namespace)
    for text in TOLD[namespace]:
        stage.lab.until(lambda text=text: text in stage.told(namespace), 20, text)
    primary = stage.lab.get(f"-n {namespace} deployment/podinfo-primary")
    image = primary["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"ghcr.io/stefanprodan/podinfo:{NEW}"


def test_without_a_mesh_there_is_no_route(stage: Stage) -> None:
    assert not stage.lab.get("-n plain meshhttproutes.kuma.io")["items"]


def test_a_custom_metric_ends_a_rollout(stage: Stage) -> None:
    namespace = "measured"
    promote(stage, namespace)
    stage.release(namespace, "6.0.2")
    stage.until(namespace, lambda status: status["canaryWeight"] > 0, "a weight")
    url = f"http://podinfo-canary.{namespace}:9898/status/404"
    stage.lab.sh(f"{TESTER} hey -z 12s -q 20 -c 2 {url}")
    stage.until_phase(namespace, "Failed")
    halt = f"Halt podinfo.{namespace} advancement not-found percentage"
    assert any(text.startswith(halt) for text in stage.told(namespace))


def test_slack_hears_of_everything_and_teams_only_of_trouble(stage: Stage) -> None:
    promote(stage, "alerted")
    end = ("/slack", "Canary analysis completed successfully, promotion finished.")
    stage.lab.until(lambda: end in received(stage, "alerted"), 20, "the last alert")
    told = received(stage, "alerted")
    assert ("/slack", "New revision detected, progressing canary analysis.") in told
    assert {path for path, _ in told} == {"/slack"}


def test_a_deleted_canary_gives_everything_back(stage: Stage) -> None:
    namespace, lab = "reverting", stage.lab
    promote(stage, namespace)
    lab.sh(f"kubectl -n {namespace} delete canary/podinfo --timeout=90s")
    assert lab.get(f"-n {namespace} deployment/podinfo")["status"]["readyReplicas"] == 1
    selector = lab.get(f"-n {namespace} service/podinfo")["spec"]["selector"]
    assert selector == {"app": "podinfo"}
    assert NEW in lab.sh(f"{TESTER} curl -sf http://podinfo.{namespace}:9898/version")
    gone = "deployments.apps/podinfo-primary services/podinfo-primary meshhttproutes.kuma.io"
    for what in gone.split():
        kind, _, name = what.partition("/")
        lab.until(
            lambda kind=kind, name=name: (
                not lab.sh(f"kubectl -n {namespace} get {kind} {name} --ignore-not-found -o name")
            ),
            30,
            f"{what} gone",
        )


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    serinus = Path(sys.executable).parent / "serinus"
    command = [str(serinus), "lab", "play", *arguments, "--name", PLAYED]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_one_command_plays_an_example() -> None:
    """It also starts the lab."""
    try:
        done = play("skip-analysis")
    finally:
        world.down(PLAYED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Promotion completed! Canary analysis was skipped for podinfo.test" in done.stdout
    assert done.stdout.splitlines()[-1] == "Succeeded"


def test_an_example_that_is_not_there() -> None:
    done = play("no-such")
    assert done.returncode == 1
    assert "there is no example no-such; there are ab-testing, alerts, " in done.stderr


@pytest.mark.parametrize(
    "file", sorted((manifests.root() / "examples").rglob("*.yaml")), ids=lambda file: file.stem
)
def test_every_example_is_in_the_readme(file: Path) -> None:
    folder = manifests.root() / "examples"
    assert f"({file.relative_to(folder)})" in (folder / "README.md").read_text()
