"""What a pod's status says to those who count pods."""

from datetime import datetime
from typing import Any

from serinus.lab.controllers.view import Object, parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def condition(obj: Object, kind: str) -> Object | None:
    conditions: list[Object] = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == kind), None)


def finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def ready(pod: Object) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


def available_in(pod: Object, min_ready: int, now: datetime) -> float | None:
    """Seconds until the pod has been ready for ``min_ready`` seconds: <= 0 when it is available,
    None while it is not ready."""
    holds = condition(pod, "Ready")
    if holds is None or holds.get("status") != "True":
        return None
    if min_ready == 0:
        return 0.0
    since = parse_time(holds.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])
    return min_ready - (now - since).total_seconds()


def deletion_rank(pod: Object) -> tuple[Any, ...]:
    """Sorts pods so that those to lose first come first: unassigned, not running, not ready,
    cheap by their annotation, ready for the shortest time, often restarted, young."""
    status = pod.get("status") or {}
    annotations = pod["metadata"].get("annotations") or {}
    cost = annotations.get(DELETION_COST, "0")
    holds = condition(pod, "Ready") or {}
    is_ready = holds.get("status") == "True"
    restarts = sum(c.get("restartCount") or 0 for c in status.get("containerStatuses") or [])
    return (
        bool((pod.get("spec") or {}).get("nodeName")),
        {"Pending": 0, "Unknown": 1, "Running": 2}.get(status.get("phase", "Pending"), 0),
        is_ready,
        int(cost) if cost.removeprefix("-").isdecimal() else 0,
        _newest_first(holds.get("lastTransitionTime") if is_ready else None),
        -restarts,
        _newest_first(pod["metadata"].get("creationTimestamp")),
    )


def _newest_first(stamp: str | None) -> float:
    return -parse_time(stamp).timestamp() if stamp else 0.0
