"""What a Deployment says of itself: counts and conditions, in Kubernetes' words. Pure."""

from collections.abc import Iterable
from datetime import datetime

from serinus.lab.controllers.rolling import Fences, available, wanted
from serinus.lab.controllers.view import Object, parse_time, timestamp

NO_DEADLINE = 2**31 - 1
"""A ``progressDeadlineSeconds`` of this size means none."""


def counts(replicasets: list[Object], new: Object | None) -> Object:
    """Replicas in all states, as ``status`` fields; zeros are left out, as Kubernetes does, but
    for those that terminate, which are unknown while a ReplicaSet has not told of its own."""

    def total(field: str, of: Iterable[Object]) -> int:
        return sum(int((rs.get("status") or {}).get(field) or 0) for rs in of)

    ready_to_serve = sum(map(available, replicasets))
    fields = {
        "replicas": total("replicas", replicasets),
        "updatedReplicas": total("replicas", [new] if new else []),
        "readyReplicas": total("readyReplicas", replicasets),
        "availableReplicas": ready_to_serve,
        "unavailableReplicas": max(0, sum(map(wanted, replicasets)) - ready_to_serve),
    }
    status = {name: count for name, count in fields.items() if count}
    seen = [
        rs["status"] for rs in replicasets if (rs.get("status") or {}).get("observedGeneration")
    ]
    if all("terminatingReplicas" in one for one in seen):
        status["terminatingReplicas"] = sum(one["terminatingReplicas"] for one in seen)
    return status


def get_condition(status: Object, kind: str) -> Object | None:
    return next((c for c in status.get("conditions") or [] if c["type"] == kind), None)


def put_condition(
    conditions: list[Object], kind: str, status: str, reason: str, message: str, *, now: datetime
) -> list[Object]:
    """The conditions with that one in place. The same status for the same reason changes nothing,
    not even its times; the same status for another reason keeps the time of its transition."""
    old = next((c for c in conditions if c["type"] == kind), None)
    if old and old["status"] == status and old.get("reason") == reason:
        return conditions
    stamp = timestamp(now)
    since = old["lastTransitionTime"] if old and old["status"] == status else stamp
    new = {
        "type": kind,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    return [*(c for c in conditions if c["type"] != kind), new]


def put_progressing(
    conditions: list[Object], status: str, reason: str, message: str, now: datetime
) -> list[Object]:
    return put_condition(conditions, "Progressing", status, reason, message, now=now)


def available_condition(
    conditions: list[Object], status: Object, bounds: Fences, now: datetime
) -> list[Object]:
    if (status.get("availableReplicas") or 0) >= bounds.fewest_available:
        return put_condition(
            conditions, "Available", "True", "MinimumReplicasAvailable",
            "Deployment has minimum availability.", now=now,
        )  # fmt: skip
    return put_condition(
        conditions, "Available", "False", "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.", now=now,
    )  # fmt: skip


def complete(deployment: Object, status: Object) -> bool:
    """Whether all pods are of the new template and available, and none else is left."""
    replicas = wanted(deployment)
    return all(
        (status.get(field) or 0) == replicas
        for field in ("updatedReplicas", "replicas", "availableReplicas")
    )


def progressing_condition(
    conditions: list[Object], deployment: Object, status: Object, new: Object | None, now: datetime
) -> list[Object]:
    """Where the rollout stands. A change of any count pushes the deadline out
    (``lastUpdateTime``)."""
    if deadline(deployment) is None:
        return [c for c in conditions if c["type"] != "Progressing"]
    current = next((c for c in conditions if c["type"] == "Progressing"), None)
    settled = (
        current is not None
        and current.get("reason") == "NewReplicaSetAvailable"
        and (status.get("replicas") or 0) == (status.get("updatedReplicas") or 0)
    )
    if settled:
        return conditions
    name = new["metadata"]["name"] if new else deployment["metadata"]["name"]
    subject = f'{"ReplicaSet" if new else "Deployment"} "{name}"'
    if complete(deployment, status):
        return put_progressing(
            conditions,
            "True",
            "NewReplicaSetAvailable",
            f"{subject} has successfully progressed.",
            now,
        )
    if _progressed(deployment.get("status") or {}, status):
        others = [c for c in conditions if c["type"] != "Progressing"]
        renewed = put_condition(
            others,
            "Progressing",
            "True",
            "ReplicaSetUpdated",
            f"{subject} is progressing.",
            now=now,
        )
        if current is not None and current["status"] == "True":
            renewed[-1]["lastTransitionTime"] = current["lastTransitionTime"]
        return renewed
    left = deadline_in(deployment, conditions, now)
    if left is not None and left < 0:
        return put_progressing(
            conditions,
            "False",
            "ProgressDeadlineExceeded",
            f"{subject} has timed out progressing.",
            now,
        )
    return conditions


def _progressed(old: Object, new: Object) -> bool:
    def grew(field: str) -> bool:
        return (new.get(field) or 0) > (old.get(field) or 0)

    def outdated(status: Object) -> int:
        return int(status.get("replicas") or 0) - int(status.get("updatedReplicas") or 0)

    return (
        grew("updatedReplicas")
        or grew("readyReplicas")
        or grew("availableReplicas")
        or outdated(new) < outdated(old)
    )


def deadline(deployment: Object) -> int | None:
    """``progressDeadlineSeconds``, or None where there is none."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds >= NO_DEADLINE else int(seconds)


def deadline_in(deployment: Object, conditions: list[Object], now: datetime) -> float | None:
    """Seconds until the rollout counts as stuck; None when no deadline is running."""
    seconds = deadline(deployment)
    condition = next((c for c in conditions if c["type"] == "Progressing"), None)
    if seconds is None or condition is None or deployment["spec"].get("paused"):
        return None
    if condition.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    began = parse_time(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return seconds - (now - began).total_seconds()


def paused_condition(conditions: list[Object], deployment: Object, now: datetime) -> list[Object]:
    """A pause stops the deadline's clock; resuming starts it anew."""
    if deadline(deployment) is None:
        return conditions
    current = next((c for c in conditions if c["type"] == "Progressing"), {})
    if current.get("reason") == "ProgressDeadlineExceeded":
        return conditions
    paused = bool(deployment["spec"].get("paused"))
    was_paused = current.get("reason") == "DeploymentPaused"
    if paused and not was_paused:
        return put_condition(
            conditions,
            "Progressing",
            "Unknown",
            "DeploymentPaused",
            "Deployment is paused",
            now=now,
        )
    if not paused and was_paused:
        return put_condition(
            conditions,
            "Progressing",
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed",
            now=now,
        )
    return conditions
