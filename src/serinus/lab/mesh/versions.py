"""The Kuma releases that the lab plays, as the properties in which they differ.

Nothing else in the mesh compares version numbers: code asks for a property, and a new release is
one more value here. Source of each property: the project's notes on Kuma, sections 0, 1.2 and 3.
"""

from dataclasses import dataclass
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
    """``meshServices.mode`` of a Mesh that says nothing, and of the lab's own default Mesh."""
    policies_in_app_namespaces: bool
    """From 2.9: a policy may stand beside the workload; its role says whom it reaches."""
    annotation_injects: bool
    """Until 2.1 the annotation ``kuma.io/sidecar-injection`` counts as the label does."""
    native_sidecar: bool
    """From 2.14: the sidecar is an init container that restarts always."""
    strict_inbound: bool
    """From 2.13: only ports of Services can be reached from outside the pod."""
    labels_on_endpoints: bool
    """Endpoints carry the Dataplane's labels, clusters their remaining circuit breaker budget and
    connection managers the IPv6 private ranges (seen in 2.14.3, not in 2.7.29)."""
    tags_header_on_routes: bool
    """A route made from MeshHTTPRoute sends the caller's tags in ``x-kuma-tags``."""
    service_label: bool
    """The usual scrape configuration gives every series the label ``service`` (until 2.8)."""
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
    policies_in_app_namespaces=False,
    annotation_injects=True,
    native_sidecar=False,
    strict_inbound=False,
    labels_on_endpoints=False,
    tags_header_on_routes=True,
    service_label=True,
    metrics_labels=False,
)

V2_14 = KumaVersion(
    name="2.14",
    release="2.14.3",
    has_trafficroute=True,
    makes_default_routes=False,
    has_meshhttproute=True,
    has_meshservice=True,
    mesh_services="Exclusive",
    policies_in_app_namespaces=True,
    annotation_injects=False,
    native_sidecar=True,
    strict_inbound=True,
    labels_on_endpoints=True,
    tags_header_on_routes=False,
    service_label=False,
    metrics_labels=True,
)

PLAYED = {version.name: version for version in (V1_8, V2_14)}
DEFAULT = V2_14


def played(name: str) -> KumaVersion:
    """The version that ``--kuma NAME`` asks for; ValueError says which there are."""
    try:
        return PLAYED[name]
    except KeyError:
        known = ", ".join(PLAYED)
        raise ValueError(f"the lab does not play Kuma {name!r}; it plays {known}") from None
