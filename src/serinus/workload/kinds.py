"""What differs between the kinds of workloads that have pods, and which of them a canary names.

Begin here: `deployment` and `daemonset` hold one kind each. A target of kind Service has no pods,
so nothing of this fits it: `service_target` is all of its story.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.kinds import SERVICES
from serinus.cluster.resource import Resource
from serinus.rollout.world import Workload
from serinus.workload.caches import WorkloadCaches
from serinus.workload.daemonset import DaemonSets
from serinus.workload.deployment import Deployments
from serinus.workload.errors import WorkloadError
from serinus.workload.views import PodsView

Json = dict[str, Any]


class PodKind(Protocol):
    """A kind of workload with pods. Patches are JSON merge patches, None when all is well."""

    @property
    def resource(self) -> Resource:
        """Where the API server keeps it."""

    def decode(self, raw: bytes) -> PodsView:
        """The view of one such object."""

    def find(self, caches: WorkloadCaches, namespace: str, name: str) -> PodsView | None:
        """The one of that name."""

    def observed(
        self,
        canary: Canary,
        caches: WorkloadCaches,
        name: str,
        now: datetime,
        threshold_percent: int,
        configs: Mapping[str, str],
    ) -> Workload | None:
        """What a tick sees of the one of that name."""

    def problems(self, canary: Canary, caches: WorkloadCaches, /) -> tuple[Problem, ...]:
        """What keeps this target from being rolled out."""

    def own_template(self, template: Json) -> Json:
        """A target's pod template without what Serinus put there."""

    def emptying(self, canary: Canary, caches: WorkloadCaches) -> bool:
        """Whether a target whose pods were taken away still seems to have them."""

    def waking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """The patch that gives the target its pods."""

    def parking(self, canary: Canary, caches: WorkloadCaches) -> Json | None:
        """The patch that takes the target's pods away."""


_KINDS: Mapping[str, PodKind] = {kind.resource.kind: kind for kind in (Deployments(), DaemonSets())}


def is_service(canary: Canary) -> bool:
    """Whether the target is a Service, which has no pods of its own."""
    return canary.spec.target_ref.kind == SERVICES.kind


def pod_kind(canary: Canary) -> PodKind:
    """The kind of a target that has pods."""
    kind = canary.spec.target_ref.kind
    found = _KINDS.get(kind)
    if found is None:
        raise WorkloadError(
            f"spec.targetRef.kind is {kind}; it must be one of "
            f"{', '.join((*_KINDS, SERVICES.kind))}"
        )
    return found


def find_target(canary: Canary, caches: WorkloadCaches) -> PodsView | None:
    """The target, if it has pods and exists."""
    if canary.spec.target_ref.kind not in _KINDS:
        return None
    return pod_kind(canary).find(caches, canary.namespace, canary.target_name)


def find_primary(canary: Canary, caches: WorkloadCaches) -> PodsView | None:
    """The primary, if it has pods and exists."""
    if canary.spec.target_ref.kind not in _KINDS:
        return None
    return pod_kind(canary).find(caches, canary.namespace, canary.primary_name)
