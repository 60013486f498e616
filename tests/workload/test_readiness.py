"""The texts of `Waiting for NAME.NAMESPACE ...`, and when waiting is hopeless."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.rollout.world import Readiness
from serinus.workload.readiness import readiness
from serinus.workload.views import decode_deployment
from workload.guide import deployment, encoded

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SERVING = {
    "observedGeneration": 1,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
}


def judged(
    status: dict[str, Any], *, replicas: int = 2, threshold: int = 100, deadline: int = 60
) -> Readiness:
    raw = deployment()
    raw["spec"]["replicas"] = replicas
    raw["status"] = {**SERVING, **status}
    return readiness(decode_deployment(encoded(raw)), NOW, deadline, threshold)


def condition(kind: str, status: str, reason: str, age: int) -> dict[str, Any]:
    at = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": status, "reason": reason, "lastUpdateTime": at}


@pytest.mark.parametrize(
    ("status", "options", "why"),
    [
        (
            {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0},
            {"replicas": 1},
            "rollout to finish: 0 of 1 updated replicas are available",
        ),
        (
            {"availableReplicas": 1},
            {},
            "rollout to finish: 1 of 2 updated replicas are available",
        ),
        (
            {"observedGeneration": 0},
            {},
            "rollout to finish: observed deployment generation less than desired generation",
        ),
        (
            {"updatedReplicas": 1},
            {},
            "rollout to finish: 1 out of 2 new replicas have been updated",
        ),
        ({"replicas": 3}, {}, "rollout to finish: 1 old replicas are pending termination"),
        (
            {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 1},
            {"replicas": 4, "threshold": 50},
            "rollout to finish: 1 of 2 (readyThreshold 50%) updated replicas are available",
        ),
        (
            {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0},
            {"replicas": 1, "threshold": 50},
            "rollout to finish: 0 of 1 (readyThreshold 50%) updated replicas are available",
        ),
        (
            {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0},
            {"replicas": 0},
            "to be scaled up: it asks for 0 replicas",
        ),
    ],
)
def test_what_is_waited_for(status: dict[str, Any], options: dict[str, int], why: str) -> None:
    assert judged(status, **options) == Readiness(ready=False, why=why, hopeless=False)


def test_ready() -> None:
    assert judged({}) == Readiness(ready=True)


def test_enough_is_ready_when_a_threshold_says_so() -> None:
    assert judged({"availableReplicas": 1}, threshold=50) == Readiness(ready=True)


def test_the_deployment_controller_gave_up() -> None:
    late = condition("Progressing", "False", "ProgressDeadlineExceeded", 1)
    judgement = judged({"availableReplicas": 0, "conditions": [late]})
    assert judgement.hopeless
    assert judgement.why == 'deployment "podinfo" exceeded its progress deadline'


@pytest.mark.parametrize(("age", "hopeless"), [(59, False), (61, True)])
def test_unavailable_for_longer_than_the_deadline(age: int, hopeless: bool) -> None:
    lacking = condition("Available", "False", "MinimumReplicasUnavailable", age)
    judgement = judged({"availableReplicas": 1, "conditions": [lacking]})
    assert not judgement.ready
    assert judgement.hopeless is hopeless


def test_conditions_of_a_former_generation_say_nothing() -> None:
    late = condition("Progressing", "False", "ProgressDeadlineExceeded", 600)
    judgement = judged({"observedGeneration": 0, "conditions": [late]})
    assert not judgement.ready
    assert not judgement.hopeless
