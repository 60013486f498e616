"""The Canary: what to roll out, how, and where the rollout stands.

`Canary` and its parts are importable from here; the parts live in `serinus.api.service`,
`serinus.api.analysis` and `serinus.api.status`. Every default that is more than an absent value
is a property here or there, and nowhere else.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api.analysis import Analysis, Metric, Webhook
from serinus.api.fields import Whole, doc
from serinus.api.meta import ObjectMeta
from serinus.api.resource import Resource
from serinus.api.service import ServiceSpec
from serinus.api.status import CanaryStatus, Condition, Phase

__all__ = [
    "Analysis",
    "AutoscalerRef",
    "Canary",
    "CanarySpec",
    "CanaryStatus",
    "Condition",
    "Metric",
    "Phase",
    "ServiceSpec",
    "TargetRef",
    "Webhook",
]

MESH = "kuma.io/mesh"
"""Annotation (or label) that names the Kuma mesh of an object."""

PROVIDERS = (
    "apisix",
    "appmesh",
    "appmesh:v1beta2",
    "contour",
    "gatewayapi:v1",
    "gatewayapi:v1beta1",
    "gloo",
    "istio",
    "knative",
    "kubernetes",
    "kuma",
    "linkerd",
    "nginx",
    "osm",
    "skipper",
    "smi:v1alpha1",
    "smi:v1alpha2",
    "smi:v1alpha3",
    "traefik",
)


class TargetRef(Resource, frozen=True, kw_only=True):
    """The workload that is rolled out."""

    api_version: Annotated[str, doc("API version of the workload, such as apps/v1.")]
    kind: Annotated[str, doc("Kind of the workload.", enum=["DaemonSet", "Deployment", "Service"])]
    name: Annotated[str, doc("Name of the workload, in the canary's namespace.")]


class ScalerReplicas(Resource, frozen=True, kw_only=True):
    """Bounds of the primary's autoscaler that differ from the target's."""

    min_replicas: Annotated[int | None, doc("Fewest replicas of the primary.", minimum=1)] = None
    max_replicas: Annotated[int | None, doc("Most replicas of the primary.", minimum=1)] = None


class AutoscalerRef(Resource, frozen=True, kw_only=True):
    """The autoscaler of the target; the primary gets one like it."""

    api_version: Annotated[str, doc("API version of the autoscaler, such as autoscaling/v2.")]
    kind: Annotated[
        str, doc("Kind of the autoscaler.", enum=["HorizontalPodAutoscaler", "ScaledObject"])
    ]
    name: Annotated[str, doc("Name of the autoscaler, in the canary's namespace.")]
    primary_scaler_queries: Annotated[
        Mapping[str, Annotated[str, doc("The query of the primary.")]],
        doc("Queries for the primary's ScaledObject, by trigger name."),
    ] = field(default_factory=dict)
    primary_scaler_replicas: Annotated[
        ScalerReplicas | None, doc("Replica bounds for the primary, where they differ.")
    ] = None


class IngressRef(Resource, frozen=True, kw_only=True):
    """An Ingress; meaningful to ingress providers."""

    api_version: Annotated[str, doc("API version of the Ingress.")]
    kind: Annotated[str, doc("Kind of the object.", enum=["Ingress"])]
    name: Annotated[str, doc("Name of the Ingress.")]


class RouteRef(Resource, frozen=True, kw_only=True):
    """An ApisixRoute; meaningful to the apisix provider."""

    api_version: Annotated[str, doc("API version of the ApisixRoute.")]
    kind: Annotated[str, doc("Kind of the object.", enum=["ApisixRoute"])]
    name: Annotated[str, doc("Name of the ApisixRoute.")]


class UpstreamRef(Resource, frozen=True, kw_only=True):
    """An Upstream; meaningful to the gloo provider."""

    api_version: Annotated[str, doc("API version of the Upstream.")]
    kind: Annotated[str, doc("Kind of the object.", enum=["Upstream"])]
    name: Annotated[str, doc("Name of the Upstream.")]
    namespace: Annotated[str, doc("Namespace of the Upstream.")] = ""


class CanarySpec(Resource, frozen=True, kw_only=True):
    """What is rolled out, how it is reached, and how it is judged."""

    provider: Annotated[
        str,
        doc(
            "Mesh or ingress that shifts the traffic; the operator's own when empty.",
            enum=list(PROVIDERS),
        ),
    ] = ""
    metrics_server: Annotated[
        str, doc("Address of the Prometheus to ask; the operator's own when empty.")
    ] = ""
    target_ref: Annotated[TargetRef, doc("Workload that is rolled out.")]
    autoscaler_ref: Annotated[
        AutoscalerRef | None,
        doc("Autoscaler of the workload; one that names the target is found by itself."),
    ] = None
    ingress_ref: Annotated[IngressRef | None, doc("Ingress of the workload.")] = None
    route_ref: Annotated[RouteRef | None, doc("ApisixRoute of the workload.")] = None
    upstream_ref: Annotated[UpstreamRef | None, doc("Gloo Upstream to copy settings from.")] = None
    service: Annotated[
        ServiceSpec, doc("Services that are made for the workload, and its routing.")
    ] = field(default_factory=lambda: ServiceSpec(port=0))
    skip_analysis: Annotated[
        bool, doc("Whether new revisions are promoted as soon as their pods are ready, unanalysed.")
    ] = False
    revert_on_deletion: Annotated[
        bool,
        doc("Whether deleting the canary scales the target up and gives the traffic back to it."),
    ] = False
    suspend: Annotated[
        bool, doc("Whether this canary is left as it is for now, a rollout in mid-way included.")
    ] = False
    progress_deadline_seconds: Annotated[
        Whole | None, doc("Seconds that a workload may take to become ready; 600 by default.")
    ] = None
    analysis: Annotated[
        Analysis,
        doc(
            "Pace of the rollout and what it is judged by.",
            oneOf=[
                {"required": ["interval", "threshold", strategy]}
                for strategy in ("iterations", "stepWeight", "stepWeights")
            ],
        ),
    ]

    @property
    def progress_deadline(self) -> int:
        """Seconds that a workload may take to become ready."""
        return 600 if self.progress_deadline_seconds is None else self.progress_deadline_seconds


class Canary(Resource, frozen=True, kw_only=True):
    """The resource as the API server keeps it."""

    api_version: str = "flagger.app/v1beta1"
    kind: str = "Canary"
    metadata: ObjectMeta
    spec: CanarySpec
    status: CanaryStatus = field(default_factory=CanaryStatus)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def target_name(self) -> str:
        return self.spec.target_ref.name

    @property
    def primary_name(self) -> str:
        """Name of the workload that serves while there is nothing to roll out."""
        return f"{self.target_name}-primary"

    @property
    def apex_name(self) -> str:
        """Name of the Service that callers use."""
        return self.spec.service.name or self.target_name

    @property
    def primary_service(self) -> str:
        """Name of the Service in front of the primary's pods."""
        return f"{self.apex_name}-primary"

    @property
    def canary_service(self) -> str:
        """Name of the Service in front of the target's pods."""
        return f"{self.apex_name}-canary"

    @property
    def mesh(self) -> str:
        """The Kuma mesh that the canary's objects belong to."""
        annotated = self.metadata.annotations.get(MESH)
        return annotated or self.metadata.labels.get(MESH) or "default"
