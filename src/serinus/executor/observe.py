"""From the caches to the `World` that one tick decides on. Nothing here asks the API server."""

from datetime import datetime

from serinus.alerts.alerts import Alerts
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.support import unsupported
from serinus.api.validation import problems as canary_problems
from serinus.executor.claims import Claims
from serinus.metrics.custom import CustomMetrics
from serinus.rollout.world import World
from serinus.routing.providers import Routers
from serinus.workload.caches import WorkloadCaches
from serinus.workload.kinds import find_primary, find_target, is_service, pod_kind
from serinus.workload.labels import LabelRules
from serinus.workload.preflight import workload_problems
from serinus.workload.primary import runs_target
from serinus.workload.reconcile import selector_of
from serinus.workload.service_target import (
    find_service_primary,
    find_service_target,
    observed,
)
from serinus.workload.tracking import renames, tracked
from serinus.workload.views import PodsView, ServiceView


class Observer:
    """Reads one operator's caches."""

    def __init__(
        self,
        claims: Claims,
        caches: WorkloadCaches,
        routers: Routers,
        custom: CustomMetrics,
        alerts: Alerts,
        rules: LabelRules,
    ) -> None:
        self._claims = claims
        self._caches = caches
        self._routers = routers
        self._custom = custom
        self._alerts = alerts
        self._rules = rules
        self._judged: dict[str, tuple[int, tuple[Problem, ...]]] = {}

    def forget(self, canary: Canary) -> None:
        """Drop what is known of a canary that is gone."""
        self._judged.pop(canary.metadata.uid, None)

    def world(self, canary: Canary, now: datetime, *, due: bool) -> World:
        """What the caches know of this canary's world at ``now``."""
        if is_service(canary):
            return self._service_world(canary, now, due=due)
        caches = self._caches
        target, primary = find_target(canary, caches), find_primary(canary, caches)
        problems = self._problems(canary, target, primary)
        in_primary = False
        if not problems and target is not None and primary is not None:
            in_primary = runs_target(
                target,
                primary,
                selector_of(canary, target, self._rules),
                renames(canary, target, self._caches),
            )
        analysis = canary.spec.analysis
        if target is None and primary is None:
            # Also where the kind is none that there is, which `problems` tells.
            return World(now, due, None, None, False, problems, self._routers.splits(canary))
        kind = pod_kind(canary)
        configs = {} if target is None else tracked(canary, target, caches)
        return World(
            now=now,
            due=due,
            target=kind.observed(
                canary,
                caches,
                canary.target_name,
                now,
                analysis.canary_ready_threshold_or_default,
                configs,
            ),
            primary=kind.observed(
                canary,
                caches,
                canary.primary_name,
                now,
                analysis.primary_ready_threshold_or_default,
                {},
            ),
            in_primary=in_primary,
            problems=problems,
            splits=self._routers.splits(canary),
            unprepared=() if problems else self._routers.preflight(canary),
        )

    def _service_world(self, canary: Canary, now: datetime, *, due: bool) -> World:
        """As `world`, of a target of kind Service."""
        target = find_service_target(canary, self._caches)
        primary = find_service_primary(canary, self._caches)
        problems = self._problems(canary, target, primary)
        return World(
            now=now,
            due=due,
            target=observed(target),
            primary=observed(primary),
            in_primary=(
                target is not None and primary is not None and target.revision == primary.revision
            ),
            problems=problems,
            splits=self._routers.splits(canary),
            unprepared=() if problems else self._routers.preflight(canary),
        )

    def _problems(
        self,
        canary: Canary,
        target: PodsView | ServiceView | None,
        primary: PodsView | ServiceView | None,
    ) -> tuple[Problem, ...]:
        """The first kind of problem there is: a later kind may only follow from an earlier."""
        found = self._spec_problems(canary) or self._claims.problems(canary, primary)
        if found or target is None:
            return found
        return (
            workload_problems(canary, self._caches, self._rules)
            or self._routers.problems(canary)
            or self._custom.problems(canary)
            or self._alerts.problems(canary)
        )

    def _spec_problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What is wrong with the spec, judged once for each of its generations: it takes as long
        as all the rest of a look."""
        meta = canary.metadata
        known = self._judged.get(meta.uid)
        if known is None or known[0] != meta.generation:
            found = canary_problems(canary) or unsupported(canary, self._routers.provider(canary))
            known = self._judged[meta.uid] = (meta.generation, found)
        return known[1]
