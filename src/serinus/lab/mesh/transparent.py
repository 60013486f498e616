"""What catches redirected connections, and the sidecar's own listeners.

iptables in the pod sends what leaves to 15001 and what arrives to 15006. The catching listeners
hand a connection to the listener of its original destination, and let it pass where there is none.
"""

from serinus.lab.mesh import envoy
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.inbound import NO_DESTINATION
from serinus.lab.mesh.model import Proxy
from serinus.lab.mesh.versions import KumaVersion

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
ADMIN_PORT = 9901
READY_PORT = 9902
METRICS_PORT = 5670

ADMIN_CLUSTER = "kuma:envoy:admin"

_USED_AND_BASIC = (
    "/stats/prometheus?usedonly&filter="
    "%5E(cluster%5C..*%5C.(upstream_rq|upstream_cx|membership)"
    "|http%5C..*%5C.downstream_(rq|cx))"
)
"""Envoy's own page of series, narrowed to what anybody asks for. The regular expression works on
Envoy's names with dots; ``usedonly`` hides what was never counted, as MeshMetric does by default.
"""


def listeners(version: KumaVersion) -> list[Json]:
    """The two catching listeners."""
    outbound, inbound = (_passthrough(version, way) for way in ("outbound", "inbound"))
    arriving = NO_DESTINATION if version.strict_inbound else inbound
    return [
        _catching(outbound, OUTBOUND_PORT, "OUTBOUND"),
        _catching(inbound, INBOUND_PORT, "INBOUND", arriving),
    ]


def _passthrough(version: KumaVersion, way: str) -> str:
    if version.unified_names:
        return f"self_transparentproxy_passthrough_{way}_ipv4"
    return f"{way}:passthrough:ipv4"


def _catching(name: str, port: int, direction: str, cluster: str | None = None) -> Json:
    return {
        "name": name,
        "address": envoy.socket_address("0.0.0.0", port),
        "useOriginalDst": True,
        "filterChains": [
            {"filters": [envoy.tcp_proxy(name.replace(":", "_"), [(cluster or name, 1)])]}
        ],
        "trafficDirection": direction,
    }


def clusters(version: KumaVersion) -> list[Json]:
    """The clusters that let connections pass."""
    ways = ["outbound"] if version.strict_inbound else ["outbound", "inbound"]
    passing: list[Json] = []
    for way in ways:
        name = _passthrough(version, way)
        cluster: Json = {
            "name": name,
            "altStatName": name.replace(":", "_"),
            "type": "ORIGINAL_DST",
            "lbPolicy": "CLUSTER_PROVIDED",
            "connectTimeout": "5s",
        }
        if way == "inbound":
            cluster["upstreamBindConfig"] = {
                "sourceAddress": {"address": "127.0.0.6", "portValue": 0}
            }
        passing.append(cluster)
    return passing


def metrics_listeners(version: KumaVersion, proxy: Proxy) -> list[Json]:
    """Where Prometheus asks: the pod's address, Kuma's port and path."""
    unified = "system_meshmetric_prometheus_default-backend"
    return [
        admin_listener(
            unified if version.unified_names else "_kuma:metrics:prometheus:default-backend",
            proxy.address,
            METRICS_PORT,
            "/metrics",
            _USED_AND_BASIC,
        )
    ]


def admin_listener(name: str, address: str, port: int, path: str, rewritten: str) -> Json:
    """A listener that shows one page of Envoy's admin interface and nothing else."""
    route = {
        "match": {"path": path},
        "route": {
            "cluster": ADMIN_CLUSTER,
            "regexRewrite": {"pattern": {"regex": "^/.*$"}, "substitution": rewritten},
        },
    }
    config = {
        "name": name,
        "virtualHosts": [{"name": name, "domains": ["*"], "routes": [route]}],
    }
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network."
            "http_connection_manager.v3.HttpConnectionManager",
            "statPrefix": name,
            "routeConfig": config,
            "httpFilters": [
                {
                    "name": "envoy.filters.http.router",
                    "typedConfig": {
                        "@type": "type.googleapis.com/"
                        "envoy.extensions.filters.http.router.v3.Router"
                    },
                }
            ],
        },
    }
    return {
        "name": name,
        "address": envoy.socket_address(address, port),
        "filterChains": [{"filters": [manager]}],
    }
