"""How the workload is reached: the `service` of a canary's spec."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api.fields import Whole, doc
from serinus.api.http import (
    CorsPolicy,
    GatewayRef,
    HeaderRules,
    HttpMatch,
    HttpMirror,
    HttpRetries,
    HttpRewrite,
)
from serinus.api.resource import Resource
from serinus.api.trafficpolicy import TrafficPolicy


class CustomMetadata(Resource, frozen=True, kw_only=True):
    """Labels and annotations for an object that Serinus makes."""

    labels: Annotated[
        Mapping[str, Annotated[str, doc("The label's value.")]], doc("Labels to put on it.")
    ] = field(default_factory=dict)
    annotations: Annotated[
        Mapping[str, Annotated[str, doc("The annotation's value.")]],
        doc("Annotations to put on it."),
    ] = field(default_factory=dict)


class UnmanagedMetadata(Resource, frozen=True, kw_only=True):
    """Keys on the Services that others write and Serinus keeps as they are."""

    annotations: Annotated[
        tuple[Annotated[str, doc("An annotation's key.")], ...],
        doc("Annotation keys that are kept."),
    ] = ()
    labels: Annotated[
        tuple[Annotated[str, doc("A label's key.")], ...], doc("Label keys that are kept.")
    ] = ()


class ServiceSpec(Resource, frozen=True, kw_only=True):
    """The Services that are made for the workload, and how requests are routed to them."""

    name: Annotated[str, doc("Name of the Service that callers use; the target's when empty.")] = ""
    port: Annotated[Whole, doc("Port of the Services, from 1 to 65535.")]
    port_name: Annotated[str, doc("Name of that port; http when empty.")] = ""
    app_protocol: Annotated[
        str, doc("Application protocol of that port, such as http; Kuma's annotation says so too.")
    ] = ""
    traffic_distribution: Annotated[
        str,
        doc(
            "Which endpoints of the Services are preferred.",
            enum=["PreferClose", "PreferSameZone", "PreferSameNode"],
        ),
    ] = ""
    target_port: Annotated[
        int | str | None, doc("Port of the pods, by number or name; the same as port when empty.")
    ] = None
    port_discovery: Annotated[
        bool, doc("Whether the other ports of the pods are put on the Services too.")
    ] = False
    headless: Annotated[bool, doc("Whether the Services have no cluster IP.")] = False
    timeout: Annotated[str, doc("How long a request through the route may take.")] = ""
    backend_timeout: Annotated[str, doc("How long one try at a backend may take.")] = ""
    mesh_name: Annotated[str, doc("Name of the App Mesh mesh.")] = ""
    backends: Annotated[
        tuple[Annotated[str, doc("Name of a virtual service.")], ...],
        doc("App Mesh virtual services that the workload calls."),
    ] = ()
    hosts: Annotated[
        tuple[Annotated[str, doc("A host name.")], ...], doc("Host names that the route is for.")
    ] = ()
    delegation: Annotated[
        bool, doc("Whether the Istio route is one that another route delegates to.")
    ] = False
    match: Annotated[
        tuple[Annotated[HttpMatch, doc("One way for a request to match.")], ...],
        doc("Requests that the route is for; any entry may match."),
    ] = ()
    retries: Annotated[HttpRetries | None, doc("How failed requests are tried again.")] = None
    rewrite: Annotated[HttpRewrite | None, doc("How a request is changed on its way.")] = None
    mirror: Annotated[
        tuple[Annotated[HttpMirror, doc("One receiver of copies.")], ...],
        doc("Backends that get a copy of every request."),
    ] = ()
    headers: Annotated[HeaderRules | None, doc("How headers are changed on their way.")] = None
    gateways: Annotated[
        tuple[Annotated[str, doc("Name of a gateway.")], ...],
        doc("Istio gateways that the route is bound to."),
    ] = ()
    gateway_refs: Annotated[
        tuple[Annotated[GatewayRef, doc("One parent of the route.")], ...],
        doc("Gateway API parents that the route is bound to.", maxItems=32),
    ] = ()
    cors_policy: Annotated[CorsPolicy | None, doc("Cross-origin rules of the route.")] = None
    traffic_policy: Annotated[TrafficPolicy | None, doc("Istio policy of the destinations.")] = None
    apex: Annotated[
        CustomMetadata, doc("Metadata for the Service that callers use, and for the route.")
    ] = field(default_factory=CustomMetadata)
    primary: Annotated[CustomMetadata, doc("Metadata for the primary's Service.")] = field(
        default_factory=CustomMetadata
    )
    canary: Annotated[CustomMetadata, doc("Metadata for the canary's Service.")] = field(
        default_factory=CustomMetadata
    )
    unmanaged_metadata: Annotated[
        UnmanagedMetadata, doc("Keys on the Services that others write.")
    ] = field(default_factory=UnmanagedMetadata)

    @property
    def port_name_or_default(self) -> str:
        """Name of the Services' port."""
        return self.port_name or "http"

    @property
    def target_port_or_default(self) -> int | str:
        """Port of the pods; Flagger reads 0 and "0" as not given."""
        return self.port if self.target_port in (None, 0, "0", "") else self.target_port
