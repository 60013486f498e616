"""What the caches hold of Deployments, Services and autoscalers: only the fields that ticks read.

A Deployment as a plain dict takes some 37 KiB; as one of these structs about 1.4 KiB plus its pod
template's text. A field that is not declared here is never decoded.
"""

from collections.abc import Mapping
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

PARKED = "flagger.app/scale-to-zero"
"""Key of the node selector that keeps a DaemonSet from running anywhere: no node has that label."""

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


class PodsSpec(Struct, frozen=True, rename="camel", gc=False):
    """What the specs of all workloads with pods have. ``template`` is the pod template's JSON."""

    selector: LabelSelector = LabelSelector()
    template: msgspec.Raw = msgspec.Raw(b"{}")

    def __post_init__(self) -> None:
        # A Raw is a view into the message that it came in, and would keep all of that alive.
        msgspec.structs.force_setattr(self, "template", self.template.copy())


class DeploymentSpec(PodsSpec, frozen=True, rename="camel", gc=False):
    """The part of a Deployment's spec that ticks read."""

    replicas: int = 1


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


class PodsView(Struct, frozen=True, dict=True):
    """A workload with pods: what its kind does not matter for."""

    metadata: ObjectMeta
    spec: PodsSpec = PodsSpec()

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


class DeploymentView(PodsView, frozen=True, dict=True):
    """A Deployment."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    def condition(self, kind: str) -> Condition | None:
        """The status condition of that type."""
        return next((c for c in self.status.conditions if c.type == kind), None)


class UpdateStrategy(Struct, frozen=True, gc=False):
    """How a DaemonSet replaces its pods."""

    type: str = "RollingUpdate"


class DaemonSetSpec(PodsSpec, frozen=True, rename="camel", gc=False):
    """The part of a DaemonSet's spec that ticks read. ``template`` is without the selector by
    which Serinus parks it; ``parked`` tells whether that was there."""

    update_strategy: UpdateStrategy = UpdateStrategy()
    parked: bool = False

    def __post_init__(self) -> None:
        template = self.template.copy()
        if b'"nodeSelector"' in bytes(template):
            whole = msgspec.json.decode(template)
            parked = is_parked(whole)
            template = msgspec.Raw(msgspec.json.encode(unparked(whole)))
            msgspec.structs.force_setattr(self, "parked", parked)
        msgspec.structs.force_setattr(self, "template", template)


class DaemonSetStatus(Struct, frozen=True, rename="camel", gc=False):
    """A DaemonSet's status."""

    observed_generation: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0


class DaemonSetView(PodsView, frozen=True, dict=True):
    """A DaemonSet."""

    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


def is_parked(template: Mapping[str, Any]) -> bool:
    """Whether a DaemonSet's pod template may run on no node."""
    return PARKED in ((template.get("spec") or {}).get("nodeSelector") or {})


def unparked(template: dict[str, Any]) -> dict[str, Any]:
    """A DaemonSet's pod template as its owner means it. A node selector that selects nothing is
    the same as none: which of the two the API server gives depends on who wrote last."""
    spec = template.get("spec") or {}
    if "nodeSelector" not in spec:
        return template
    others = {key: text for key, text in (spec["nodeSelector"] or {}).items() if key != PARKED}
    made = {key: value for key, value in spec.items() if key != "nodeSelector"}
    if others:
        made["nodeSelector"] = others
    return {**template, "spec": made}


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
    traffic_distribution: str | None = field(default=None, name="trafficDistribution")


class ServiceView(Struct, frozen=True, dict=True):
    """A Service. ``text`` is its whole spec's JSON."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    text: msgspec.Raw = msgspec.Raw(b"{}")

    @cached_property
    def comparisons(self) -> dict[object, bool]:
        """As that of `PodsView`."""
        return {}

    @cached_property
    def revision(self) -> str:
        """The hash of what its owner says in its spec, computed when first read."""
        return revision(msgspec.json.encode(self.own_spec()))

    def own_spec(self) -> dict[str, Any]:
        """The spec without what the API server fills in, decoded anew."""
        return own_service_spec(msgspec.json.decode(self.text))


_FILLED_IN = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort")


def own_service_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the owner of a Service says in its spec. That it is headless is the owner's word."""
    made = {key: value for key, value in spec.items() if key not in _FILLED_IN}
    if spec.get("clusterIP") == "None":
        made["clusterIP"] = "None"
    if "ports" in spec:
        made["ports"] = [
            {key: value for key, value in port.items() if key != "nodePort"}
            for port in spec["ports"] or ()
        ]
    return made


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


class ScaledObjectView(Struct, frozen=True, gc=False):
    """A ScaledObject of KEDA's. ``spec`` is its whole spec's JSON.

    ``min_replicas`` is 0 when the object does not say (KEDA's default).
    """

    metadata: ObjectMeta
    spec: msgspec.Raw
    min_replicas: int = 0


class _ScaledObjectSpec(Struct, rename="camel"):
    min_replica_count: int | None = None


class _HPASpec(Struct, rename="camel"):
    scale_target_ref: ScaleTargetRef
    min_replicas: int | None = None


class _Whole(Struct):
    metadata: ObjectMeta
    spec: msgspec.Raw = msgspec.Raw(b"{}")


_deployments = msgspec.json.Decoder(DeploymentView)
_daemonsets = msgspec.json.Decoder(DaemonSetView)
_service_specs = msgspec.json.Decoder(ServiceSpec)
_scaled_object_specs = msgspec.json.Decoder(_ScaledObjectSpec)
_wholes = msgspec.json.Decoder(_Whole)
_hpa_specs = msgspec.json.Decoder(_HPASpec)


def decode_deployment(raw: bytes) -> DeploymentView:
    """The view of one apps/v1 Deployment. Raises msgspec.ValidationError on another shape."""
    return _deployments.decode(raw)


def decode_daemonset(raw: bytes) -> DaemonSetView:
    """The view of one apps/v1 DaemonSet. Raises msgspec.ValidationError on another shape."""
    return _daemonsets.decode(raw)


def decode_service(raw: bytes) -> ServiceView:
    """The view of one v1 Service. Raises msgspec.ValidationError on another shape."""
    whole = _wholes.decode(raw)
    return ServiceView(whole.metadata, _service_specs.decode(whole.spec), whole.spec.copy())


def decode_scaled_object(raw: bytes) -> ScaledObjectView:
    """The view of one keda.sh/v1alpha1 ScaledObject."""
    whole = _wholes.decode(raw)
    known = _scaled_object_specs.decode(whole.spec)
    return ScaledObjectView(whole.metadata, whole.spec.copy(), known.min_replica_count or 0)


def decode_hpa(raw: bytes) -> HPAView:
    """The view of one autoscaling/v2 HorizontalPodAutoscaler."""
    whole = _wholes.decode(raw)
    known = _hpa_specs.decode(whole.spec)
    return HPAView(
        metadata=whole.metadata,
        spec=whole.spec.copy(),
        scale_target_ref=known.scale_target_ref,
        min_replicas=1 if known.min_replicas is None else known.min_replicas,
    )
