"""The roles that every cluster has from the start, and who is bound to them."""

from collections.abc import Iterator
from typing import Any, Final

from serinus.lab.apiserver.access.authorizer import RBAC
from serinus.lab.apiserver.representation import Obj

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]

_CORE_VIEW: Final = [
    *("bindings", "configmaps", "endpoints", "events", "limitranges", "namespaces"),
    *("namespaces/status", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods"),
    *("pods/log", "pods/status", "replicationcontrollers", "replicationcontrollers/scale"),
    *("replicationcontrollers/status", "resourcequotas", "resourcequotas/status"),
    *("serviceaccounts", "services", "services/status"),
]
_CORE_EDIT: Final = [
    *("configmaps", "events", "persistentvolumeclaims", "pods", "pods/attach", "pods/eviction"),
    *("pods/exec", "pods/portforward", "pods/proxy", "replicationcontrollers"),
    *("replicationcontrollers/scale", "secrets", "serviceaccounts", "services", "services/proxy"),
]
_CORE_CONNECT: Final = [
    *("secrets", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"),
]
_APPS: Final = [
    *("controllerrevisions", "daemonsets", "deployments", "deployments/rollback"),
    *("deployments/scale", "replicasets", "replicasets/scale", "statefulsets"),
    "statefulsets/scale",
]
_OTHERS: Final = {
    "apps": _APPS,
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Obj:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _view() -> list[Obj]:
    rules = [_rule([""], _CORE_VIEW, _READ)]
    for group, resources in _OTHERS.items():
        status = [f"{name}/status" for name in resources if "/" not in name]
        rules.append(_rule([group], [*resources, *status], _READ))
    return [*rules, _rule(["discovery.k8s.io"], ["endpointslices"], _READ)]


def _edit() -> list[Obj]:
    rules = [
        _rule([""], _CORE_EDIT, _WRITE),
        _rule([""], _CORE_CONNECT, _READ),
        _rule([""], ["serviceaccounts/token"], ["create"]),
        _rule(["coordination.k8s.io"], ["leases"], [*_READ, *_WRITE]),
    ]
    return rules + [_rule([group], names, _WRITE) for group, names in _OTHERS.items()]


def _admin() -> list[Obj]:
    return [
        _rule([RBAC], ["rolebindings", "roles"], [*_READ, *_WRITE]),
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    ]


_REVIEWS: Final = _rule(
    ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]
)
_WHOAMI: Final = _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"])
_HEALTH: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_HEALTH]

_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
_BOOTSTRAPPING: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}

_PLAIN: Final[dict[str, list[Obj]]] = {
    "cluster-admin": [
        _rule(["*"], ["*"], ["*"]),
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "system:basic-user": [_REVIEWS, _WHOAMI],
    "system:discovery": [{"nonResourceURLs": _DISCOVERY, "verbs": ["get"]}],
    "system:public-info-viewer": [{"nonResourceURLs": _HEALTH, "verbs": ["get"]}],
    "system:auth-delegator": [
        _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ],
}

_BOUND: Final = {
    "cluster-admin": ["system:masters"],
    "system:basic-user": ["system:authenticated"],
    "system:discovery": ["system:authenticated"],
    "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
}


def _cluster_role(name: str, labels: dict[str, str], body: dict[str, Any]) -> Obj:
    metadata = {
        "name": name,
        "labels": _BOOTSTRAPPING | labels,
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata} | body


def cluster_roles() -> Iterator[Obj]:
    """The ClusterRoles: admin gathers edit, edit gathers view, each open for additions."""
    for name, rules in _PLAIN.items():
        yield _cluster_role(name, {}, {"rules": rules})
    collected: list[Obj] = []
    for name, larger, rules in (
        ("view", "edit", _view()),
        ("edit", "admin", _edit()),
        ("admin", "", _admin()),
    ):
        yield _cluster_role(
            f"system:aggregate-to-{name}", {f"{_AGGREGATE}{name}": "true"}, {"rules": rules}
        )
        collected = collected + rules
        selector = {"matchLabels": {f"{_AGGREGATE}{name}": "true"}}
        yield _cluster_role(
            name,
            {f"{_AGGREGATE}{larger}": "true"} if larger else {},
            {"aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": collected},
        )


def cluster_role_bindings() -> Iterator[Obj]:
    """The ClusterRoleBindings."""
    for role, groups in _BOUND.items():
        yield {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role, "labels": _BOOTSTRAPPING},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": name} for name in groups],
        }
