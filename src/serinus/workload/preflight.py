"""What is wrong with a canary's workload, seen from the caches."""

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.kinds import DEPLOYMENTS, HPAS
from serinus.workload.autoscaler import target_hpa
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.labels import DEFAULT_RULES, LabelRules


def workload_problems(
    canary: Canary, caches: WorkloadCaches, rules: LabelRules = DEFAULT_RULES
) -> tuple[Problem, ...]:
    """Everything about the target and its autoscaler that keeps it from being rolled out."""
    kind = canary.spec.target_ref.kind
    if kind != DEPLOYMENTS.kind:
        return (
            Problem(
                "spec.targetRef.kind",
                f"{kind} targets cannot be rolled out yet; a Deployment can",
            ),
        )
    name = f"{canary.target_name}.{canary.namespace}"
    target = caches.deployments.get(canary.namespace, canary.target_name)
    if target is None:
        return (
            Problem(
                "spec.targetRef.name",
                f"deployment {name} does not exist; create it, or name one that does",
            ),
        )
    found: list[Problem] = []
    try:
        rules.selector(name, target.spec.selector.match_labels)
    except WorkloadError as error:
        found.append(Problem("spec.targetRef.name", str(error)))
    reference = canary.spec.autoscaler_ref
    if reference is not None and reference.kind != HPAS.kind:
        found.append(
            Problem(
                "spec.autoscalerRef.kind",
                f"{reference.kind} cannot be followed yet; a {HPAS.kind} can",
            )
        )
    elif reference is not None and target_hpa(canary, caches) is None:
        found.append(
            Problem(
                "spec.autoscalerRef.name",
                f"{HPAS.kind} {reference.name}.{canary.namespace} does not exist; "
                "create it, or remove autoscalerRef",
            )
        )
    return tuple(found)
