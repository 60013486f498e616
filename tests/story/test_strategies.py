"""Each strategy in the lab, with callers whose every answer is looked at: none fails by the
change, and nobody sees a side that is not for them."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from story.callers import TESTER, Answer, Caller, course, read_answers, table
from story.stage import Stage, received
from story.story_lab import StoryLab, story_lab

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(400)]

OLD, NEW = "6.0.0", "6.0.1"
EXAMPLES = {
    "green": "blue-green",
    "mirrored": "blue-green-mirrored",
    "matched": "ab-testing",
    "sticky": "session-affinity",
    "gated": "gated",
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with story_lab("story-strategies", "2.14") as lab:
        stage = Stage(lab, EXAMPLES)
        stage.prepare()
        yield stage


def play(stage: Stage, namespace: str, callers: list[Caller]) -> dict[str, list[Answer]]:
    """Release the new version to the end, and what the callers saw of it."""
    try:
        stage.release(namespace, NEW)
        stage.until_phase(namespace, "Succeeded")
    finally:
        for caller in callers:
            caller.stop()
    return {caller.name: caller.answers() for caller in callers}


def show(title: str, seen: dict[str, list[Answer]], capsys: pytest.CaptureFixture[str]) -> None:
    say(table(title, seen), capsys)


def say(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"{text}\n")


def failures(seen: dict[str, list[Answer]]) -> list[str]:
    return [f"{name}: {answer}" for name, answers in seen.items() for answer in answers
            if answer.side == "failed"]  # fmt: skip


def stretches(answers: list[Answer]) -> list[str]:
    """The course of a caller's sides; while a primary rolls, its old and new pods both answer."""
    sides = [Answer(answer.side, "") for answer in answers]
    return course(sides)


def test_blue_green(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The callers see the old version, then the new one's pods, then the new primary."""
    seen = play(stage, "green", [Caller(stage.lab, "green", f"caller-{n}") for n in (1, 2)])
    show("Blue/green", seen, capsys)
    assert not failures(seen)
    for answers in seen.values():
        assert course(answers) == [f"primary {OLD}", f"canary {NEW}", f"primary {NEW}"]
    told = stage.told("green")
    for iteration in range(1, 6):
        assert f"Advance podinfo.green canary iteration {iteration}/5" in told
    assert "Routing all traffic to canary" in told


def test_mirrored_blue_green(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """While requests are mirrored, callers see the primary alone, and the canary counts them."""
    lab, namespace = stage.lab, "mirrored"
    caller = Caller(lab, namespace, "caller")
    try:
        stage.release(namespace, NEW)
        stage.until(namespace, lambda status: status["iterations"] >= 2, "two iterations")
        # Read straight from the pod; a scrape is not counted.
        metrics = lab.sh(f"{TESTER} curl -s http://podinfo-canary.{namespace}:9898/metrics")
        status = stage.status(namespace)
        stage.until_phase(namespace, "Succeeded")
    finally:
        caller.stop()
    seen = {"caller": caller.answers()}
    show("Blue/green, mirrored", seen, capsys)
    copies = sum(
        int(n) for n in re.findall(r'_count\{method="GET",path="/",[^}]*\} (\d+)', metrics)
    )
    say(f"  copies that the canary counted by iteration {status['iterations']}: {copies}", capsys)
    assert not failures(seen)
    assert course(seen["caller"]) == [f"primary {OLD}", f"canary {NEW}", f"primary {NEW}"]
    assert status["canaryWeight"] == 0, "counted too late: not all of these are copies"
    assert copies > 0
    assert "Stop traffic mirroring and route all traffic to canary" in stage.told(namespace)


def test_ab_testing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Who matches sees the canary as long as there is one; nobody else ever does."""
    lab = stage.lab
    insiders = [
        Caller(lab, "matched", "header", "-H 'X-Canary: insider'"),
        Caller(lab, "matched", "cookie", "-b 'theme=dark; canary=always'"),
    ]
    others = [
        Caller(lab, "matched", "no-header"),
        Caller(lab, "matched", "other-header", "-H 'X-Canary: outsider'"),
    ]
    seen = play(stage, "matched", [*insiders, *others])
    show("A/B testing", seen, capsys)
    assert not failures(seen)
    for caller in insiders:
        assert course(seen[caller.name]) == [f"primary {OLD}", f"canary {NEW}", f"primary {NEW}"]
    for caller in others:
        assert stretches(seen[caller.name]) == ["primary"]
        assert seen[caller.name][-1] == Answer("primary", NEW)


def test_session_affinity(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Who came to the canary stays there to the end; with the next rollout all start anew."""
    lab, namespace = stage.lab, "sticky"
    held = [Caller(lab, namespace, f"user-{n}", cookies=True) for n in range(1, 5)]
    stranger = Caller(lab, namespace, "no-cookies")
    stage.release(namespace, NEW)
    during = stage.until(namespace, lambda status: status.get("canaryWeight", 0) > 0, "a weight")
    first = during["sessionAffinityCookie"]
    stage.until_phase(namespace, "Succeeded")
    for caller in (*held, stranger):
        caller.stop()
    seen = {caller.name: caller.answers() for caller in (*held, stranger)}
    show("Session affinity", seen, capsys)
    assert not failures(seen)
    for caller in held:
        assert stretches(seen[caller.name]) == ["primary", "canary", "primary"], caller.name
        assert seen[caller.name][-1] == Answer("primary", NEW)
        assert first.partition("=")[2] in caller.jar()
    assert len(course(seen["no-cookies"])) > 3, "the weights are for those without a cookie"

    stage.release(namespace, "6.0.2")
    stage.until(namespace, lambda status: status.get("canaryWeight", 0) > 0, "a weight again")
    second = stage.status(namespace)["sessionAffinityCookie"]
    assert second != first
    stale, fresh = (asked(lab, namespace, cookie) for cookie in (first, second))
    show("Session affinity, the next rollout", {"old cookie": stale, "new cookie": fresh}, capsys)
    assert not failures({"old cookie": stale, "new cookie": fresh})
    assert Answer("primary", NEW) in stale
    assert set(fresh) == {Answer("canary", "6.0.2")}


def asked(lab: StoryLab, namespace: str, cookie: str) -> list[Answer]:
    """The answers to thirty requests with a cookie."""
    url = f"http://podinfo.{namespace}:9898/?[1-30]"
    return read_answers(
        lab.sh(f"{TESTER} curl -s -b '{cookie}' -w '\\n@%{{http_code}}\\n' '{url}'")
    )


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
