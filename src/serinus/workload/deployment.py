"""Deployments as targets and primaries: parked with no replicas."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.kinds import DEPLOYMENTS
from serinus.rollout.world import Workload
from serinus.workload.autoscaler import autoscaled, fewest_replicas
from serinus.workload.caches import WorkloadCaches
from serinus.workload.readiness import readiness
from serinus.workload.scaling import awake_replicas
from serinus.workload.views import DeploymentView, decode_deployment

Json = dict[str, Any]


class Deployments:
    """`serinus.workload.kinds.PodKind` of Deployments."""

    resource = DEPLOYMENTS

    def decode(self, raw: bytes) -> DeploymentView:
        """The view of one."""
        return decode_deployment(raw)

    def find(self, caches: WorkloadCaches, namespace: str, name: str) -> DeploymentView | None:
        """The one of that name."""
        return caches.deployments.get(namespace, name)

    def observed(
        self,
        canary: Canary,
        caches: WorkloadCaches,
        name: str,
        now: datetime,
        threshold_percent: int,
        configs: Mapping[str, str],
    ) -> Workload | None:
        """What a tick sees; one that is being deleted is as good as gone."""
        found = self.find(caches, canary.namespace, name)
        if found is None or found.metadata.deletion_timestamp is not None:
            return None
        return Workload(
            revision=found.revision,
            generation=found.metadata.generation,
            replicas=found.spec.replicas,
            available=found.status.available_replicas,
            readiness=readiness(found, now, canary.spec.progress_deadline, threshold_percent),
            origin=found.origin,
            configs=configs,
        )

    def problems(self, _canary: Canary, _caches: WorkloadCaches) -> tuple[Problem, ...]:
        """None of its own: every Deployment can be rolled out."""
        return ()

    def own_template(self, template: Json) -> Json:
        """The template itself: a parked Deployment's is untouched."""
        return template

    def emptying(self, canary: Canary, caches: WorkloadCaches) -> bool:
        """Whether the status of a target without replicas still tells of pods, or of a time before.

        It follows that of the ReplicaSet. Given its replicas back at once, it would for a moment
        pass off the pods that are on their way out as those that were asked for.
        """
        target = self.find(caches, canary.namespace, canary.target_name)
        if target is None or target.spec.replicas > 0:
            return False
        status = target.status
        # One that has never been observed has no pods.
        return status.replicas > 0 or 0 < status.observed_generation < target.metadata.generation

    def waking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """Replicas, for a target that has none."""
        target = self.find(caches, canary.namespace, canary.target_name)
        if target is None:
            return None
        replicas = awake_replicas(
            target,
            self.find(caches, canary.namespace, canary.primary_name),
            fewest_replicas(canary, caches),
            autoscaled=autoscaled(canary, caches),
        )
        return _replicas(target, replicas)

    def parking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """No replicas."""
        target = self.find(caches, canary.namespace, canary.target_name)
        return None if target is None else _replicas(target, 0)


def _replicas(target: DeploymentView, replicas: int) -> Json | None:
    return None if target.spec.replicas == replicas else {"spec": {"replicas": replicas}}
