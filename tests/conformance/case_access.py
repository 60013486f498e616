"""Who may do what, and how it is said."""

from conformance.cases import case
from conformance.objects import config_map
from conformance.talk import Talk

RBAC = "/apis/rbac.authorization.k8s.io/v1"


@case
def a_stranger(t: Talk) -> None:
    t.ask("GET", f"{t.core}/configmaps", token="nonsense")
    t.ask("GET", f"{t.core}/configmaps", token="")


@case
def someone_without_rights(t: Talk) -> None:
    for method, path, body in (
        ("GET", f"{t.core}/configmaps", None),
        ("GET", f"{t.core}/configmaps/one", None),
        ("POST", f"{t.core}/configmaps", config_map()),
        ("DELETE", f"{t.core}/configmaps/one", None),
        ("GET", f"{t.apps}/deployments", None),
        ("GET", f"{t.apps}/deployments/app/scale", None),
        ("GET", "/api/v1/nodes", None),
        ("GET", "/api/v1/pods", None),
        ("GET", f"{t.core}/configmaps?watch=true", None),
        ("GET", "/metrics", None),
    ):
        t.ask(method, path, body, token="bob-token")


@case
def someone_with_a_role(t: Talk) -> None:
    role = {
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }
    t.post(f"{RBAC}/namespaces/{t.namespace}/roles", role)
    binding = {
        "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "bob"}],
    }
    path = f"{RBAC}/namespaces/{t.namespace}/rolebindings"
    t.post(path, binding)
    t.until(
        path,
        lambda _: t.quietly("GET", f"{t.core}/configmaps/one", token="bob-token").status == 404,
    )
    t.ask("GET", f"{t.core}/configmaps/one", token="bob-token")
    t.ask("GET", f"{t.core}/configmaps", token="bob-token")
    binding["roleRef"]["name"] = "other"  # type: ignore[index]
    t.put(f"{path}/bob", binding)


@case
def reviews(t: Talk) -> None:
    attributes = {"namespace": t.namespace, "verb": "get", "resource": "pods"}
    review = {"spec": {"resourceAttributes": attributes}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for token in ("admin-token", "bob-token"):
        t.ask("POST", path, review, token=token)


@case
def discovery_is_for_all(t: Talk) -> None:
    for path in ("/api", "/version", "/apis/apps"):
        t.ask("GET", path, token="bob-token", keep=sorted)


@case
def roles_refused(t: Talk) -> None:
    path = f"{RBAC}/namespaces/{t.namespace}/roles"
    t.post(path, {"metadata": {"name": "x"}, "rules": [{"verbs": ["get"]}]})
    t.post(path, {"metadata": {"name": "x"}, "rules": [{"apiGroups": [""], "resources": ["a"]}]})
    t.post(path, {"metadata": {"name": "UPPER:x"}, "rules": []})


@case
def impersonation(t: Talk) -> None:
    t.ask("GET", f"{t.core}/configmaps", Impersonate_User="bob")
    t.ask("GET", f"{t.core}/configmaps", token="bob-token", Impersonate_User="admin")


@case
def what_kinds_there_are(t: Talk) -> None:
    for path, wanted in (
        ("/api/v1", ("pods", "services", "configmaps", "secrets", "events", "pods/log")),
        ("/apis/apps/v1", ("deployments", "deployments/scale", "deployments/status", "daemonsets")),
        ("/apis/autoscaling/v2", ("horizontalpodautoscalers",)),
        ("/apis/coordination.k8s.io/v1", ("leases",)),
        ("/apis/rbac.authorization.k8s.io/v1", ("clusterroles", "rolebindings")),
    ):
        t.get(path, keep=lambda one, wanted=wanted: _entries(one, wanted))  # type: ignore[misc]


def _entries(listed: dict, wanted: tuple[str, ...]) -> object:  # type: ignore[type-arg]
    return [
        {key: value for key, value in entry.items() if key != "storageVersionHash"}
        for entry in sorted(listed["resources"], key=lambda one: str(one["name"]))
        if entry["name"] in wanted
    ]
