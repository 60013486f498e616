"""A Deployment's conditions, in Kubernetes' words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from serinus.lab.controllers import deployment_status as told
from serinus.lab.controllers.rolling import Fences
from serinus.lab.controllers.view import timestamp

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
THEN = timestamp(NOW - timedelta(minutes=1))
NEW = {"metadata": {"name": "web-abc"}, "spec": {"replicas": 2}}


def deployment(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    spec = {"replicas": 2, "progressDeadlineSeconds": 600, **spec}
    return {"metadata": {"name": "web"}, "spec": spec, "status": status or {}}


def progressing(reason: str, status: str = "True", updated: str = THEN) -> dict[str, Any]:
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "message": "",
        "lastUpdateTime": updated,
        "lastTransitionTime": THEN,
    }


def counts(replicas: int, updated: int, available: int) -> dict[str, int]:
    return {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
    }


def test_counts_leave_zeros_out() -> None:
    old = {"spec": {"replicas": 1}, "status": {"replicas": 1, "availableReplicas": 1}}
    new = {"spec": {"replicas": 2}, "status": {"replicas": 2}}
    assert told.counts([old, new], new) == {
        "replicas": 3,
        "updatedReplicas": 2,
        "availableReplicas": 1,
        "unavailableReplicas": 2,
        "terminatingReplicas": 0,
    }
    assert told.counts([], None) == {"terminatingReplicas": 0}


def test_those_that_terminate_are_unknown_until_all_tell() -> None:
    tells = {"spec": {}, "status": {"observedGeneration": 1, "terminatingReplicas": 2}}
    silent = {"spec": {}, "status": {"observedGeneration": 1}}
    unseen = {"spec": {}, "status": {"replicas": 0}}
    assert told.counts([tells, unseen], None)["terminatingReplicas"] == 2
    assert "terminatingReplicas" not in told.counts([tells, silent], None)


def test_availability_and_its_times() -> None:
    bounds = Fences(2, 1, 0)
    first = told.available_condition([], {}, bounds, NOW)
    assert [(c["status"], c["reason"], c["message"]) for c in first] == [
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    ]
    later = NOW + timedelta(seconds=5)
    assert told.available_condition(first, {}, bounds, later) is first
    then = told.available_condition(first, {"availableReplicas": 2}, bounds, later)
    assert then[0]["reason"] == "MinimumReplicasAvailable"
    assert then[0]["lastTransitionTime"] == then[0]["lastUpdateTime"] == timestamp(later)


def test_progress_renews_the_update_time_and_keeps_the_transition() -> None:
    current = [progressing("ReplicaSetUpdated")]
    owner = deployment(counts(3, 1, 2))
    [after] = told.progressing_condition(current, owner, counts(3, 2, 2), NEW, NOW)
    assert after["reason"] == "ReplicaSetUpdated"
    assert after["message"] == 'ReplicaSet "web-abc" is progressing.'
    assert (after["lastUpdateTime"], after["lastTransitionTime"]) == (timestamp(NOW), THEN)


def test_no_progress_changes_nothing_until_the_deadline() -> None:
    status = counts(3, 1, 2)
    current = [progressing("ReplicaSetUpdated")]
    owner = deployment(status)
    assert told.progressing_condition(current, owner, status, NEW, NOW) is current
    assert told.deadline_in(owner, current, NOW) == 540
    hurried = deployment(status, progressDeadlineSeconds=59)
    [stuck] = told.progressing_condition(current, hurried, status, NEW, NOW)
    assert (stuck["status"], stuck["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert stuck["message"] == 'ReplicaSet "web-abc" has timed out progressing.'
    assert told.deadline_in(hurried, [stuck], NOW) is None


def test_a_complete_rollout_is_settled() -> None:
    status = counts(2, 2, 2)
    owner = deployment(counts(2, 2, 1))
    done = told.progressing_condition([progressing("ReplicaSetUpdated")], owner, status, NEW, NOW)
    assert done[0]["reason"] == "NewReplicaSetAvailable"
    assert done[0]["message"] == 'ReplicaSet "web-abc" has successfully progressed.'
    # A pod that fails later is no rollout: the condition stays.
    assert told.progressing_condition(done, owner, counts(2, 2, 1), NEW, NOW) is done


def test_no_deadline_no_condition() -> None:
    owner = deployment(progressDeadlineSeconds=told.NO_DEADLINE)
    assert told.progressing_condition([progressing("x")], owner, {}, NEW, NOW) == []


def test_a_pause_stops_the_clock() -> None:
    running = [progressing("ReplicaSetUpdated")]
    paused = told.paused_condition(running, deployment(paused=True), NOW)
    assert (paused[0]["status"], paused[0]["reason"]) == ("Unknown", "DeploymentPaused")
    assert told.deadline_in(deployment(paused=True), paused, NOW) is None
    resumed = told.paused_condition(paused, deployment(), NOW)
    assert resumed[0]["reason"] == "DeploymentResumed"
    assert told.paused_condition(running, deployment(), NOW) is running
