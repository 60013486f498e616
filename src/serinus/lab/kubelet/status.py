"""A pod's status, from what its containers do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from serinus.lab.kubelet.manifest import Container, Pod
from serinus.lab.kubelet.quantity import parse_quantity
from serinus.lab.kubelet.state import Active, State, Terminated

Condition = dict[str, Any]


class ReadinessView(Protocol):
    started: bool
    ready: bool


class ContainerView(Protocol):
    """What the status needs of a container (`serinus.lab.kubelet.container.ContainerWorker`)."""

    spec: Container
    role: Any
    state: State
    last: Terminated | None
    restarts: int
    id: str
    readiness: Any


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod as the kubelet knows it. ``ip`` is empty until it has a network."""

    pod: Pod
    ip: str
    host_ip: str
    start_time: str
    networked: bool
    terminating: bool
    containers: Sequence[ContainerView]


def pod_status(view: PodView, before: Sequence[Condition], now: str) -> dict[str, Any]:
    """The status. ``before`` are the conditions so far: they keep the time of their last change,
    and those that are not the kubelet's are kept as they are."""
    inits = [c for c in view.containers if c.role != "main"]
    mains = [c for c in view.containers if c.role == "main"]
    initialized = all(_has_initialized(c) for c in inits)
    sidecars = [c for c in inits if c.role == "sidecar"]
    phase = _phase(view.pod, mains, initialized)
    finished = phase in {"Succeeded", "Failed"}
    unready = [c.spec.name for c in [*sidecars, *mains] if not _ready(c)]
    serving = not unready and not view.terminating
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": _conditions(view, before, now, initialized, unready, serving, finished),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": view.start_time,
        "qosClass": qos_class(view.pod),
        "containerStatuses": [_container(c, view.terminating) for c in mains],
    }
    if inits:
        status["initContainerStatuses"] = [_container(c, view.terminating) for c in inits]
    if view.ip:
        status["podIP"] = view.ip
        status["podIPs"] = [{"ip": view.ip}]
    return status


def _ready(container: ContainerView) -> bool:
    return isinstance(container.state, Active) and bool(container.readiness.ready)


def _has_initialized(container: ContainerView) -> bool:
    if container.role == "sidecar":
        return bool(container.readiness.started) or container.restarts > 0
    done = container.state if isinstance(container.state, Terminated) else None
    return done is not None and done.exit_code == 0


def _phase(pod: Pod, mains: Sequence[ContainerView], initialized: bool) -> str:
    ended = [c.state for c in mains if isinstance(c.state, Terminated)]
    if len(ended) == len(mains) and pod.spec.restart_policy != "Always":
        if all(state.exit_code == 0 for state in ended):
            return "Succeeded"
        if pod.spec.restart_policy == "Never":
            return "Failed"
    begun = any(isinstance(c.state, Active | Terminated) or c.last for c in mains)
    return "Running" if initialized and begun else "Pending"


def _conditions(
    view: PodView,
    before: Sequence[Condition],
    now: str,
    initialized: bool,
    unready: Sequence[str],
    serving: bool,
    finished: bool,
) -> list[Condition]:
    why = ""
    message = f"containers with unready status: [{' '.join(unready)}]"
    if finished:
        why, message = "PodCompleted", ""
    elif view.terminating:
        why, message = "PodTerminating", "the pod is being deleted"
    elif not serving:
        why = "ContainersNotReady"
    waiting = [c.spec.name for c in view.containers if c.role != "main" and not _has_initialized(c)]
    wanted = [
        ("PodReadyToStartContainers", view.networked, "", ""),
        (
            "Initialized",
            initialized,
            "" if initialized else "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(waiting)}]",
        ),
        ("Ready", serving, why, message),
        ("ContainersReady", serving, why, message),
        ("PodScheduled", True, "", ""),
    ]
    old = {condition["type"]: condition for condition in before}
    conditions = []
    for kind, holds, reason, text in wanted:
        status = "True" if holds else "False"
        known = old.pop(kind, None)
        since = known.get("lastTransitionTime") if known and known["status"] == status else None
        condition = {"type": kind, "status": status, "lastProbeTime": None}
        condition["lastTransitionTime"] = since or now
        if reason and not holds:
            condition["reason"] = reason
        if text and reason and not holds:
            condition["message"] = text
        conditions.append(condition)
    return conditions + list(old.values())


def _container(container: ContainerView, terminating: bool) -> dict[str, Any]:
    done = container.role == "init" and isinstance(container.state, Terminated)
    completed = done and container.last is not None and container.last.exit_code == 0
    shown: dict[str, Any] = {
        "name": container.spec.name,
        "image": container.spec.image,
        "imageID": f"serinus://{container.spec.image}" if container.id else "",
        "ready": completed or (_ready(container) and not terminating),
        "started": bool(container.readiness.started),
        "restartCount": container.restarts,
        "state": container.state.shown(),
        "lastState": {},
    }
    if container.id:
        shown["containerID"] = container.id
    if container.last is not None and container.state is not container.last:
        shown["lastState"] = container.last.shown()
    return shown


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort, by the containers' requests and limits."""
    guaranteed, any_amount = True, False
    for container in [*pod.spec.init_containers, *pod.spec.containers]:
        limits, requests = container.resources.limits, container.resources.requests
        any_amount = any_amount or bool(limits or requests)
        for name in ("cpu", "memory"):
            limit = limits.get(name)
            request = requests.get(name, limit)
            if (
                limit is None
                or request is None
                or parse_quantity(str(limit)) != parse_quantity(str(request))
            ):
                guaranteed = False
    if not any_amount:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
