"""Which fields of a Canary this release obeys.

The schema is Flagger's whole schema, so that every manifest is accepted and shown; but a field
whose behaviour is not there must not be half-obeyed. Each place of the schema is in `SUPPORTED`,
or at or below a place in `REFUSED`; giving a field its behaviour moves its line.
"""

from collections.abc import Mapping

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.walk import walk

PROVIDER = "kuma"
"""The one provider there is."""

SUPPORTED = frozenset(
    {
        "spec.provider",
        "spec.metricsServer",
        "spec.progressDeadlineSeconds",
        "spec.suspend",
        "spec.targetRef",
        "spec.targetRef.apiVersion",
        "spec.targetRef.kind",
        "spec.targetRef.name",
        "spec.autoscalerRef",
        "spec.autoscalerRef.apiVersion",
        "spec.autoscalerRef.kind",
        "spec.autoscalerRef.name",
        "spec.autoscalerRef.primaryScalerReplicas",
        "spec.autoscalerRef.primaryScalerReplicas.minReplicas",
        "spec.autoscalerRef.primaryScalerReplicas.maxReplicas",
        "spec.service",
        "spec.service.name",
        "spec.service.port",
        "spec.service.portName",
        "spec.service.targetPort",
        "spec.service.appProtocol",
        "spec.service.apex",
        "spec.service.apex.labels",
        "spec.service.apex.labels{}",
        "spec.service.apex.annotations",
        "spec.service.apex.annotations{}",
        "spec.service.primary",
        "spec.service.primary.labels",
        "spec.service.primary.labels{}",
        "spec.service.primary.annotations",
        "spec.service.primary.annotations{}",
        "spec.service.canary",
        "spec.service.canary.labels",
        "spec.service.canary.labels{}",
        "spec.service.canary.annotations",
        "spec.service.canary.annotations{}",
        "spec.service.unmanagedMetadata",
        "spec.service.unmanagedMetadata.annotations",
        "spec.service.unmanagedMetadata.annotations[]",
        "spec.service.unmanagedMetadata.labels",
        "spec.service.unmanagedMetadata.labels[]",
        "spec.analysis",
        "spec.analysis.interval",
        "spec.analysis.threshold",
        "spec.analysis.maxWeight",
        "spec.analysis.stepWeight",
        "spec.analysis.primaryReadyThreshold",
        "spec.analysis.canaryReadyThreshold",
        "spec.analysis.metrics",
        "spec.analysis.metrics[]",
        "spec.analysis.metrics[].name",
        "spec.analysis.metrics[].interval",
        "spec.analysis.metrics[].threshold",
        "spec.analysis.metrics[].thresholdRange",
        "spec.analysis.metrics[].thresholdRange.min",
        "spec.analysis.metrics[].thresholdRange.max",
        "spec.analysis.webhooks",
        "spec.analysis.webhooks[]",
        "spec.analysis.webhooks[].name",
        "spec.analysis.webhooks[].type",
        "spec.analysis.webhooks[].url",
        "spec.analysis.webhooks[].timeout",
        "spec.analysis.webhooks[].retries",
        "spec.analysis.webhooks[].disableTLS",
        "spec.analysis.webhooks[].muteAlert",
        "spec.analysis.webhooks[].metadata",
        "spec.analysis.webhooks[].metadata{}",
    }
)

_REMOVE = "remove it"
_ELSEWHERE = "it is for other providers, and Kuma would not obey it; remove it"
_WEIGHTS = "use stepWeight and maxWeight"
_BUILTIN = "use the metrics request-success-rate and request-duration"

REFUSED: Mapping[str, str] = {
    "spec.ingressRef": _ELSEWHERE,
    "spec.routeRef": _ELSEWHERE,
    "spec.upstreamRef": _ELSEWHERE,
    "spec.autoscalerRef.primaryScalerQueries": _REMOVE,
    "spec.skipAnalysis": _REMOVE,
    "spec.revertOnDeletion": _REMOVE,
    "spec.service.trafficDistribution": _REMOVE,
    "spec.service.portDiscovery": _REMOVE,
    "spec.service.headless": _REMOVE,
    "spec.service.timeout": _REMOVE,
    "spec.service.backendTimeout": _ELSEWHERE,
    "spec.service.meshName": "name the mesh in the annotation kuma.io/mesh",
    "spec.service.backends": _ELSEWHERE,
    "spec.service.hosts": _ELSEWHERE,
    "spec.service.delegation": _ELSEWHERE,
    "spec.service.match": _REMOVE,
    "spec.service.retries": "use Kuma's MeshRetry",
    "spec.service.rewrite": _REMOVE,
    "spec.service.mirror": _REMOVE,
    "spec.service.headers": _REMOVE,
    "spec.service.gateways": _ELSEWHERE,
    "spec.service.gatewayRefs": _ELSEWHERE,
    "spec.service.corsPolicy": _ELSEWHERE,
    "spec.service.trafficPolicy": _ELSEWHERE,
    "spec.analysis.iterations": _WEIGHTS,
    "spec.analysis.stepWeights": _WEIGHTS,
    "spec.analysis.stepWeightPromotion": _REMOVE,
    "spec.analysis.mirror": _REMOVE,
    "spec.analysis.mirrorWeight": _REMOVE,
    "spec.analysis.match": _WEIGHTS,
    "spec.analysis.alerts": _REMOVE,
    "spec.analysis.sessionAffinity": _REMOVE,
    "spec.analysis.metrics[].query": _BUILTIN,
    "spec.analysis.metrics[].templateRef": _BUILTIN,
    "spec.analysis.metrics[].templateVariables": _BUILTIN,
}

VALUES: Mapping[str, tuple[str, ...]] = {
    "spec.targetRef.kind": ("Deployment",),
    "spec.autoscalerRef.kind": ("HorizontalPodAutoscaler",),
    "spec.analysis.webhooks[].type": ("", "rollout", "pre-rollout"),
}
"""The values that are obeyed, where a supported field has values that are not."""


def unsupported(canary: Canary, provider: str) -> tuple[Problem, ...]:
    """What the canary asks for that this release does not do.

    ``provider`` is the operator's own, for canaries that name none. A field counts as asked for
    when it is set to something other than its default; what is inside a refused field is not
    listed again.
    """
    found = []
    wanted = canary.spec.provider or provider
    if wanted != PROVIDER:
        found.append(_refusal("spec.provider", f'"{wanted}"', f'use "{PROVIDER}"'))
    refused: str | None = None
    for visit in walk(canary.spec, "spec"):
        if refused is not None and visit.path.startswith((f"{refused}.", f"{refused}[")):
            continue
        if visit.pattern not in SUPPORTED:
            refused = visit.path
            found.append(_refusal(visit.path, "", REFUSED.get(visit.pattern, _REMOVE)))
        elif visit.value not in VALUES.get(visit.pattern, (visit.value,)):
            known = " or ".join(f'"{value}"' for value in VALUES[visit.pattern] if value)
            found.append(_refusal(visit.path, f'"{visit.value}"', f"use {known}"))
    return tuple(found)


def _refusal(path: str, value: str, instead: str) -> Problem:
    subject = f"{value} is not" if value else "not"
    return Problem(path, f"{subject} supported by this release of Serinus; {instead}")
