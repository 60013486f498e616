"""From the caches to the `World` that one tick decides on. Nothing here asks the API server."""

from datetime import datetime

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.support import unsupported
from serinus.api.validation import problems as canary_problems
from serinus.rollout.world import Readiness, Workload, World
from serinus.routing.router import Router
from serinus.workload.caches import WorkloadCaches
from serinus.workload.labels import LabelRules
from serinus.workload.preflight import workload_problems
from serinus.workload.primary import runs_target
from serinus.workload.readiness import readiness
from serinus.workload.reconcile import selector_of
from serinus.workload.views import DeploymentView


class Observer:
    """Reads one operator's caches."""

    def __init__(
        self, caches: WorkloadCaches, router: Router, rules: LabelRules, provider: str
    ) -> None:
        self._caches = caches
        self._router = router
        self._rules = rules
        self._provider = provider

    def world(self, canary: Canary, now: datetime, *, due: bool) -> World:
        """What the caches know of this canary's world at ``now``."""
        target = self._caches.deployments.get(canary.namespace, canary.target_name)
        primary = self._caches.deployments.get(canary.namespace, canary.primary_name)
        problems = self._problems(canary, target)
        in_primary = False
        if not problems and target is not None and primary is not None:
            in_primary = runs_target(target, primary, selector_of(canary, target, self._rules))
        analysis = canary.spec.analysis
        return World(
            now=now,
            due=due,
            target=_workload(canary, target, now, analysis.canary_ready_threshold_or_default),
            primary=_workload(canary, primary, now, analysis.primary_ready_threshold_or_default),
            in_primary=in_primary,
            problems=problems,
        )

    def _problems(self, canary: Canary, target: DeploymentView | None) -> tuple[Problem, ...]:
        """The first kind of problem there is: a later kind may only follow from an earlier."""
        found = canary_problems(canary) or unsupported(canary, self._provider)
        if found or target is None:
            return found
        return workload_problems(canary, self._caches, self._rules) or self._router.problems(canary)


def _workload(
    canary: Canary, deployment: DeploymentView | None, now: datetime, threshold: int
) -> Workload | None:
    if deployment is None:
        return None
    if deployment.metadata.deletion_timestamp is not None:
        return None
    state: Readiness = readiness(deployment, now, canary.spec.progress_deadline, threshold)
    return Workload(
        revision=deployment.revision,
        generation=deployment.metadata.generation,
        replicas=deployment.spec.replicas,
        available=deployment.status.available_replicas,
        readiness=state,
        origin=deployment.origin,
    )
