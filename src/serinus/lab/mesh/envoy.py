"""The pieces of Envoy's configuration that Kuma builds everything from, with Kuma's figures.

Field for field as real control planes write them (``kuma-observed``), in the JSON form of
Envoy's protobuf messages: camel case, durations as strings.
"""

from collections.abc import Sequence
from typing import Any

from serinus.lab.mesh.endpoints import Backend, Endpoint
from serinus.lab.mesh.versions import ZONE, KumaVersion

Json = dict[str, Any]

_TYPE = "type.googleapis.com/"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_PRIVATE_V4 = (("10.0.0.0", 8), ("192.168.0.0", 16), ("172.16.0.0", 12))
_PRIVATE_V6 = (("fc00::", 7), ("fd00::", 8))


def retry_policy() -> Json:
    """The default MeshRetry of every mesh; for 1.8's default Retry the same figures are used,
    since no observation of that version exists."""
    return {
        "numRetries": 5,
        "perTryTimeout": "16s",
        "retryBackOff": {"baseInterval": "0.025s", "maxInterval": "0.250s"},
        "retryOn": "gateway-error,connect-failure,refused-stream",
    }


def split(clusters: Sequence[tuple[str, int]]) -> Json:
    """The part of a route's action that says where requests go; one cluster needs no weights."""
    if len(clusters) == 1:
        return {"cluster": clusters[0][0]}
    return {
        "weightedClusters": {
            "clusters": [{"name": name, "weight": weight} for name, weight in clusters]
        }
    }


def outbound_action(clusters: Sequence[tuple[str, int]]) -> Json:
    """A caller's route action: the split with the mesh's default timeouts and retries."""
    return {
        **split(clusters),
        "idleTimeout": "1800s",
        "retryPolicy": retry_policy(),
        "timeout": "15s",
    }


def _internal_addresses(version: KumaVersion) -> Json:
    ranges = [*_PRIVATE_V4]
    if version.labels_on_endpoints:
        ranges += [*_PRIVATE_V6]
    ranges.append(("127.0.0.1", 32))
    if version.labels_on_endpoints:
        ranges.append(("::1", 128))
    return {"cidrRanges": [{"addressPrefix": ip, "prefixLen": bits} for ip, bits in ranges]}


def http_connection_manager(
    version: KumaVersion, *, stat_prefix: str, route_config: Json, **fields: Any
) -> Json:
    """The filter that speaks HTTP, with its routes inline as Kuma has them."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typedConfig": {
            "@type": _TYPE + _HCM,
            "commonHttpProtocolOptions": {"idleTimeout": "0s"},
            "httpFilters": [
                {
                    "name": "envoy.filters.http.router",
                    "typedConfig": {"@type": _TYPE + _ROUTER},
                }
            ],
            "internalAddressConfig": _internal_addresses(version),
            "requestHeadersTimeout": "0s",
            "routeConfig": route_config,
            "statPrefix": stat_prefix,
            **fields,
        },
    }


def route_config(name: str, virtual_host: str, routes: Sequence[Json], **fields: Any) -> Json:
    """Routes under one virtual host that takes every host name."""
    return {
        "name": name,
        "validateClusters": False,
        "virtualHosts": [{"domains": ["*"], "name": virtual_host, "routes": list(routes)}],
        **fields,
    }


def tcp_proxy(stat_prefix: str, clusters: Sequence[tuple[str, int]]) -> Json:
    """The filter that hands connections on as they are."""
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typedConfig": {
            "@type": _TYPE + _TCP_PROXY,
            "idleTimeout": "3600s",
            "statPrefix": stat_prefix,
            **split(clusters),
        },
    }


def socket_address(address: str, port: int) -> Json:
    """An address as Envoy writes it."""
    return {"socketAddress": {"address": address, "portValue": port}}


def listener(
    name: str,
    address: str,
    port: int,
    *,
    direction: str,
    filters: Sequence[Json] | None,
    tags: Json,
    unified: bool,
) -> Json:
    """A listener that is never bound: the catching listeners hand connections over to it by their
    original destination. No filters: a chain that closes whatever comes. Unified: its series have
    its name, not its address."""
    series = {"statPrefix": name} if unified else {}
    return {
        "name": name,
        "address": socket_address(address, port),
        "bindToPort": False,
        "filterChains": [{"filters": list(filters)} if filters is not None else {}],
        "metadata": {"filterMetadata": {"io.kuma.tags": tags}},
        "trafficDirection": direction,
        **series,
    }


def http_options(protocol: str, idle_timeout: str) -> Json:
    """How a cluster speaks HTTP to its endpoints."""
    return {
        _HTTP_OPTIONS: {
            "@type": _TYPE + _HTTP_OPTIONS,
            "commonHttpProtocolOptions": {
                "idleTimeout": idle_timeout,
                "maxConnectionDuration": "0s",
                "maxStreamDuration": "0s",
            },
            "explicitHttpConfig": {protocol: {}},
        }
    }


def eds_cluster(version: KumaVersion, backend: Backend) -> Json:
    """A cluster of a caller. Between sidecars HTTP/2 is spoken, whatever the application speaks."""
    limits: Json = {}
    if backend.limits:
        limits |= {
            "maxConnections": 1024,
            "maxPendingRequests": 1024,
            "maxRequests": 1024,
            "maxRetries": 3,
        }
    if version.labels_on_endpoints:
        limits["trackRemaining"] = True
    cluster: Json = {
        "name": backend.name,
        "type": "EDS",
        "connectTimeout": "5s",
        "edsClusterConfig": {"edsConfig": {"ads": {}, "resourceApiVersion": "V3"}},
    }
    if limits:
        cluster["circuitBreakers"] = {"thresholds": [limits]}
    if backend.is_http:
        cluster["typedExtensionProtocolOptions"] = http_options("http2ProtocolOptions", "3600s")
    return cluster


def load_assignment(version: KumaVersion, backend: Backend) -> Json:
    """The endpoints of a caller's cluster."""
    if not backend.endpoints:
        return {"clusterName": backend.name}
    return {
        "clusterName": backend.name,
        "endpoints": [
            {
                "lbEndpoints": [_endpoint(version, endpoint) for endpoint in backend.endpoints],
                "locality": {"zone": ZONE},
            }
        ],
    }


def _endpoint(version: KumaVersion, endpoint: Endpoint) -> Json:
    if version.inbound_tags:
        tags = {k: v for k, v in endpoint.inbound.tags.items() if k != "kuma.io/service"}
    else:
        tags = {**endpoint.proxy.labels, "kuma.io/protocol": endpoint.inbound.protocol}
    metadata: Json = {"envoy.lb": tags, "envoy.transport_socket_match": tags}
    if version.labels_on_endpoints and version.inbound_tags:
        metadata["io.kuma.labels"] = dict(endpoint.proxy.labels)
    return {
        "endpoint": {"address": socket_address(endpoint.proxy.address, endpoint.inbound.port)},
        "loadBalancingWeight": 1,
        "metadata": {"filterMetadata": metadata},
    }
