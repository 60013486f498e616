"""DaemonSets as targets and primaries: parked by a node selector that no node fits."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.kinds import DAEMONSETS
from serinus.rollout.world import Readiness, Workload
from serinus.workload.caches import WorkloadCaches
from serinus.workload.views import PARKED, DaemonSetView, decode_daemonset, unparked

Json = dict[str, Any]


class DaemonSets:
    """`serinus.workload.kinds.PodKind` of DaemonSets."""

    resource = DAEMONSETS

    def decode(self, raw: bytes) -> DaemonSetView:
        """The view of one."""
        return decode_daemonset(raw)

    def find(self, caches: WorkloadCaches, namespace: str, name: str) -> DaemonSetView | None:
        """The one of that name."""
        return caches.daemonsets.get(namespace, name)

    def observed(
        self,
        canary: Canary,
        caches: WorkloadCaches,
        name: str,
        now: datetime,
        threshold_percent: int,
        configs: Mapping[str, str],
    ) -> Workload | None:
        """What a tick sees; one that is being deleted is as good as gone.

        A parked one has no replicas; one that is awake has as many as nodes, and one before its
        controller has counted them.
        """
        found = self.find(caches, canary.namespace, name)
        if found is None or found.metadata.deletion_timestamp is not None:
            return None
        return Workload(
            revision=found.revision,
            generation=found.metadata.generation,
            replicas=0 if found.spec.parked else max(1, found.status.desired_number_scheduled),
            available=found.status.number_available,
            readiness=daemonset_readiness(
                found,
                now,
                canary.spec.progress_deadline,
                canary.status.last_transition_time,
                threshold_percent,
            ),
            origin=found.origin,
            configs=configs,
        )

    def problems(self, canary: Canary, caches: WorkloadCaches) -> tuple[Problem, ...]:
        """One whose pods only go when somebody deletes them cannot be promoted."""
        target = self.find(caches, canary.namespace, canary.target_name)
        if target is None or target.spec.update_strategy.type == "RollingUpdate":
            return ()
        return (
            Problem(
                "spec.targetRef.name",
                f"daemonset {canary.target_name}.{canary.namespace} must have RollingUpdate as its "
                f"spec.updateStrategy.type; it has {target.spec.update_strategy.type}",
            ),
        )

    def own_template(self, template: Json) -> Json:
        """Without the node selector that parks it."""
        return unparked(template)

    def emptying(self, canary: Canary, caches: WorkloadCaches) -> bool:
        """Whether the status of a parked target is still of a time before."""
        target = self.find(caches, canary.namespace, canary.target_name)
        if target is None or not target.spec.parked:
            return False
        return 0 < target.status.observed_generation < target.metadata.generation

    def waking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """Takes the node selector away."""
        target = self.find(caches, canary.namespace, canary.target_name)
        return _selector(None) if target is not None and target.spec.parked else None

    def parking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """Puts the node selector there."""
        target = self.find(caches, canary.namespace, canary.target_name)
        return _selector("true") if target is not None and not target.spec.parked else None


def _selector(value: str | None) -> Json:
    return {"spec": {"template": {"spec": {"nodeSelector": {PARKED: value}}}}}


def daemonset_readiness(
    daemonset: DaemonSetView,
    now: datetime,
    deadline_seconds: int,
    since: datetime | None,
    threshold_percent: int = 100,
) -> Readiness:
    """Whether enough of a DaemonSet's pods serve the newest template.

    A DaemonSet's status tells no times. So the deadline runs from ``since``, the canary's last
    step (status.lastTransitionTime): nothing is written while a rollout waits for pods. Before
    the first step no waiting is hopeless.
    """
    status = daemonset.status
    if status.observed_generation < daemonset.metadata.generation:
        return Readiness(
            ready=False,
            why="rollout to finish: observed daemonset generation less than desired generation",
        )
    why = _unfinished(daemonset, threshold_percent)
    if not why:
        return Readiness(ready=True)
    late = since is not None and since + timedelta(seconds=deadline_seconds) < now
    if late:
        why = f"{why}; it exceeded its progressDeadlineSeconds: {deadline_seconds}"
    return Readiness(ready=False, why=why, hopeless=late)


def _unfinished(daemonset: DaemonSetView, threshold_percent: int) -> str:
    status = daemonset.status
    desired, updated = status.desired_number_scheduled, status.updated_number_scheduled
    if daemonset.spec.parked:
        return f"to be woken up: its node selector has {PARKED}"
    if desired == 0:
        return "rollout to finish: no node fits its pods"
    if updated < desired:
        return f"rollout to finish: {updated} out of {desired} new pods have been updated"
    needed = max(1, desired * threshold_percent // 100)
    if status.number_available < needed:
        threshold = "" if threshold_percent == 100 else f"(readyThreshold {threshold_percent}%) "
        return (
            f"rollout to finish: {status.number_available} of {needed} {threshold}"
            "updated pods are available"
        )
    return ""
