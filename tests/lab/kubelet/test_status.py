"""A pod's status from its containers."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from serinus.lab.kubelet.manifest import Container, Pod
from serinus.lab.kubelet.state import Active, State, Terminated, Waiting
from serinus.lab.kubelet.status import PodView, pod_status, qos_class


@dataclass
class Ready:
    started: bool = False
    ready: bool = False


@dataclass
class One:
    spec: Container
    role: str
    state: State
    last: Terminated | None = None
    restarts: int = 0
    id: str = ""
    readiness: Ready = field(default_factory=Ready)


def one(name: str, role: str, state: State, *, ready: bool = False) -> One:
    last = state if isinstance(state, Terminated) else None
    return One(Container(name, image="i"), role, state, last, readiness=Ready(ready, ready))


def ended(code: int) -> Terminated:
    return Terminated(code, "Completed" if code == 0 else "Error", "t1", "t2", "serinus://1")


ACTIVE, WAITING = Active("t1"), Waiting("ContainerCreating")


def status(
    *containers: One, policy: str = "Always", before: Any = (), now: str = "t9", **view: Any
) -> dict[str, Any]:
    pod = msgspec.convert({"metadata": {}, "spec": {"restartPolicy": policy}}, Pod)
    facts = {"networked": True, "terminating": False, **view}
    shown = PodView(
        pod=pod, ip="10.244.0.2", host_ip="h", start_time="t0", containers=containers, **facts
    )
    return pod_status(shown, before, now)


def holds(result: dict[str, Any], kind: str) -> str:
    return str(next(c["status"] for c in result["conditions"] if c["type"] == kind))


@pytest.mark.parametrize(
    ("containers", "policy", "phase", "initialized", "ready"),
    [
        ([one("i", "init", ACTIVE), one("m", "main", WAITING)], "Always", "Pending", "False", "F"),
        (
            [one("i", "init", ended(0)), one("m", "main", ACTIVE)],
            "Always",
            "Running",
            "True",
            "False",
        ),
        ([one("m", "main", ACTIVE, ready=True)], "Always", "Running", "True", "True"),
        (
            [one("s", "sidecar", ACTIVE), one("m", "main", WAITING)],
            "Always",
            "Pending",
            "False",
            "False",
        ),
        (
            [one("s", "sidecar", ACTIVE, ready=True), one("m", "main", ACTIVE, ready=True)],
            "Always",
            "Running",
            "True",
            "True",
        ),
        ([one("m", "main", ended(0))], "Never", "Succeeded", "True", "False"),
        ([one("m", "main", ended(2))], "Never", "Failed", "True", "False"),
        ([one("m", "main", ended(2))], "OnFailure", "Running", "True", "False"),
        ([one("m", "main", ended(0))], "Always", "Running", "True", "False"),
    ],
)
def test_phase_and_conditions(
    containers: list[One], policy: str, phase: str, initialized: str, ready: str
) -> None:
    result = status(*containers, policy=policy)
    assert result["phase"] == phase
    assert holds(result, "Initialized") == initialized
    assert holds(result, "Ready") == ("False" if ready == "F" else ready)
    assert holds(result, "ContainersReady") == holds(result, "Ready")


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    serving = one("m", "main", ACTIVE, ready=True)
    first = status(serving, now="t5")
    foreign = {"type": "example.org/gate", "status": "True", "lastTransitionTime": "t3"}
    before = [*first["conditions"], foreign]
    again = status(serving, before=before, now="t6")
    assert again["conditions"] == before
    serving.readiness.ready = False
    third = status(serving, before=again["conditions"], now="t7")
    times = {c["type"]: c["lastTransitionTime"] for c in third["conditions"]}
    assert times["Ready"] == "t7"
    assert times["Initialized"] == "t5"


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    result = status(one("m", "main", ACTIVE, ready=True), terminating=True)
    assert holds(result, "Ready") == "False"
    assert result["containerStatuses"][0]["ready"] is False


@pytest.mark.parametrize(
    ("resources", "name"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], name: str) -> None:
    containers = [{"name": "c", "resources": resources}]
    assert qos_class(
        msgspec.convert({"metadata": {}, "spec": {"containers": containers}}, Pod)
    ) == (name)
