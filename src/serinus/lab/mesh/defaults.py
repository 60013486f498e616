"""What a fresh Kuma has: its namespace, the Mesh ``default``, and the policies that it makes."""

from typing import Any

from serinus.lab.mesh.transparent import METRICS_PORT
from serinus.lab.mesh.versions import DEFAULT_MESH, SYSTEM_NAMESPACE, KumaVersion

Json = dict[str, Any]
_API = "kuma.io/v1alpha1"


def namespaces() -> list[Json]:
    """Kuma's own namespace and that of its observability, both without sidecars."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": SYSTEM_NAMESPACE,
                "labels": {
                    "kuma.io/system-namespace": "true",
                    "kuma.io/sidecar-injection": "disabled",
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "mesh-observability",
                "labels": {"kuma.io/sidecar-injection": "disabled"},
            },
        },
    ]


def mesh(version: KumaVersion) -> Json:
    """The Mesh ``default``."""
    spec: Json = {}
    if version.has_mesh_services_mode:
        spec = {"meshServices": {"mode": version.mesh_services}}
    elif version.makes_default_routes:
        backend = {
            "name": "prometheus-1",
            "type": "prometheus",
            "conf": {"port": METRICS_PORT, "path": "/metrics", "skipMTLS": True},
        }
        spec = {"metrics": {"enabledBackend": "prometheus-1", "backends": [backend]}}
    return {"apiVersion": _API, "kind": "Mesh", "metadata": {"name": DEFAULT_MESH}, "spec": spec}


def policies(version: KumaVersion) -> list[Json]:
    """What Kuma makes for the Mesh ``default``, and the MeshMetric that an administrator adds."""
    if version.makes_default_routes:
        everyone = [{"match": {"kuma.io/service": "*"}}]
        return [
            {
                "apiVersion": _API,
                "kind": "TrafficRoute",
                "mesh": DEFAULT_MESH,
                "metadata": {"name": f"route-all-{DEFAULT_MESH}"},
                "spec": {
                    "sources": everyone,
                    "destinations": everyone,
                    "conf": {
                        "destination": {"kuma.io/service": "*"},
                        "loadBalancer": {"roundRobin": {}},
                    },
                },
            },
            {
                "apiVersion": _API,
                "kind": "TrafficPermission",
                "mesh": DEFAULT_MESH,
                "metadata": {"name": f"allow-all-{DEFAULT_MESH}"},
                "spec": {"sources": everyone, "destinations": everyone},
            },
        ]
    return [
        _policy("MeshMetric", "metrics-default", _metric()),
        _policy("MeshTimeout", f"mesh-timeout-all-{DEFAULT_MESH}", _timeout()),
        _policy("MeshRetry", f"mesh-retry-all-{DEFAULT_MESH}", _retry()),
        _policy(
            "MeshCircuitBreaker", f"mesh-circuit-breaker-all-{DEFAULT_MESH}", _circuit_breaker()
        ),
    ]


def _policy(kind: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {"kuma.io/mesh": DEFAULT_MESH, "kuma.io/origin": "zone"},
        },
        "spec": {"targetRef": {"kind": "Mesh"}, **spec},
    }


def _to_all(default: Json) -> Json:
    return {"to": [{"targetRef": {"kind": "Mesh"}, "default": default}]}


def _metric() -> Json:
    return {
        "default": {
            "sidecar": {
                "includeUnused": False,
                "profiles": {"appendProfiles": [{"name": "Basic"}]},
            },
            "backends": [
                {"type": "Prometheus", "prometheus": {"port": METRICS_PORT, "path": "/metrics"}}
            ],
        }
    }


def _timeout() -> Json:
    return _to_all(
        {
            "connectionTimeout": "5s",
            "idleTimeout": "1h",
            "http": {"requestTimeout": "15s", "streamIdleTimeout": "30m"},
        }
    )


def _retry() -> Json:
    return _to_all(
        {
            "http": {
                "numRetries": 5,
                "perTryTimeout": "16s",
                "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"},
                "retryOn": ["GatewayError", "ConnectFailure", "RefusedStream"],
            }
        }
    )


def _circuit_breaker() -> Json:
    limits = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024}
    return _to_all({"connectionLimits": {**limits, "maxRetries": 3}})
