"""What the caches hold of Deployments, Services and autoscalers: only the fields that ticks read.

A Deployment as a plain dict takes some 37 KiB; as one of these structs about 1.4 KiB plus its pod
template's text. A field that is not declared here is never decoded.
"""

from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct, field

from serinus.api import meta
from serinus.workload.configs import ConfigName, ConfigUse, uses_in
from serinus.workload.revision import revision

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's copy of the whole manifest: no tick reads it, and it would double a view's size."""

PROMOTION_ID = "flagger-id"
"""Pod annotation of a primary with an id for each promotion, under the name Flagger gave it."""


class ObjectMeta(meta.ObjectMeta, frozen=True):
    """The metadata that ticks read."""

    def __post_init__(self) -> None:
        if LAST_APPLIED in self.annotations:
            rest = {key: text for key, text in self.annotations.items() if key != LAST_APPLIED}
            msgspec.structs.force_setattr(self, "annotations", rest)

    def owned_by(self, uid: str) -> bool:
        """Whether the object of that uid is among the owners."""
        return any(owner.uid == uid for owner in self.owner_references)


class Condition(Struct, frozen=True, rename="camel", gc=False):
    """One entry of a Deployment's status.conditions."""

    type: str
    status: str
    reason: str = ""
    last_update_time: datetime | None = None


class LabelSelector(Struct, frozen=True, rename="camel", gc=False):
    """A selector; what is read of it is its equalities."""

    match_labels: dict[str, str] = field(default_factory=dict)


class DeploymentSpec(Struct, frozen=True, rename="camel", gc=False):
    """The part of a Deployment's spec that ticks read. ``template`` is the pod template's JSON."""

    selector: LabelSelector = LabelSelector()
    template: msgspec.Raw = msgspec.Raw(b"{}")
    replicas: int = 1

    def __post_init__(self) -> None:
        # A Raw is a view into the message that it came in, and would keep all of that alive.
        msgspec.structs.force_setattr(self, "template", self.template.copy())


class DeploymentStatus(Struct, frozen=True, rename="camel", gc=False):
    """A Deployment's status."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class _TemplateMeta(Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Template(Struct, frozen=True):
    metadata: _TemplateMeta | None = None


_templates = msgspec.json.Decoder(_Template)


class DeploymentView(Struct, frozen=True, dict=True):
    """A Deployment."""

    metadata: ObjectMeta
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    @cached_property
    def revision(self) -> str:
        """The hash of the pod template (`serinus.workload.revision`), computed when first read."""
        return revision(self.spec.template)

    @cached_property
    def origin(self) -> str | None:
        """For a primary: the id of the promotion that its pod template came with."""
        metadata = _templates.decode(self.spec.template).metadata
        return None if metadata is None else (metadata.annotations or {}).get(PROMOTION_ID)

    @cached_property
    def config_uses(self) -> tuple[ConfigUse, ...]:
        """The users' ConfigMaps and Secrets that the pod template refers to."""
        return uses_in(self.spec.template)

    @cached_property
    def config_names(self) -> frozenset[ConfigName]:
        """Kind and name of each of `config_uses`: a change of one may be a new revision."""
        return frozenset((use.kind, use.name) for use in self.config_uses)

    @cached_property
    def comparisons(self) -> dict[object, bool]:
        """What comparing this object with others has shown; kept as long as the object is."""
        return {}

    def template(self) -> dict[str, Any]:
        """The pod template, decoded anew: the caller may change it."""
        template: dict[str, Any] = msgspec.json.decode(self.spec.template)
        return template

    def condition(self, kind: str) -> Condition | None:
        """The status condition of that type."""
        return next((c for c in self.status.conditions if c.type == kind), None)


class ServicePort(Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A port of a Service."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    app_protocol: str | None = None
    node_port: int = 0


class ServiceSpec(Struct, frozen=True, rename={"cluster_ip": "clusterIP"}, gc=False):
    """The part of a Service's spec that ticks read."""

    selector: dict[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = ""
    type: str = "ClusterIP"


class ServiceView(Struct, frozen=True, gc=False):
    """A Service."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class ScaleTargetRef(Struct, frozen=True, rename="camel", gc=False):
    """What an autoscaler scales."""

    kind: str
    name: str
    api_version: str = ""


class HPAView(Struct, frozen=True, gc=False):
    """A HorizontalPodAutoscaler. ``spec`` is its whole spec's JSON, copied verbatim to a primary's.

    ``min_replicas`` is 1 when the object does not say (the API's default).
    """

    metadata: ObjectMeta
    spec: msgspec.Raw
    scale_target_ref: ScaleTargetRef
    min_replicas: int = 1


class _HPASpec(Struct, rename="camel"):
    scale_target_ref: ScaleTargetRef
    min_replicas: int | None = None


class _HPAObject(Struct):
    metadata: ObjectMeta
    spec: msgspec.Raw


_deployments = msgspec.json.Decoder(DeploymentView)
_services = msgspec.json.Decoder(ServiceView)
_hpas = msgspec.json.Decoder(_HPAObject)
_hpa_specs = msgspec.json.Decoder(_HPASpec)


def decode_deployment(raw: bytes) -> DeploymentView:
    """The view of one apps/v1 Deployment. Raises msgspec.ValidationError on another shape."""
    return _deployments.decode(raw)


def decode_service(raw: bytes) -> ServiceView:
    """The view of one v1 Service. Raises msgspec.ValidationError on another shape."""
    return _services.decode(raw)


def decode_hpa(raw: bytes) -> HPAView:
    """The view of one autoscaling/v2 HorizontalPodAutoscaler."""
    whole = _hpas.decode(raw)
    known = _hpa_specs.decode(whole.spec)
    return HPAView(
        metadata=whole.metadata,
        spec=whole.spec.copy(),
        scale_target_ref=known.scale_target_ref,
        min_replicas=1 if known.min_replicas is None else known.min_replicas,
    )
