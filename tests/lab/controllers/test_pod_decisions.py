"""Which pods go, where they go, when they count; DaemonSets and Jobs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.lab.controllers import daemonset, job
from serinus.lab.controllers.disruption import balance
from serinus.lab.controllers.readiness import available_in, deletion_rank
from serinus.lab.controllers.replicaset import replicaset_status
from serinus.lab.controllers.scheduler import fits, why_not
from serinus.lab.controllers.view import timestamp

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> str:
    return timestamp(NOW - timedelta(seconds=seconds))


def pod(name: str, ready_for: float | None = None, **more: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": more.get("phase", "Running")}
    if ready_for is not None:
        status["conditions"] = [
            {"type": "Ready", "status": "True", "lastTransitionTime": ago(ready_for)}
        ]
    return {
        "metadata": {
            "name": name,
            "labels": more.get("labels", {}),
            "annotations": more.get("annotations", {}),
            "creationTimestamp": ago(more.get("age", 100)),
        },
        "spec": {"nodeName": more.get("node", "lab")},
        "status": status,
    }


def test_the_least_useful_pod_goes_first() -> None:
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
    in_order = [
        pod("unassigned", node=""),
        pod("pending", phase="Pending"),
        pod("unready-young", age=10),
        pod("unready-old", age=50),
        pod("cheap", 90, annotations=cost),
        pod("ready-lately", 10),
        pod("ready-young", 60, age=70),
        pod("ready-old", 60, age=80),
    ]
    shuffled = [*in_order[4:], *in_order[:4]]
    names = [p["metadata"]["name"] for p in sorted(shuffled, key=deletion_rank)]
    assert names == [p["metadata"]["name"] for p in in_order]


def test_availability_comes_with_time() -> None:
    assert available_in(pod("p"), 0, NOW) is None
    assert available_in(pod("p", 3), 0, NOW) == 0
    assert available_in(pod("p", 3), 10, NOW) == 7
    assert available_in(pod("p", 30), 10, NOW) == -20


def test_the_status_of_a_replicaset() -> None:
    template = {"metadata": {"labels": {"app": "x"}}}
    replicaset = {
        "metadata": {"generation": 3},
        "spec": {"minReadySeconds": 10, "template": template},
    }
    pods = [pod("a", 30, labels={"app": "x"}), pod("b", 4, labels={"app": "x"}), pod("c")]
    assert replicaset_status(replicaset, pods, 1, None, NOW) == (
        {
            "replicas": 3,
            "terminatingReplicas": 1,
            "fullyLabeledReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 1,
            "observedGeneration": 3,
        },
        6,
    )
    assert replicaset_status(replicaset, [], 0, None, NOW) == (
        {"replicas": 0, "terminatingReplicas": 0, "observedGeneration": 3},
        None,
    )


def node(name: str, closed: bool = False, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": closed}}


def test_where_a_pod_fits() -> None:
    choosy = {"spec": {"nodeSelector": {"disk": "ssd"}}}
    assert fits(choosy, node("a", disk="ssd"))
    assert not fits(choosy, node("a"))
    assert not fits({"spec": {}}, node("a", closed=True))
    assert why_not(choosy, []) == "no nodes available to schedule pods"
    assert why_not(choosy, [node("a"), node("b", closed=True)]) == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) were unschedulable."
    )


@pytest.mark.parametrize(
    ("toleration", "fitting"),
    [
        ({}, False),
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "a", "value": "b", "effect": "NoSchedule"}, True),
        ({"key": "a", "value": "c"}, False),
    ],
)
def test_taints_keep_pods_away(toleration: dict[str, Any], fitting: bool) -> None:
    tainted = node("a")
    tainted["spec"]["taints"] = [
        {"key": "soft", "effect": "PreferNoSchedule"},
        {"key": "a", "value": "b", "effect": "NoSchedule"},
    ]
    patient = {"spec": {"tolerations": [toleration] if toleration else []}}
    assert fits(patient, tainted) is fitting
    if not fitting:
        assert why_not(patient, [tainted]) == (
            "0/1 nodes are available: 1 node(s) had untolerated taint {a: b}."
        )


@pytest.mark.parametrize(
    ("spec", "present", "wanted", "healthy", "desired", "allowed"),
    [
        ({}, 2, 2, 2, 1, 1),
        ({"minAvailable": 2}, 2, 2, 2, 2, 0),
        ({"minAvailable": "50%"}, 3, 3, 3, 2, 1),
        ({"maxUnavailable": 1}, 3, 3, 2, 2, 0),
        ({"maxUnavailable": "34%"}, 3, 3, 3, 1, 2),
        ({"minAvailable": 0}, 0, 0, 0, 0, 0),
    ],
)
def test_what_a_budget_allows(
    spec: dict[str, Any], present: int, wanted: int, healthy: int, desired: int, allowed: int
) -> None:
    found = balance(spec, present, wanted, healthy)
    assert (found.desired, found.allowed) == (desired, allowed)


DAEMONS = {"metadata": {"generation": 1}, "spec": {}}
OLD, NEW = {daemonset.HASH_LABEL: "old"}, {daemonset.HASH_LABEL: "new"}


def names(pods: list[dict[str, Any]]) -> list[str]:
    return [p["metadata"]["name"] for p in pods]


@pytest.mark.parametrize(
    ("pods", "nodes", "start", "doomed"),
    [
        ([], ["lab"], ["lab"], []),
        ([], [], [], []),
        ([pod("a", 9, labels=NEW)], ["lab"], [], []),
        ([pod("a", 9, labels=NEW)], [], [], ["a"]),
        ([pod("a", 9, labels=OLD)], ["lab"], [], ["a"]),
        ([pod("a", labels=OLD)], ["lab"], [], ["a"]),
        ([pod("a", labels=NEW, phase="Failed")], ["lab"], [], ["a"]),
        ([pod("a", 9, labels=NEW, age=9), pod("b", 9, labels=NEW)], ["lab"], [], ["a"]),
        (
            [pod("a", 9, labels=OLD), pod("b", 9, labels=OLD, node="two")],
            ["lab", "two"], [], ["a"],
        ),
        (
            [pod("a", 9, labels=OLD), pod("b", labels=NEW, node="two")],
            ["lab", "two"], [], [],
        ),
    ],
)  # fmt: skip
def test_daemons(
    pods: list[dict[str, Any]], nodes: list[str], start: list[str], doomed: list[str]
) -> None:
    plan = daemonset.plan(DAEMONS, pods, nodes, "new", NOW)
    assert (plan.nodes, names(plan.doomed)) == (start, doomed)


def test_daemons_that_are_updated_by_hand_stay() -> None:
    by_hand = {"metadata": {}, "spec": {"updateStrategy": {"type": "OnDelete"}}}
    pods = [pod("a", 9, labels=OLD)]
    assert daemonset.plan(by_hand, pods, ["lab"], "new", NOW).doomed == []
    status, _ = daemonset.daemonset_status(by_hand, pods, ["lab"], "new", NOW)
    assert status == {
        "currentNumberScheduled": 1,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "observedGeneration": 0,
    }


@pytest.mark.parametrize(
    ("spec", "active", "succeeded", "failed", "expected"),
    [
        ({"completions": 1}, 0, 0, 0, job.Verdict(start=1)),
        ({"completions": 1}, 1, 0, 0, job.Verdict(start=0)),
        ({"completions": 3, "parallelism": 2}, 0, 2, 0, job.Verdict(start=1)),
        ({"completions": 1}, 0, 0, 1, job.Verdict(start=1)),
        ({"parallelism": 3}, 2, 1, 0, job.Verdict()),
        ({"completions": 1, "suspend": True}, 0, 0, 0, job.Verdict()),
    ],
)
def test_a_job_goes_on(
    spec: dict[str, Any], active: int, succeeded: int, failed: int, expected: job.Verdict
) -> None:
    pods = [pod(f"p{i}") for i in range(active)]
    assert job.verdict({"spec": spec}, pods, succeeded, failed, NOW) == expected


@pytest.mark.parametrize(
    ("spec", "succeeded", "failed", "reason"),
    [
        ({"completions": 1}, 1, 0, "CompletionsReached"),
        ({"parallelism": 3}, 1, 0, "CompletionsReached"),
        ({"completions": 1, "backoffLimit": 0}, 0, 1, "BackoffLimitExceeded"),
        ({"completions": 1, "activeDeadlineSeconds": 5}, 0, 0, "DeadlineExceeded"),
    ],
)
def test_a_job_ends(spec: dict[str, Any], succeeded: int, failed: int, reason: str) -> None:
    work = {"spec": spec, "status": {"startTime": ago(60)}}
    assert job.verdict(work, [], succeeded, failed, NOW).reason == reason


def test_a_job_waits_longer_after_each_failure() -> None:
    failed = [pod("a", age=15), pod("b", age=12)]
    assert job.retry_in([], NOW) == 0
    assert job.retry_in(failed[:1], NOW) == -5
    assert job.retry_in(failed, NOW) == 8
