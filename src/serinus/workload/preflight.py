"""What is wrong with a canary's workload, seen from the caches."""

from serinus.api.canary import Canary, Phase
from serinus.api.problem import Problem
from serinus.cluster.kinds import SCALEDOBJECTS
from serinus.workload.autoscaler import fewest_replicas
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.kinds import find_target, is_service, pod_kind
from serinus.workload.labels import DEFAULT_RULES, LabelRules
from serinus.workload.scaledobject import asks_for_scaled_object
from serinus.workload.service_target import find_service_target, service_problems
from serinus.workload.tracking import config_problems

_AT_REST = frozenset(
    {
        Phase.NONE,
        Phase.INITIALIZING,
        Phase.INITIALIZED,
        Phase.WAITING,
        Phase.SUCCEEDED,
        Phase.FAILED,
    }
)


def workload_problems(
    canary: Canary, caches: WorkloadCaches, rules: LabelRules = DEFAULT_RULES
) -> tuple[Problem, ...]:
    """What about the target and its autoscaler keeps it from being rolled out.

    That the target does not exist is not among them: what to do then depends on the phase, so the
    rollout itself decides. An autoscaler, or a ConfigMap or Secret, that vanishes is no reason to
    freeze a rollout halfway.
    """
    if is_service(canary):
        gone = find_service_target(canary, caches) is None
        return () if gone else service_problems(canary, caches)
    target = find_target(canary, caches)
    if target is None:
        return ()
    found: list[Problem] = [*pod_kind(canary).problems(canary, caches)]
    try:
        rules.selector(
            f"{canary.target_name}.{canary.namespace}",
            target.spec.selector.match_labels,
            canary.spec.target_ref.kind,
        )
    except WorkloadError as error:
        found.append(Problem("spec.targetRef.name", str(error)))
    reference = canary.spec.autoscaler_ref
    if asks_for_scaled_object(canary) and caches.scaled_objects is None:
        found.append(
            Problem(
                "spec.autoscalerRef.kind",
                f"this cluster has no {SCALEDOBJECTS.kind} ({SCALEDOBJECTS.api_version}), or the "
                "operator may not read them; install KEDA, or name a HorizontalPodAutoscaler",
            )
        )
    elif (
        reference is not None
        and canary.status.phase in _AT_REST
        and fewest_replicas(canary, caches) is None
    ):
        found.append(
            Problem(
                "spec.autoscalerRef.name",
                f"{reference.kind} {reference.name}.{canary.namespace} does not exist; "
                "create it, or remove autoscalerRef",
            )
        )
    if canary.status.phase in _AT_REST:
        found.extend(config_problems(canary, target, caches))
    return tuple(found)
