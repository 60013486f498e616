"""The commands about canaries, as real processes against the lab's API server."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from executor.scene import Scene
from serinus.cli.get import _print_table

PROGRAMS = Path(sys.executable).parent
NOW = datetime.now(UTC).replace(microsecond=0)


def run(
    scene: Scene, *words: str, program: str = "serinus", within: bool = True
) -> subprocess.CompletedProcess[str]:
    where = ["-n", scene.namespace] if within else []
    return subprocess.run(
        [PROGRAMS / program, *words, *where, "--kubeconfig", kubeconfig(scene)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "COLUMNS": "200"},
    )


def kubeconfig(scene: Scene) -> Path:
    """A person's, with a context that the lab's own does not have."""
    file: Path = scene.cluster.root / "person.kubeconfig"
    context = {"cluster": "c", "user": "jo", "namespace": "default"}
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "play",
                "contexts": [{"name": "play", "context": context}],
                "clusters": [
                    {
                        "name": "c",
                        "cluster": {
                            "server": scene.cluster.address,
                            "insecure-skip-tls-verify": True,
                        },
                    }
                ],
                "users": [{"name": "jo", "user": {"token": scene.cluster.token}}],
            }
        )
    )
    return file


def condition(kind: str, value: str, reason: str, message: str = "Said.") -> dict[str, str]:
    at = (NOW - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    times = {"lastUpdateTime": at, "lastTransitionTime": at}
    return {"type": kind, "status": value, "reason": reason, "message": message, **times}


def write_status(scene: Scene, name: str = "podinfo", **status: Any) -> None:
    patch = json.dumps({"status": status})
    scene.within("patch", "canary", name, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture
def waiting(scene: Scene) -> Scene:
    """A canary at 25 percent, whose traffic gate is closed since 5 minutes; nobody operates."""
    scene.apply(scene.canary())
    write_status(
        scene,
        phase="Progressing",
        canaryWeight=25,
        failedChecks=1,
        iterations=0,
        lastAppliedSpec="abc",
        conditions=[
            condition("Promoted", "Unknown", "Progressing"),
            condition("Stalled", "True", "WaitingForTrafficIncreaseApproval", "Ask gate."),
        ],
    )
    return scene


def tell(scene: Scene, message: str, at: datetime, number: int) -> None:
    stamp = at.isoformat().replace("+00:00", "Z")
    scene.within(
        *("create", "-f", "-"),
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"podinfo.{number}", "namespace": scene.namespace},
                "involvedObject": {
                    "apiVersion": "flagger.app/v1beta1",
                    "kind": "Canary",
                    "namespace": scene.namespace,
                    "name": "podinfo",
                },
                "type": "Normal",
                "reason": "Synced",
                "message": message,
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": 1,
            }
        ),
    )


def test_get_lists_what_each_waits_for(waiting: Scene) -> None:
    done = run(waiting, "get")
    header, row = done.stdout.splitlines()
    assert header.split() == (
        ["NAME", "STATUS", "WEIGHT", "STRATEGY", "STEP", "FAILED", "WAITING-FOR", "SINCE", "AGE"]
    )
    gate = "WaitingForTrafficIncreaseApproval"
    assert row.split()[:7] == ["podinfo", "Progressing", "25", "canary", "25/50", "1/2", gate]
    assert row.split()[7].endswith("m")


def test_get_of_everywhere_wide_and_as_data(waiting: Scene) -> None:
    everywhere = run(waiting, "get", "-A", within=False).stdout
    assert any(
        line.split()[:2] == [waiting.namespace, "podinfo"] for line in everywhere.split("\n")
    )
    assert "Ask gate." in run(waiting, "get", "-o", "wide").stdout
    found = json.loads(run(waiting, "get", "canary/podinfo", "-o", "json").stdout)
    assert found["status"]["canaryWeight"] == 25
    listed = yaml.safe_load(run(waiting, "get", "-o", "yaml").stdout)
    assert [one["metadata"]["name"] for one in listed["items"]] == ["podinfo"]


def test_explain_of_a_closed_gate(waiting: Scene) -> None:
    done = run(waiting, "explain", "canary", "podinfo", program="kubectl-serinus")
    assert done.returncode == 0, done.stderr
    assert "waits for a confirm-traffic-increase hook" in done.stdout
    assert "request-success-rate over 1m is below 99 %" in done.stdout
    assert "2 failed checks; 1 so far" in done.stdout
    assert f"serinus pause -n {waiting.namespace} canary/podinfo" in done.stdout


def test_status_shows_the_moment(waiting: Scene) -> None:
    shown = run(waiting, "status", "podinfo").stdout
    assert "canary 25 %, primary 75 %" in shown
    assert "1 of 2 checks" in shown
    assert "Ask gate." in shown


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1)])
def test_status_waits_until_a_rollout_is_done(waiting: Scene, phase: str, code: int) -> None:
    words = ["status", "podinfo", "--until-done", "-n", waiting.namespace]
    with subprocess.Popen(
        [PROGRAMS / "serinus", *words, "--kubeconfig", kubeconfig(waiting)],
        stdout=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdout is not None
        assert "Progressing" in follower.stdout.readline()
        write_status(waiting, phase=phase, canaryWeight=0)
        rest, _ = follower.communicate(timeout=60)
    assert follower.returncode == code
    assert f"podinfo.{waiting.namespace}  {phase}" in rest


def test_history_by_events(waiting: Scene) -> None:
    space = waiting.namespace
    said = (
        f"New revision detected! Scaling up podinfo.{space}",
        f"Promotion completed! Scaling down podinfo.{space}",
        f"New revision detected! Scaling up podinfo.{space}",
        f"Rolling back podinfo.{space} failed checks threshold reached 2",
        f"Canary failed! Scaling down podinfo.{space}",
    )
    for number, message in enumerate(said):
        tell(waiting, message, NOW - timedelta(minutes=9 - number), number)
    write_status(waiting, phase="Failed", lastAppliedSpec="bad")
    first, second = json.loads(run(waiting, "history", "podinfo", "-o", "json").stdout)
    assert (first["how"], second["how"], second["revision"]) == ("Succeeded", "Failed", "bad")
    assert "threshold reached 2" in second["reason"]
    assert run(waiting, "history", "podinfo").stdout.splitlines()[0].split() == (
        ["REVISION", "BEGAN", "ENDED", "HOW", "REASON"]
    )


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["explain", "canary", "nobody"], 1, "no canary nobody in namespace"),
        (["pause", "nobody"], 1, "no canary nobody in namespace"),
        (["pause", "deployment/podinfo"], 2, "write canary/NAME or NAME"),
        (["pause", "podinfo", "--timeout", "soon"], 2, "--timeout"),
        (["get", "-o", "xml"], 2, "write one of json, yaml, wide"),
        (["get", "podinfo", "-A"], 2, "leave out -A"),
        (["get", "--context", "other"], 1, "cannot be used"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done(waiting: Scene, words: list[str], status: int, text: str) -> None:
    done = run(waiting, *words)
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_request_that_nobody_answers_says_so(waiting: Scene) -> None:
    done = run(waiting, "pause", "podinfo", "--timeout", "200ms")
    assert done.returncode == 1
    assert "is the operator running?" in done.stderr
    written = json.loads(waiting.within("get", "canary", "podinfo", "-o", "json"))
    assert written["metadata"]["annotations"]["serinus.dev/pause"].startswith("jo at 20")


def test_a_request_without_waiting(waiting: Scene) -> None:
    done = run(waiting, "promote", "podinfo", "--force", "--no-wait")
    assert done.returncode == 0
    written = json.loads(waiting.within("get", "canary", "podinfo", "-o", "json"))
    assert written["metadata"]["annotations"]["serinus.dev/promote"].endswith(" --force")


def test_an_operator_answers_each_verb(scene: Scene) -> None:
    scene.start()
    scene.hold()
    declined = run(scene, "retry", "podinfo")
    assert declined.returncode == 1
    assert "Declined: only a revision that failed can be tried again" in declined.stdout
    assert run(scene, "pause", "canary/podinfo").stdout == "pause canary/podinfo: Accepted\n"
    assert "It is paused" in run(scene, "explain", "canary/podinfo").stdout
    assert run(scene, "resume", "podinfo").returncode == 0
    assert run(scene, "abort", "podinfo").returncode == 0
    scene.await_phase("Failed")
    scene.await_message("Canary failed!")
    assert json.loads(run(scene, "history", "podinfo", "-o", "json").stdout)[-1]["how"] == "Aborted"
    assert run(scene, "retry", "podinfo").returncode == 0
    scene.await_phase("Progressing")
    scene.await_weight(25)
    assert run(scene, "promote", "podinfo").returncode == 0
    assert run(scene, "status", "podinfo", "--until-done").returncode == 0
    scene.await_phase("Succeeded")


def test_a_canary_that_cannot_be_read_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"metadata": {"name": "broken", "namespace": "test"}, "spec": {"analysis": 1}}
    _print_table([json.dumps(broken).encode()], everywhere=False, wide=True)
    _, row = capsys.readouterr().out.splitlines()
    assert row.split()[:2] == ["broken", "Malformed"]
    assert "spec" in row
