"""What is wrong with a canary's workload, seen from the caches."""

from serinus.api.canary import Canary, Phase
from serinus.api.problem import Problem
from serinus.workload.autoscaler import target_hpa
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.labels import DEFAULT_RULES, LabelRules
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
    target = caches.deployments.get(canary.namespace, canary.target_name)
    if target is None:
        return ()
    found: list[Problem] = []
    try:
        rules.selector(
            f"{canary.target_name}.{canary.namespace}", target.spec.selector.match_labels
        )
    except WorkloadError as error:
        found.append(Problem("spec.targetRef.name", str(error)))
    reference = canary.spec.autoscaler_ref
    if (
        reference is not None
        and canary.status.phase in _AT_REST
        and target_hpa(canary, caches) is None
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
