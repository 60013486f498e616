"""The pod's columns. STATUS is a story told from phase, reasons and container states."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serinus.lab.apiserver.tables.age import human_duration, parse_time
from serinus.lab.apiserver.tables.column import (
    AGE,
    NAME,
    NONE,
    Column,
    Object,
    at,
    computed,
    condition,
    shown,
    wide,
)


@dataclass(frozen=True, slots=True)
class PodSummary:
    """What READY, STATUS and RESTARTS show of a pod."""

    ready: int
    total: int
    status: str
    restarts: int
    last_restart: datetime | None


@dataclass(slots=True)
class _Tally:
    """Restarts and ready containers, counted on the way through a pod's containers."""

    ready: int = 0
    restarts: int = 0
    restarted: list[datetime] = field(default_factory=list)

    def add(self, container: Object) -> None:
        self.restarts += container.get("restartCount") or 0
        if finished := at(container, "lastState", "terminated", "finishedAt"):
            self.restarted.append(parse_time(finished))


def summarize(pod: Object) -> PodSummary:
    """Init containers first, then containers; the first one in trouble names the status.

    A native sidecar (an init container with ``restartPolicy: Always``) counts in READY.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    init_specs = spec.get("initContainers") or []
    sidecars = {c.get("name") for c in init_specs if c.get("restartPolicy") == "Always"}
    reason = status.get("reason") or status.get("phase") or ""
    if condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"

    init, started_sidecars = _Tally(), _Tally()
    trouble = ""
    for position, container in enumerate(status.get("initContainerStatuses") or []):
        is_sidecar = container.get("name") in sidecars
        init.add(container)
        if is_sidecar:
            started_sidecars.add(container)
        if at(container, "state", "terminated", "exitCode") == 0:
            continue
        if not (is_sidecar and container.get("started")):
            trouble = _init_trouble(container, position, len(init_specs))
            break
        started_sidecars.ready += bool(container.get("ready"))
    if trouble and condition(pod, "Initialized").get("status") != "True":
        reason, tally = trouble, init
    else:
        reason, tally = _main_containers(pod, trouble or reason, started_sidecars)
    return PodSummary(
        ready=tally.ready,
        total=len(spec.get("containers") or []) + len(sidecars),
        status=_deletion(pod) or reason,
        restarts=tally.restarts,
        last_restart=max(tally.restarted, default=None),
    )


def _main_containers(pod: Object, reason: str, tally: _Tally) -> tuple[str, _Tally]:
    running = False
    for container in reversed(at(pod, "status", "containerStatuses") or []):
        tally.add(container)
        state = container.get("state") or {}
        if why := at(state, "waiting", "reason"):
            reason = why
        elif state.get("terminated") is not None:
            reason = _ended(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if reason == "Completed" and running:
        is_ready = condition(pod, "Ready").get("status") == "True"
        reason = "Running" if is_ready else "NotReady"
    return reason, tally


def _deletion(pod: Object) -> str:
    if not at(pod, "metadata", "deletionTimestamp"):
        return ""
    if at(pod, "status", "reason") == "NodeLost":
        return "Unknown"
    return "" if at(pod, "status", "phase") in ("Succeeded", "Failed") else "Terminating"


def _init_trouble(container: Object, position: int, total: int) -> str:
    terminated = at(container, "state", "terminated")
    if terminated is not None:
        return f"Init:{_ended(terminated)}"
    waiting = at(container, "state", "waiting", "reason")
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{position}/{total}"


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _ready(pod: Object) -> str:
    summary = summarize(pod)
    return f"{summary.ready}/{summary.total}"


def _restarts(pod: Object, now: datetime) -> str:
    summary = summarize(pod)
    if summary.restarts == 0 or summary.last_restart is None:
        return str(summary.restarts)
    ago = human_duration((now - summary.last_restart).total_seconds())
    return f"{summary.restarts} ({ago} ago)"


def _ip(pod: Object) -> Any:
    addresses = at(pod, "status", "podIPs") or []
    return (addresses[0].get("ip") if addresses else at(pod, "status", "podIP")) or NONE


def _readiness_gates(pod: Object) -> str:
    gates = at(pod, "spec", "readinessGates") or []
    if not gates:
        return NONE
    passed = sum(condition(pod, g.get("conditionType", "")).get("status") == "True" for g in gates)
    return f"{passed}/{len(gates)}"


POD = (
    NAME,
    computed("Ready", _ready),
    computed("Status", lambda pod: summarize(pod).status),
    Column("Restarts", _restarts),
    AGE,
    wide(computed("IP", _ip)),
    wide(shown("Node", "spec", "nodeName")),
    wide(shown("Nominated Node", "status", "nominatedNodeName")),
    wide(computed("Readiness Gates", _readiness_gates)),
)
