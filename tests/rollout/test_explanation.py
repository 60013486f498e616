"""Sentences for every phase and reason, and for the way ahead."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serinus.api.canary import Canary, CanaryStatus, Condition, Phase
from serinus.rollout.conditions import Analyzing, Ready, Stalled
from serinus.rollout.explanation import (
    ANALYSING,
    PHASES,
    STALLING,
    Facts,
    Pods,
    ago,
    explain,
    progress,
    rests,
)
from serinus.rollout.history import Told, rollouts

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REFERENCE = Path(__file__).parents[2] / "docs/reference/status.md"


def canary(
    phase: Phase = Phase.PROGRESSING,
    analyzing: str = Analyzing.STEPPING,
    stalled: str = Stalled.NOT,
    ready: str = Ready.ACCEPTED,
    *,
    analysis: dict[str, Any] | None = None,
    kind: str = "Deployment",
    **status: Any,
) -> Canary:
    def one(type: str, holds: bool, reason: str) -> Condition:
        at = NOW - timedelta(minutes=5)
        return Condition(
            type=type, status=str(holds), reason=str(reason), message="Said.", last_update_time=at
        )

    made = msgspec.convert(
        {
            "metadata": {"name": "podinfo", "namespace": "test"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": {
                    "interval": "30s",
                    "threshold": 5,
                    "stepWeight": 10,
                    "maxWeight": 50,
                    "metrics": [
                        {"name": "request-success-rate", "thresholdRange": {"min": 99}},
                        {"name": "request-duration", "thresholdRange": {"max": 500}},
                    ],
                    "webhooks": [
                        {"name": "load", "url": "http://x", "type": "rollout"},
                        {"name": "stop", "url": "http://x", "type": "rollback"},
                    ],
                    **(analysis or {}),
                },
            },
        },
        Canary,
    )
    conditions = (
        one("Promoted", False, phase.value),
        one("Ready", ready == Ready.ACCEPTED, ready),
        one("Analyzing", analyzing != Analyzing.IDLE, analyzing),
        one("Stalled", stalled != Stalled.NOT, stalled),
    )
    filled = CanaryStatus(phase=phase, conditions=conditions, **status)
    return msgspec.structs.replace(made, status=filled)


FACTS = Facts(NOW, Pods(1, 2), Pods(2, 2))


@pytest.mark.parametrize(
    ("phase", "analyzing", "stalled"), list(itertools.product(Phase, Analyzing, Stalled))
)
def test_every_phase_and_reason_has_its_sentence(
    phase: Phase, analyzing: Analyzing, stalled: Stalled
) -> None:
    told = explain(canary(phase, analyzing, stalled), FACTS)
    said = " ".join(told.doing)
    assert PHASES[phase] in said
    assert (ANALYSING[analyzing] in said) == (analyzing is not Analyzing.IDLE)
    assert (STALLING[stalled] in said) == (stalled is not Stalled.NOT)
    assert "Since 2026-01-02 02:59:05 UTC (5m)" in said or (
        analyzing is Analyzing.IDLE and stalled is Stalled.NOT
    )
    assert told.coming or phase is Phase.TERMINATED
    assert told.failing


def test_no_sentence_is_missing() -> None:
    assert set(PHASES) == set(Phase)
    assert set(ANALYSING) == set(Analyzing)
    assert set(STALLING) == set(Stalled)


def test_a_reason_of_a_later_version_is_told_as_it_is() -> None:
    assert "Stalled: NewReason." in " ".join(explain(canary(stalled="NewReason"), FACTS).doing)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            canary(canary_weight=20, last_transition_time=NOW - timedelta(seconds=10)),
            "About 03:04:25 UTC (in 20s) the next check; if it passes, the canary gets 30 %",
        ),
        (
            canary(canary_weight=50, last_transition_time=NOW - timedelta(seconds=40)),
            "Any moment now the next check; if it passes, the promotion follows",
        ),
        (
            canary(analysis={"stepWeight": None, "iterations": 3}, iterations=1),
            "iteration 2 of 3 follows",
        ),
        (canary(stalled=Stalled.PROMOTION_GATE), "asked again every 30s; when it says yes, the"),
        (canary(stalled=Stalled.PAUSED), "until somebody resumes it"),
        (canary(ready=Ready.SUSPENDED), "until spec.suspend is false"),
        (canary(Phase.FAILED), "or somebody asks for a retry"),
    ],
)
def test_what_comes_next(made: Canary, words: str) -> None:
    assert words in " ".join(explain(made, FACTS).coming)


def test_what_would_roll_it_back() -> None:
    told = explain(canary(failed_checks=2), FACTS).failing
    assert told == (
        "5 failed checks; 2 so far. One fails when",
        "  request-success-rate over 1m is below 99 %",
        "  request-duration over 1m is above 500 ms",
        "  hook load fails",
        "A yes of rollback hook stop.",
        "Pods of the new revision that are not ready within 600s.",
    )


def test_only_requests_that_would_be_granted_are_offered() -> None:
    def offered(made: Canary) -> list[str]:
        return [line.split()[1] for line in explain(made, FACTS).verbs]

    assert offered(canary()) == ["pause", "promote", "promote", "abort"]
    assert offered(canary(stalled=Stalled.PAUSED)) == ["resume", "promote", "promote", "abort"]
    assert offered(canary(Phase.FAILED, Analyzing.IDLE)) == ["retry"]
    assert offered(canary(Phase.FAILED, Analyzing.STANDING_IN)) == ["promote", "promote", "retry"]
    assert offered(canary(Phase.SUCCEEDED, Analyzing.IDLE)) == []


def test_progress() -> None:
    assert progress(canary(canary_weight=20)) == "20/50"
    steps = {"stepWeight": None, "stepWeights": [5, 20, 60]}
    assert progress(canary(canary_weight=20, analysis=steps)) == "2/3"


def test_pods_are_told_of_where_they_are_known() -> None:
    said = " ".join(explain(canary(), Facts(NOW, Pods(1, 2))).doing)
    assert "Target podinfo: 1 of 2 pods available." in said
    assert "Primary podinfo-primary: no such Deployment." in said
    assert "no such" not in " ".join(explain(canary(kind="DaemonSet"), Facts(NOW)).doing)


def test_a_failed_revision_that_will_be_tried_again_does_not_rest() -> None:
    assert rests(canary(Phase.FAILED, last_applied_spec="bad"))
    assert not rests(canary(Phase.FAILED))
    assert not rests(canary(Phase.NONE))
    assert not rests(canary(Phase.WAITING, last_applied_spec="a"))


def test_ago() -> None:
    spans = [0, 119, 120, 7200, 200_000]
    assert [ago(NOW - timedelta(seconds=s), NOW) for s in spans] == ["0s", "119s", "2m", "2h", "2d"]
    assert ago(None, NOW) == "-"


def test_history_knows_how_each_rollout_ended() -> None:
    said = [
        "Promotion completed! Scaling down podinfo.test",
        "New revision detected! Scaling up podinfo.test",
        "New revision detected! Restarting analysis for podinfo.test",
        "Rolling back podinfo.test: requested by jo at noon",
        "Canary failed! Scaling down podinfo.test",
        "New revision detected! Scaling up podinfo.test",
    ]
    told = [Told(NOW + timedelta(minutes=at), text) for at, text in enumerate(said)]
    found = rollouts(canary(last_applied_spec="new"), told)
    assert [one.how for one in found] == ["Succeeded", "Restarted", "Aborted", "Progressing"]
    assert found[0].began is None
    assert found[2].reason == "Rolling back podinfo.test: requested by jo at noon"
    assert [one.revision for one in found] == ["", "", "", "new"]


def test_history_without_events_is_what_the_status_says() -> None:
    (only,) = rollouts(canary(Phase.FAILED, Analyzing.IDLE, last_applied_spec="bad"), [])
    assert (only.how, only.revision, only.reason) == ("Failed", "bad", "Said.")


def test_the_reference_lists_every_phase_and_reason() -> None:
    rows: dict[str, list[str]] = {}
    heading = ""
    for line in REFERENCE.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").strip("`")
        elif line.startswith("| `"):
            rows.setdefault(heading, []).append(line.split("`")[1])
    assert rows["Phases"] == [phase.value for phase in Phase if phase.value]
    assert rows["Ready"] == list(Ready)
    assert rows["Analyzing"] == list(Analyzing)
    assert rows["Stalled"] == list(Stalled)
    assert rows["Conditions"] == (
        ["Promoted", "Ready", "Analyzing", "Stalled", "RollingBack", "Paused"]
    )
