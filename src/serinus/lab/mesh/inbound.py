"""What a pod's own Envoy does with what arrives: one listener and one cluster per port.

The inbound cluster connects to the application at the pod's own address, from 127.0.0.6: in
Kuma's redirection that source means "already went through Envoy".
"""

from dataclasses import dataclass

from serinus.lab.mesh import envoy, names
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import HTTP_PROTOCOLS, Inbound, Proxy
from serinus.lab.mesh.versions import KumaVersion

_FROM_ENVOY = "127.0.0.6"
NO_DESTINATION = "self_transparentproxy_no_destination_inbound"


def inbound(version: KumaVersion, proxy: Proxy) -> tuple[list[Json], list[Json]]:
    """The inbound listeners and clusters of a proxy.

    Two Services that lead to the same port share a listener, which carries the first one's tags.
    """
    listeners: dict[int, Json] = {}
    clusters: dict[int, Json] = {}
    if not proxy.serviceless:
        for one in proxy.inbounds:
            if one.port not in listeners:
                listeners[one.port] = _listener(version, proxy, one)
                clusters[one.port] = _cluster(version, proxy, one)
    return list(listeners.values()), list(clusters.values())


def no_destination(version: KumaVersion) -> Json:
    """The cluster without endpoints where connections to undeclared ports end."""
    cluster: Json = {
        "name": NO_DESTINATION,
        "altStatName": NO_DESTINATION,
        "connectTimeout": "5s",
        "type": "STATIC",
    }
    if version.labels_on_endpoints:
        cluster["circuitBreakers"] = {"thresholds": [{"trackRemaining": True}]}
    return cluster


@dataclass(frozen=True, slots=True)
class _Names:
    """What the parts of one way in are called."""

    listener: str
    cluster: str
    series: str
    routes: str
    virtual_host: str


def _names(version: KumaVersion, proxy: Proxy, one: Inbound) -> _Names:
    if version.unified_names:
        return _Names(*[names.self_inbound(one.name)] * 5)
    return _Names(
        listener=f"inbound:{proxy.address}:{one.port}",
        cluster=f"localhost:{one.port}",
        series=f"localhost_{one.port}",
        routes=f"inbound:{one.service}",
        virtual_host=one.service,
    )


def _listener(version: KumaVersion, proxy: Proxy, one: Inbound) -> Json:
    called = _names(version, proxy, one)
    if one.protocol in HTTP_PROTOCOLS:
        route = {
            "match": {"prefix": "/"},
            "route": {"cluster": called.cluster, "idleTimeout": "3600s", "timeout": "0s"},
        }
        config = envoy.route_config(
            called.routes,
            called.virtual_host,
            [route],
            requestHeadersToRemove=["x-kuma-tags"],
        )
        network_filter = envoy.http_connection_manager(
            version,
            stat_prefix=called.series,
            route_config=config,
            forwardClientCertDetails="SANITIZE_SET",
            setCurrentClientCertDetails={"uri": True},
            streamIdleTimeout="3600s",
        )
    else:
        network_filter = envoy.tcp_proxy(called.series, [(called.cluster, 1)])
    listener = envoy.listener(
        called.listener,
        proxy.address,
        one.port,
        direction="INBOUND",
        filters=[network_filter],
        tags=dict(one.tags if version.inbound_tags else proxy.labels),
        unified=version.unified_names,
    )
    return {**listener, "enableReusePort": version.strict_inbound}


def _cluster(version: KumaVersion, proxy: Proxy, one: Inbound) -> Json:
    called = _names(version, proxy, one)
    name = called.cluster
    cluster: Json = {
        "name": name,
        **({} if called.series == name else {"altStatName": called.series}),
        "type": "STATIC",
        "connectTimeout": "10s",
        "loadAssignment": {
            "clusterName": name,
            "endpoints": [
                {
                    "lbEndpoints": [
                        {"endpoint": {"address": envoy.socket_address(proxy.address, one.port)}}
                    ]
                }
            ],
        },
        "upstreamBindConfig": {"sourceAddress": {"address": _FROM_ENVOY, "portValue": 0}},
    }
    if version.labels_on_endpoints:
        cluster["circuitBreakers"] = {"thresholds": [{"trackRemaining": True}]}
    if one.protocol in HTTP_PROTOCOLS:
        spoken = "httpProtocolOptions" if one.protocol == "http" else "http2ProtocolOptions"
        cluster["typedExtensionProtocolOptions"] = envoy.http_options(spoken, "7200s")
    return cluster
