"""The Kuma releases that the lab plays, as the properties in which they differ.

Nothing else in the mesh compares version numbers: code asks for a property, and a new release is
one more value here. Source of each property: the project's notes on Kuma, sections 0, 1.2 and 3.
"""

from dataclasses import dataclass, replace
from typing import Literal

SYSTEM_NAMESPACE = "kong-mesh-system"
"""Where the control plane lives: the guide installs the operator beside it under this name."""

DEFAULT_MESH = "default"
ZONE = "default"


@dataclass(frozen=True, slots=True)
class KumaVersion:
    """One release of Kuma, as far as progressive delivery can tell it from the others."""

    name: str
    """What a person types after ``--kuma``."""
    release: str
    """The full version: the tag of the sidecar's image, ``otel_scope_version`` in its metrics."""
    has_trafficroute: bool
    """TrafficRoute, TrafficPermission and the other policies of the first generation exist."""
    makes_default_routes: bool
    """A new Mesh gets ``route-all-NAME`` and ``allow-all-NAME`` (until 2.5)."""
    has_meshhttproute: bool
    has_meshservice: bool
    mesh_services: Literal["Disabled", "Exclusive"]
    """``meshServices.mode`` of the lab's own default Mesh, or as good as."""
    has_mesh_services_mode: bool
    """A Mesh says in ``meshServices.mode`` whether it has MeshServices (2.9 to 2.14); before there
    are none, from 3.0 on there always are."""
    policies_in_app_namespaces: bool
    """From 2.9: a policy may stand beside the workload; its role says whom it reaches."""
    computes_labels: bool
    """From 2.9: webhooks tell in labels where a policy comes from and which role it has."""
    namespaces_opt_in: bool
    """From 2.11: webhooks only look at what is in namespaces that say something, be it no, about
    ``kuma.io/sidecar-injection``."""
    checks_mesh_owner: bool
    """From 3.0: a Mesh that owns an object has to be the one that its label names."""
    targets_by_name: bool
    """References of policies may name what they lead to, also by service tag (until 2.14)."""
    targets_by_labels: bool
    """References of policies may have ``labels`` and ``sectionName`` (from 2.9)."""
    patches_by_labels: bool
    """A MeshProxyPatch may be for Dataplanes of some labels (from 2.10); else for tags."""
    fails_closed: bool
    """From 3.0: the share of a backend that does not resolve is answered 500."""
    unified_names: bool
    """From 3.0: listeners, routes and clusters are called by resource identifiers."""
    mesh_annotation: bool
    """Until 2.14 the annotation ``kuma.io/mesh`` counts as the label does."""
    annotation_injects: bool
    """Until 2.1 the annotation ``kuma.io/sidecar-injection`` counts as the label does."""
    translates_http_routes: bool
    """From 2.7: an HTTPRoute of the Gateway API for a Service becomes a MeshHTTPRoute."""
    native_sidecar: bool
    """From 2.14: the sidecar is an init container that restarts always."""
    strict_inbound: bool
    """From 2.13: only ports of Services can be reached from outside the pod."""
    labels_on_endpoints: bool
    """Endpoints carry the Dataplane's labels, clusters their remaining circuit breaker budget and
    connection managers the IPv6 private ranges (seen in 2.14.3, not in 2.7.29)."""
    inbound_tags: bool
    """A Dataplane's inbounds carry tags, and MeshServices select by them (until 2.14); from 3.0 on
    the Dataplane's labels stand in for them."""
    tags_header_on_routes: bool
    """A route made from MeshHTTPRoute sends the caller's tags in ``x-kuma-tags``."""
    service_label: bool
    """The usual scrape configuration gives every series the label ``service`` (until 2.8)."""
    tags_in_metrics: bool
    """Series carry the inbound's tags and what the pod is called (until 2.14)."""
    metrics_labels: bool
    """The sidecar itself labels its series with zone, role and exporter (from 2.13)."""


V1_8 = KumaVersion(
    name="1.8",
    release="1.8.1",
    has_trafficroute=True,
    makes_default_routes=True,
    has_meshhttproute=False,
    has_meshservice=False,
    mesh_services="Disabled",
    has_mesh_services_mode=False,
    policies_in_app_namespaces=False,
    computes_labels=False,
    namespaces_opt_in=False,
    checks_mesh_owner=False,
    targets_by_name=True,
    targets_by_labels=False,
    patches_by_labels=False,
    fails_closed=False,
    unified_names=False,
    mesh_annotation=True,
    annotation_injects=True,
    translates_http_routes=False,
    native_sidecar=False,
    strict_inbound=False,
    labels_on_endpoints=False,
    inbound_tags=True,
    tags_header_on_routes=True,
    service_label=True,
    tags_in_metrics=True,
    metrics_labels=False,
)

V2_7 = replace(
    V1_8,
    name="2.7",
    release="2.7.29",
    makes_default_routes=False,
    has_meshhttproute=True,
    translates_http_routes=True,
    annotation_injects=False,
)

V2_14 = KumaVersion(
    name="2.14",
    release="2.14.3",
    has_trafficroute=True,
    makes_default_routes=False,
    has_meshhttproute=True,
    has_meshservice=True,
    mesh_services="Exclusive",
    has_mesh_services_mode=True,
    policies_in_app_namespaces=True,
    computes_labels=True,
    namespaces_opt_in=True,
    checks_mesh_owner=False,
    targets_by_name=True,
    targets_by_labels=True,
    patches_by_labels=True,
    fails_closed=False,
    unified_names=False,
    mesh_annotation=True,
    annotation_injects=False,
    translates_http_routes=True,
    native_sidecar=True,
    strict_inbound=True,
    labels_on_endpoints=True,
    inbound_tags=True,
    tags_header_on_routes=False,
    service_label=False,
    tags_in_metrics=True,
    metrics_labels=True,
)

V3_0 = replace(
    V2_14,
    name="3.0",
    release="3.0.0-dev",
    has_trafficroute=False,
    has_mesh_services_mode=False,
    checks_mesh_owner=True,
    targets_by_name=False,
    fails_closed=True,
    unified_names=True,
    mesh_annotation=False,
    inbound_tags=False,
    tags_in_metrics=False,
)

PLAYED = {version.name: version for version in (V1_8, V2_7, V2_14, V3_0)}
DEFAULT = V2_14


def played(name: str, mesh_services: str | None = None) -> KumaVersion:
    """The version that ``--kuma NAME`` asks for, with ``--mesh-services MODE`` for its default
    Mesh; ValueError says which versions and modes there are."""
    try:
        version = PLAYED[name]
    except KeyError:
        known = ", ".join(PLAYED)
        raise ValueError(f"the lab does not play Kuma {name!r}; it plays {known}") from None
    if mesh_services is None:
        return version
    if not version.has_mesh_services_mode:
        always = "always has" if version.has_meshservice else "does not have"
        ones = " and ".join(one.name for one in PLAYED.values() if one.has_mesh_services_mode)
        raise ValueError(
            f"Kuma {name} {always} MeshServices: --mesh-services is a choice of {ones} only"
        )
    match mesh_services:
        case "disabled":
            return replace(version, mesh_services="Disabled")
        case "exclusive":
            return replace(version, mesh_services="Exclusive")
    raise ValueError(f"--mesh-services is exclusive or disabled, not {mesh_services!r}")
