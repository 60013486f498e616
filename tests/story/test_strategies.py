"""What the matrix of `tests/kuma` does not play, in the lab: blue/green, with callers whose every
answer is looked at, and a rollout that people lead by gates and hear of by alerts."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from story.callers import TESTER, Caller, course, table
from story.stage import Stage, received
from story.story_lab import story_lab

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(400)]

OLD, NEW = "6.0.0", "6.0.1"
EXAMPLES = {"green": "blue-green", "gated": "gated"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with story_lab("story-strategies", "2.14") as lab:
        stage = Stage(lab, EXAMPLES)
        stage.prepare()
        yield stage


def say(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"{text}\n")


def test_blue_green(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The callers see the old version, then the new one's pods, then the new primary."""
    callers = [Caller(stage.lab, "green", f"caller-{number}") for number in (1, 2)]
    try:
        stage.release("green", NEW)
        stage.until_phase("green", "Succeeded")
    finally:
        for caller in callers:
            caller.stop()
    seen = {caller.name: caller.answers() for caller in callers}
    say(table("Blue/green", seen), capsys)
    for answers in seen.values():
        # A request that failed would be a stretch of its own.
        assert course(answers) == [f"primary {OLD}", f"canary {NEW}", f"primary {NEW}"]
    told = stage.told("green")
    for iteration in range(1, 6):
        assert f"Advance podinfo.green canary iteration {iteration}/5" in told
    assert "Routing all traffic to canary" in told


def test_gates_and_alerts(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A person opens one gate after the other; each wait is told once, in Slack and Teams too."""
    namespace = "gated"
    stage.release(namespace, NEW)
    for gate, reason, message in (
        ("rollout", "WaitingForRolloutApproval", "waiting for approval may-begin"),
        (
            "traffic",
            "WaitingForTrafficIncreaseApproval",
            "waiting for traffic increase approval may-go-on",
        ),
        (
            "promotion",
            "WaitingForPromotionApproval",
            "waiting for promotion approval may-be-promoted",
        ),
    ):
        stage.until(namespace, lambda status, why=reason: stalled(status) == why, reason)
        refused = refusals(stage, gate)
        stage.lab.until(
            lambda gate=gate, so_far=refused: refusals(stage, gate) >= so_far + 2, 30, "asked again"
        )
        text = f"Halt podinfo.gated advancement {message}"
        assert stage.told(namespace).count(text) == 1
        if gate == "promotion":
            status = stage.status(namespace)
            assert (status["phase"], status["canaryWeight"]) == ("WaitingPromotion", 50)
        set_gate(stage, "gate/open", gate)
    stage.until_phase(namespace, "Succeeded")

    stage.release(namespace, "6.0.2")
    stage.until(namespace, lambda status: status.get("canaryWeight") == 25, "weight 25")
    set_gate(stage, "rollback/open", "")
    stage.until_phase(namespace, "Failed")
    assert "Rolling back podinfo.gated manual webhook invoked" in stage.told(namespace)

    stage.lab.until(
        lambda: any("manual" in text for _, text in received(stage, "gated")), 20, "the alert"
    )
    told = received(stage, "gated")
    say("\n".join(["\nAlerts", *(f"  {path:<18} {text}" for path, text in told)]), capsys)
    waits = [
        "Canary is waiting for approval.",
        "Canary traffic increase is waiting for approval.",
        "Canary promotion is waiting for approval.",
    ]
    ends = "Rolling back manual webhook invoked"
    slack = [text for path, text in told if path == "/slack"]
    for text in (
        "New revision detected, progressing canary analysis.",
        *waits,
        "Canary analysis completed successfully, promotion finished.",
        ends,
    ):
        assert text in slack
    teams = [text for path, text in told if path == "/workflows/teams"]
    assert teams == [*waits, ends], "Teams hears of warnings and errors only, each once"


def stalled(status: dict[str, Any]) -> str:
    """Why the canary waits for somebody."""
    conditions = status.get("conditions") or []
    return next((c["reason"] for c in conditions if c["type"] == "Stalled"), "")


def refusals(stage: Stage, gate: str) -> int:
    """How often the load tester has found the gate closed."""
    logs = stage.lab.sh("kubectl -n test logs deployment/flagger-loadtester -c loadtester")
    lines = (line for line in logs.splitlines() if "approved false" in line)
    return sum(f'"{gate}"' in line for line in lines)


def set_gate(stage: Stage, path: str, gate: str) -> None:
    """As the example's comment says."""
    body: dict[str, Any] = {"name": "podinfo", "namespace": "gated"}
    if gate:
        body["metadata"] = {"gate": gate}
    stage.lab.sh(f"{TESTER} curl -sf -d '{json.dumps(body)}' http://localhost:8080/{path}")
