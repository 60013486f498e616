"""The objects of a small world, as the API server would give them."""

from typing import Any

Obj = dict[str, Any]


def namespace(name: str, *, mesh: str | None = None) -> Obj:
    labels = {"kuma.io/sidecar-injection": "enabled"}
    if mesh:
        labels["kuma.io/mesh"] = mesh
    return {"metadata": {"name": name, "labels": labels}}


def service(
    name: str,
    ip: str,
    app: str,
    *,
    port: int = 9898,
    target: int | str | None = None,
    protocol: str | None = "http",
    namespace: str = "test",
    annotations: dict[str, str] | None = None,
) -> Obj:
    spec: Obj = {"port": port, "name": "http", "targetPort": port if target is None else target}
    if protocol:
        spec["appProtocol"] = protocol
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-24T00:00:00Z",
            "labels": {"app": name},
            "annotations": annotations or {},
        },
        "spec": {"clusterIP": ip, "selector": {"app": app}, "ports": [spec]},
    }


def pod(
    name: str, ip: str, app: str, *, ready: bool = True, namespace: str = "test", **meta: Any
) -> Obj:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": {"app": app, "kuma.io/sidecar-injection": "enabled"},
            **meta,
        },
        "spec": {
            "containers": [{"name": "app"}],
            "initContainers": [{"name": "kuma-sidecar", "restartPolicy": "Always"}],
        },
        "status": {
            "podIP": ip,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def mesh(mode: str | None = None, name: str = "default") -> Obj:
    spec = {"meshServices": {"mode": mode}} if mode else {}
    return {"metadata": {"name": name, "uid": "uid-mesh"}, "spec": spec}


def trafficroute(
    name: str, destination: str, split: list[tuple[str, int]] | str, **extra: Any
) -> Obj:
    conf: Obj
    if isinstance(split, str):
        conf = {"destination": {"kuma.io/service": split}}
    else:
        conf = {"split": [{"weight": w, "destination": {"kuma.io/service": s}} for s, w in split]}
    return {
        "mesh": "default",
        "metadata": {"name": name, "creationTimestamp": "2026-11-24T00:00:00Z"},
        "spec": {
            "sources": [{"match": {"kuma.io/service": "*"}}],
            "destinations": [{"match": {"kuma.io/service": destination}}],
            "conf": {**conf, **extra},
        },
    }


ROUTE_ALL = trafficroute("route-all-default", "*", "*")


def meshhttproute(
    rules: list[Obj], to: Obj, *, name: str = "podinfo", namespace: str = "test", **labels: str
) -> Obj:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kuma.io/mesh": "default", **labels},
        },
        "spec": {"targetRef": {"kind": "Mesh"}, "to": [{"targetRef": to, "rules": rules}]},
    }


def rule(*backends: Obj, filters: list[Obj] | None = None, **match: Any) -> Obj:
    default: Obj = {"backendRefs": list(backends)}
    if filters:
        default["filters"] = filters
    path = {"path": {"type": "PathPrefix", "value": "/"}}
    return {"matches": [{**path, **match}], "default": default}


def proxypatch(app: str, value: str, *, namespace: str = "test", **match: str) -> Obj:
    """A patch of the inbound virtual hosts of an application's pods."""
    change = {"operation": "Patch", "match": {"origin": "inbound", **match}, "value": value}
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshProxyPatch",
        "metadata": {
            "name": f"{app}-affinity",
            "namespace": namespace,
            "labels": {"kuma.io/mesh": "default"},
        },
        "spec": {
            "targetRef": {"kind": "Dataplane", "labels": {"app": app}},
            "default": {"appendModifications": [{"virtualHost": change}]},
        },
    }


def cookie_patch(app: str, cookie: str) -> Obj:
    """The patch that hands ``cookie`` out with every answer of an application's pods."""
    return proxypatch(
        app,
        "responseHeadersToAdd:\n"
        "- header:\n"
        "    key: set-cookie\n"
        f"    value: {cookie}; Max-Age=60; Path=/\n"
        "  appendAction: APPEND_IF_EXISTS_OR_ADD\n",
    )


def by_tag(name: str, weight: int = 1) -> Obj:
    return {"kind": "MeshService", "name": f"{name}_test_svc_9898", "weight": weight}


def by_name(name: str, weight: int = 1, **more: Any) -> Obj:
    return {"kind": "MeshService", "name": name, "port": 9898, "weight": weight, **more}


def by_labels(name: str, weight: int = 1) -> Obj:
    labels = {"kuma.io/display-name": name, "k8s.kuma.io/namespace": "test"}
    return {"kind": "MeshService", "labels": labels, "port": 9898, "weight": weight}


def form_a(primary: int, canary: int, **where: Any) -> Obj:
    rules = [rule(by_tag("podinfo-primary", primary), by_tag("podinfo-canary", canary))]
    return meshhttproute(rules, {"kind": "MeshService", "name": "podinfo_test_svc_9898"}, **where)


def form_b(primary: int, canary: int, **where: Any) -> Obj:
    rules = [rule(by_name("podinfo-primary", primary), by_name("podinfo-canary", canary))]
    to = {"kind": "MeshService", "name": "podinfo", "sectionName": "http"}
    return meshhttproute(rules, to, **where)


def form_c(primary: int, canary: int, **where: Any) -> Obj:
    rules = [rule(by_labels("podinfo-primary", primary), by_labels("podinfo-canary", canary))]
    to = by_labels("podinfo")
    return meshhttproute(
        rules, {"kind": "MeshService", "labels": to["labels"], "sectionName": "http"}, **where
    )


def podinfo_world() -> dict[str, list[Obj]]:
    """Client, primary and canary as in the observations of real control planes."""
    return {
        "namespaces": [namespace("test"), namespace("other")],
        "services": [
            service("podinfo", "10.96.0.10", "podinfo-primary"),
            service("podinfo-primary", "10.96.0.11", "podinfo-primary"),
            service("podinfo-canary", "10.96.0.12", "podinfo"),
            service("client", "10.96.0.13", "client", port=80, target=8080),
            service("client", "10.96.0.14", "client", port=80, target=8080, namespace="other"),
        ],
        "pods": [
            pod("podinfo-primary-1", "127.10.0.1", "podinfo-primary"),
            pod("podinfo-1", "127.10.0.2", "podinfo"),
            pod("client-1", "127.10.0.9", "client"),
            pod("client-1", "127.10.0.8", "client", namespace="other"),
        ],
    }
