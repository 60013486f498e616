"""Who may do what: tokens, ServiceAccounts, roles, and the questions about them."""

import base64
import json
from typing import Any


def test_without_a_token_there_is_only_health(server: Any) -> None:
    assert server.request("GET", "/healthz", Authorization="").status == 200
    refused = server.request("GET", "/api", Authorization="Bearer nobody")
    assert refused.status == 401
    assert refused.json["reason"] == "Unauthorized"


def test_roles_decide(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    refused = server.kubectl(*n, "get", "pods", user="bob", fails=True)
    assert refused == (
        'Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" '
        f'in API group "" in the namespace "{namespace}"\n'
    )
    assert server.kubectl(*n, "auth", "can-i", "list", "pods", user="bob", fails=True) == "no\n"
    server.kubectl(*n, "create", "role", "reader", "--verb=get,list", "--resource=pods")
    server.kubectl(*n, "create", "rolebinding", "reads", "--role=reader", "--user=bob")
    assert "No resources found" in server.kubectl(*n, "get", "pods", user="bob")
    assert server.kubectl(*n, "auth", "can-i", "list", "pods", user="bob") == "yes\n"
    assert "[get list]" in server.kubectl(*n, "auth", "can-i", "--list", user="bob")
    server.kubectl("-n", "default", "get", "pods", user="bob", fails=True)
    server.kubectl(*n, "delete", "rolebinding", "reads")
    server.kubectl(*n, "get", "pods", user="bob", fails=True)


def test_named_resources(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    names = ("--verb=get", "--resource=configmaps", "--resource-name=mine")
    server.kubectl(*n, "create", "role", "one", *names)
    server.kubectl(*n, "create", "rolebinding", "one", "--role=one", "--user=bob")
    for name in ("mine", "yours"):
        server.kubectl(*n, "create", "configmap", name)
    server.kubectl(*n, "get", "configmap", "mine", user="bob")
    server.kubectl(*n, "get", "configmap", "yours", user="bob", fails=True)


def test_view_gathers_what_is_labelled_for_it(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.kubectl(*n, "create", "rolebinding", "views", "--clusterrole=view", "--user=bob")
    server.kubectl(*n, "get", "deployments", user="bob")
    server.kubectl(*n, "get", "secrets", user="bob", fails=True)
    server.kubectl(*n, "create", "configmap", "c", user="bob", fails=True)
    server.kubectl("create", "clusterrole", "more", "--verb=list", "--resource=secrets")
    label = "rbac.authorization.k8s.io/aggregate-to-view=true"
    server.kubectl("label", "clusterrole", "more", label)
    server.kubectl(*n, "get", "secrets", user="bob")
    server.kubectl("delete", "clusterrole", "more")


def test_whoami_and_impersonation(server: Any) -> None:
    assert "bob" in server.kubectl("auth", "whoami", user="bob")
    as_bob = server.kubectl("auth", "whoami", "--as=eve", "--as-group=staff")
    assert "eve" in as_bob
    assert "staff" in as_bob
    refused = server.kubectl("get", "pods", "--as=admin", user="bob", fails=True)
    assert 'cannot impersonate resource "users"' in refused


def test_service_account_tokens(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    token = server.kubectl(*n, "create", "token", "default").strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    bearer = f"Bearer {token}"
    path = f"/api/v1/namespaces/{namespace}/pods"
    refused = server.request("GET", path, Authorization=bearer)
    assert refused.status == 403
    assert f'User "system:serviceaccount:{namespace}:default"' in refused.json["message"]
    account = f"--serviceaccount={namespace}:default"
    server.kubectl(*n, "create", "rolebinding", "sa", "--clusterrole=view", account)
    assert server.request("GET", path, Authorization=bearer).status == 200
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token},
    }
    reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
    status = server.request("POST", reviews, review).json["status"]
    assert status["authenticated"]
    assert status["user"]["username"] == claims["sub"]
    server.kubectl(*n, "delete", "serviceaccount", "default")
    assert server.request("GET", path, Authorization=bearer).status == 401
