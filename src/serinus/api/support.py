"""Which fields of a Canary this release obeys.

The schema is Flagger's whole schema, so that every manifest is accepted and shown; but a field
whose behaviour is not there must not be half-obeyed. Each place of the schema is in `SUPPORTED`,
or at or below a place in `REFUSED`; giving a field its behaviour moves its line. Of the latter,
those in `GATEWAY_API` are obeyed by its providers.
"""

from collections.abc import Mapping

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.walk import walk

GATEWAY_PROVIDERS = ("gatewayapi:v1", "gatewayapi:v1beta1")
"""Two names for the same: an HTTPRoute of the Gateway API, at v1."""

PROVIDERS = ("kuma", "kubernetes", *GATEWAY_PROVIDERS)
"""Those of Flagger's providers that Serinus has a router for."""

SUPPORTED = frozenset(
    {
        "spec.provider",
        "spec.metricsServer",
        "spec.progressDeadlineSeconds",
        "spec.suspend",
        "spec.skipAnalysis",
        "spec.revertOnDeletion",
        "spec.targetRef",
        "spec.targetRef.apiVersion",
        "spec.targetRef.kind",
        "spec.targetRef.name",
        "spec.autoscalerRef",
        "spec.autoscalerRef.apiVersion",
        "spec.autoscalerRef.kind",
        "spec.autoscalerRef.name",
        "spec.autoscalerRef.primaryScalerQueries",
        "spec.autoscalerRef.primaryScalerQueries{}",
        "spec.autoscalerRef.primaryScalerReplicas",
        "spec.autoscalerRef.primaryScalerReplicas.minReplicas",
        "spec.autoscalerRef.primaryScalerReplicas.maxReplicas",
        "spec.service",
        "spec.service.name",
        "spec.service.port",
        "spec.service.portName",
        "spec.service.targetPort",
        "spec.service.appProtocol",
        "spec.service.headless",
        "spec.service.portDiscovery",
        "spec.service.trafficDistribution",
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
        "spec.service.timeout",
        "spec.service.retries",
        "spec.service.retries.attempts",
        "spec.service.retries.perTryTimeout",
        "spec.service.retries.retryOn",
        "spec.service.rewrite",
        "spec.service.rewrite.uri",
        "spec.service.rewrite.authority",
        "spec.service.rewrite.type",
        "spec.service.headers",
        "spec.service.headers.request",
        "spec.service.headers.request.add",
        "spec.service.headers.request.add{}",
        "spec.service.headers.request.set",
        "spec.service.headers.request.set{}",
        "spec.service.headers.request.remove",
        "spec.service.headers.request.remove[]",
        "spec.service.headers.response",
        "spec.service.headers.response.add",
        "spec.service.headers.response.add{}",
        "spec.service.headers.response.set",
        "spec.service.headers.response.set{}",
        "spec.service.headers.response.remove",
        "spec.service.headers.response.remove[]",
        "spec.service.match",
        "spec.service.match[]",
        "spec.service.match[].uri",
        "spec.service.match[].uri.exact",
        "spec.service.match[].uri.prefix",
        "spec.service.match[].uri.regex",
        "spec.service.match[].method",
        "spec.service.match[].method.exact",
        "spec.service.match[].headers",
        "spec.service.match[].headers{}",
        "spec.service.match[].headers{}.exact",
        "spec.service.match[].headers{}.prefix",
        "spec.service.match[].headers{}.regex",
        "spec.service.match[].queryParams",
        "spec.service.match[].queryParams{}",
        "spec.service.match[].queryParams{}.exact",
        "spec.service.match[].queryParams{}.prefix",
        "spec.service.match[].queryParams{}.regex",
        "spec.analysis",
        "spec.analysis.interval",
        "spec.analysis.threshold",
        "spec.analysis.maxWeight",
        "spec.analysis.stepWeight",
        "spec.analysis.primaryReadyThreshold",
        "spec.analysis.canaryReadyThreshold",
        "spec.analysis.iterations",
        "spec.analysis.stepWeights",
        "spec.analysis.stepWeights[]",
        "spec.analysis.stepWeightPromotion",
        "spec.analysis.mirror",
        "spec.analysis.mirrorWeight",
        "spec.analysis.match",
        "spec.analysis.match[]",
        "spec.analysis.match[].headers",
        "spec.analysis.match[].headers{}",
        "spec.analysis.match[].headers{}.exact",
        "spec.analysis.match[].headers{}.prefix",
        "spec.analysis.match[].headers{}.regex",
        "spec.analysis.match[].headers{}.suffix",
        "spec.analysis.match[].queryParams",
        "spec.analysis.match[].queryParams{}",
        "spec.analysis.match[].queryParams{}.exact",
        "spec.analysis.match[].queryParams{}.prefix",
        "spec.analysis.match[].queryParams{}.regex",
        "spec.analysis.match[].sourceLabels",
        "spec.analysis.match[].sourceLabels{}",
        "spec.analysis.alerts",
        "spec.analysis.alerts[]",
        "spec.analysis.alerts[].name",
        "spec.analysis.alerts[].providerRef",
        "spec.analysis.alerts[].providerRef.name",
        "spec.analysis.alerts[].providerRef.namespace",
        "spec.analysis.alerts[].severity",
        "spec.analysis.sessionAffinity",
        "spec.analysis.sessionAffinity.cookieName",
        "spec.analysis.sessionAffinity.domain",
        "spec.analysis.sessionAffinity.httpOnly",
        "spec.analysis.sessionAffinity.maxAge",
        "spec.analysis.sessionAffinity.partitioned",
        "spec.analysis.sessionAffinity.path",
        "spec.analysis.sessionAffinity.primaryCookieName",
        "spec.analysis.sessionAffinity.sameSite",
        "spec.analysis.sessionAffinity.secure",
        "spec.analysis.metrics",
        "spec.analysis.metrics[]",
        "spec.analysis.metrics[].name",
        "spec.analysis.metrics[].interval",
        "spec.analysis.metrics[].threshold",
        "spec.analysis.metrics[].thresholdRange",
        "spec.analysis.metrics[].thresholdRange.min",
        "spec.analysis.metrics[].thresholdRange.max",
        "spec.analysis.metrics[].query",
        "spec.analysis.metrics[].templateRef",
        "spec.analysis.metrics[].templateRef.name",
        "spec.analysis.metrics[].templateRef.namespace",
        "spec.analysis.metrics[].templateVariables",
        "spec.analysis.metrics[].templateVariables{}",
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

GATEWAY_API = frozenset(
    {
        "spec.service.hosts",
        "spec.service.hosts[]",
        "spec.service.gatewayRefs",
        "spec.service.gatewayRefs[]",
        "spec.service.gatewayRefs[].group",
        "spec.service.gatewayRefs[].kind",
        "spec.service.gatewayRefs[].name",
        "spec.service.gatewayRefs[].namespace",
        "spec.service.gatewayRefs[].sectionName",
        "spec.service.gatewayRefs[].port",
    }
)
"""Places that the providers of the Gateway API obey, and no others."""

_REMOVE = "remove it"
_ELSEWHERE = "it is for other providers, and Kuma would not obey it; remove it"
_GATEWAY_API = "it is the Gateway API's; use provider gatewayapi:v1, or remove it"

REFUSED: Mapping[str, str] = {
    "spec.ingressRef": _ELSEWHERE,
    "spec.routeRef": _ELSEWHERE,
    "spec.upstreamRef": _ELSEWHERE,
    "spec.service.backendTimeout": _ELSEWHERE,
    "spec.service.meshName": "name the mesh in the annotation kuma.io/mesh",
    "spec.service.backends": _ELSEWHERE,
    "spec.service.hosts": _GATEWAY_API,
    "spec.service.delegation": _ELSEWHERE,
    "spec.service.match[].authority": "Kuma routes by the Service that is called; remove it",
    "spec.service.match[].gateways": _ELSEWHERE,
    "spec.service.match[].ignoreUriCase": "Kuma heeds case; use uri.regex, which may begin (?i)",
    "spec.service.match[].method.prefix": "Kuma matches whole methods; use method.exact",
    "spec.service.match[].method.regex": "Kuma matches whole methods; use method.exact",
    "spec.service.match[].name": "Kuma has no names for matches; remove it",
    "spec.service.match[].port": "the route is for spec.service.port; remove it",
    "spec.service.match[].scheme": "Kuma does not match by it; remove it",
    "spec.service.match[].sourceLabels": "Kuma does not match by the caller; use headers",
    "spec.service.match[].sourceNamespace": "Kuma does not match by the caller; use headers",
    "spec.service.match[].withoutHeaders": "Kuma matches what is there; use headers",
    "spec.service.mirror": "it is the Gateway API's; use analysis.mirror for copies to the canary",
    "spec.service.gateways": _ELSEWHERE,
    "spec.service.gatewayRefs": _GATEWAY_API,
    "spec.service.corsPolicy": _ELSEWHERE,
    "spec.service.trafficPolicy": _ELSEWHERE,
}


def unsupported(canary: Canary, provider: str) -> tuple[Problem, ...]:
    """What the canary asks for that this release does not do.

    ``provider`` is the operator's own, for canaries that name none. A field counts as asked for
    when it is set to something other than its default; what is inside a refused field is not
    listed again.
    """
    found = []
    wanted = canary.spec.provider or provider
    if wanted not in PROVIDERS:
        known = " or ".join(f'"{provider}"' for provider in PROVIDERS)
        found.append(_refusal("spec.provider", f'"{wanted}"', f"use {known}"))
    obeyed = SUPPORTED | GATEWAY_API if wanted in GATEWAY_PROVIDERS else SUPPORTED
    refused: str | None = None
    for visit in walk(canary.spec, "spec"):
        if refused is not None and visit.path.startswith((f"{refused}.", f"{refused}[")):
            continue
        if visit.pattern not in obeyed:
            refused = visit.path
            found.append(_refusal(visit.path, "", REFUSED.get(visit.pattern, _REMOVE)))
    return tuple(found)


def _refusal(path: str, value: str, instead: str) -> Problem:
    subject = f"{value} is not" if value else "not"
    return Problem(path, f"{subject} supported by this release of Serinus; {instead}")
