"""Istio's destination policy in a canary's service: connections, balancing, outliers, TLS."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api.fields import Int32, doc, one_of
from serinus.api.resource import Resource


class HttpConnections(Resource, frozen=True, kw_only=True):
    """Limits on HTTP connections to a destination."""

    h2_upgrade_policy: Annotated[
        str,
        doc(
            "Whether HTTP/1.1 connections become HTTP/2.",
            enum=["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"],
        ),
    ] = ""
    http1_max_pending_requests: Annotated[
        Int32 | None, doc("Most requests that may wait for a connection.")
    ] = None
    http2_max_requests: Annotated[Int32 | None, doc("Most requests under way at once.")] = None
    idle_timeout: Annotated[str, doc("How long an idle connection is kept.")] = ""
    max_requests_per_connection: Annotated[
        Int32 | None, doc("Most requests that one connection serves.")
    ] = None
    max_retries: Annotated[Int32 | None, doc("Most retries under way at once.")] = None


class ConnectionPool(Resource, frozen=True, kw_only=True):
    """Limits on connections to a destination."""

    http: Annotated[HttpConnections | None, doc("Limits on HTTP connections.")] = None


class HashCookie(Resource, frozen=True, kw_only=True):
    """The cookie that consistent hashing goes by."""

    name: Annotated[str, doc("Name of the cookie.")] = ""
    path: Annotated[str, doc("Path attribute of the cookie.")] = ""
    ttl: Annotated[str, doc("How long the cookie lives.")] = ""


class ConsistentHash(Resource, frozen=True, kw_only=True):
    """What a request's endpoint is derived from."""

    http_cookie: Annotated[HashCookie | None, doc("A cookie.")] = None
    http_header_name: Annotated[str | None, doc("A header.")] = None
    http_query_parameter_name: Annotated[str | None, doc("A query parameter.")] = None
    minimum_ring_size: Annotated[int | None, doc("Fewest virtual nodes on the hash ring.")] = None
    use_source_ip: Annotated[bool | None, doc("The caller's address.")] = None


class Distribute(Resource, frozen=True, kw_only=True):
    """How traffic from one locality is spread."""

    origin: Annotated[str, doc("Locality that the traffic comes from, such as region/zone.")] = (
        field(name="from", default="")
    )
    to: Annotated[
        Mapping[str, Annotated[int, doc("Share of the traffic in percent.")]],
        doc("Shares of the traffic, by the locality that it goes to."),
    ] = field(default_factory=dict)


class Failover(Resource, frozen=True, kw_only=True):
    """Where traffic goes when a locality is down."""

    origin: Annotated[str, doc("Region that is down.")] = field(name="from", default="")
    to: Annotated[str, doc("Region that takes over.")] = ""


class LocalitySetting(Resource, frozen=True, kw_only=True):
    """Balancing by where callers and endpoints are."""

    distribute: Annotated[
        tuple[Annotated[Distribute, doc("One origin.")], ...],
        doc("How traffic is spread, by its origin."),
    ] = ()
    enabled: Annotated[bool | None, doc("Whether localities are looked at.")] = None
    failover: Annotated[
        tuple[Annotated[Failover, doc("One region.")], ...], doc("Who takes over from whom.")
    ] = ()


class LoadBalancer(Resource, frozen=True, kw_only=True):
    """How an endpoint is chosen."""

    consistent_hash: Annotated[ConsistentHash | None, doc("By a hash of the request.")] = None
    locality_lb_setting: Annotated[LocalitySetting | None, doc("By locality.")] = None
    simple: Annotated[
        str | None,
        doc(
            "By a simple rule.",
            enum=["ROUND_ROBIN", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "LEAST_REQUEST"],
        ),
    ] = None
    warmup_duration_secs: Annotated[
        str, doc("How long a new endpoint's share of the traffic grows.")
    ] = ""


class OutlierDetection(Resource, frozen=True, kw_only=True):
    """When an endpoint is taken out of balancing for a while."""

    base_ejection_time: Annotated[str, doc("Shortest time that an endpoint is out.")] = ""
    consecutive5xx_errors: Annotated[int | None, doc("5xx answers in a row.")] = field(
        name="consecutive5xxErrors", default=None
    )
    consecutive_errors: Annotated[Int32 | None, doc("Errors in a row (outdated).")] = None
    consecutive_gateway_errors: Annotated[
        Int32 | None, doc("502, 503 and 504 answers in a row.")
    ] = None
    consecutive_local_origin_failures: Annotated[
        Int32 | None, doc("Failures in a row to reach the endpoint at all.")
    ] = None
    interval: Annotated[str, doc("Time between two sweeps.")] = ""
    max_ejection_percent: Annotated[Int32 | None, doc("Most endpoints out, in percent.")] = None
    min_health_percent: Annotated[
        Int32 | None, doc("Share of healthy endpoints below which none is taken out.")
    ] = None
    split_external_local_origin_errors: Annotated[
        bool | None, doc("Whether failures to reach an endpoint are counted apart.")
    ] = None


class TlsSettings(Resource, frozen=True, kw_only=True):
    """TLS towards a destination."""

    ca_certificates: Annotated[str, doc("File with the authorities to trust.")] = ""
    client_certificate: Annotated[str, doc("File with the client's certificate.")] = ""
    mode: Annotated[
        str,
        doc("Kind of TLS.", enum=["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]),
    ] = ""
    private_key: Annotated[str, doc("File with the client's private key.")] = ""
    sni: Annotated[str, doc("Server name to ask for.")] = ""
    subject_alt_names: Annotated[
        tuple[Annotated[str, doc("A name.")], ...],
        doc("Names of which the server's certificate must carry one."),
    ] = ()


class TrafficPolicy(Resource, frozen=True, kw_only=True):
    """Istio's policy for the canary's destinations."""

    connection_pool: Annotated[ConnectionPool | None, doc("Limits on connections.")] = None
    load_balancer: Annotated[
        LoadBalancer | None,
        doc(
            "How an endpoint is chosen.",
            oneOf=[
                *one_of("simple"),
                {
                    "properties": {
                        "consistentHash": {
                            "oneOf": one_of(
                                "httpHeaderName",
                                "httpCookie",
                                "useSourceIp",
                                "httpQueryParameterName",
                            )
                        }
                    },
                    "required": ["consistentHash"],
                },
            ],
        ),
    ] = None
    outlier_detection: Annotated[
        OutlierDetection | None, doc("When an endpoint is taken out for a while.")
    ] = None
    tls: Annotated[TlsSettings | None, doc("TLS towards the destinations.")] = None
