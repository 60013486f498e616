"""Whether a Deployment's rollout has finished, and if not, why, in `kubectl rollout`'s terms."""

from datetime import datetime, timedelta

from serinus.rollout.world import Readiness
from serinus.workload.views import DeploymentView


def readiness(
    deployment: DeploymentView, now: datetime, deadline_seconds: int, threshold_percent: int = 100
) -> Readiness:
    """Whether enough pods serve the newest template.

    ``deadline_seconds`` is the canary's progressDeadlineSeconds: unavailable for longer than that
    is hopeless. ``threshold_percent`` of the updated pods must be available (Flagger's
    primaryReadyThreshold and canaryReadyThreshold), and always at least one: a share of no pods
    serves nobody, so a Deployment at zero replicas is not ready either.
    """
    spec, status = deployment.spec, deployment.status
    if status.observed_generation < deployment.metadata.generation:
        # The conditions are still those of the former generation: they say nothing about this one.
        return Readiness(
            ready=False,
            why="rollout to finish: observed deployment generation less than desired generation",
        )
    progressing = deployment.condition("Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        return Readiness(
            ready=False,
            why=f'deployment "{deployment.metadata.name}" exceeded its progress deadline',
            hopeless=True,
        )
    why = _unfinished(
        spec.replicas,
        status.replicas,
        status.updated_replicas,
        status.available_replicas,
        threshold_percent,
    )
    if not why:
        return Readiness(ready=True)
    return Readiness(
        ready=False, why=why, hopeless=_unavailable_since(deployment, now, deadline_seconds)
    )


def _unfinished(
    desired: int, existing: int, updated: int, available: int, threshold_percent: int
) -> str:
    if desired == 0:
        return "to be scaled up: it asks for 0 replicas"
    if updated < desired:
        return f"rollout to finish: {updated} out of {desired} new replicas have been updated"
    if existing > updated:
        return f"rollout to finish: {existing - updated} old replicas are pending termination"
    needed = max(1, updated * threshold_percent // 100)
    if available < needed:
        threshold = "" if threshold_percent == 100 else f"(readyThreshold {threshold_percent}%) "
        return (
            f"rollout to finish: {available} of {needed} {threshold}updated replicas are available"
        )
    return ""


def _unavailable_since(deployment: DeploymentView, now: datetime, deadline_seconds: int) -> bool:
    """Whether too few pods have been available for longer than the deadline."""
    available = deployment.condition("Available")
    return (
        available is not None
        and available.status == "False"
        and available.reason == "MinimumReplicasUnavailable"
        and available.last_update_time is not None
        and available.last_update_time + timedelta(seconds=deadline_seconds) < now
    )
