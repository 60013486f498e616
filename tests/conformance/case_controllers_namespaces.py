"""What every namespace has, and how one ends when controllers are at work in it."""

from typing import Any

from conformance.cases import life
from conformance.life import Life, conditions
from conformance.objects import config_map, deployment, service
from conformance.talk import Object


def _gone(seen: Any) -> bool:
    return isinstance(seen, dict) and seen.get("reason") == "NotFound"


@life
def has_an_account_and_the_authority(t: Life) -> None:
    t.get(f"{t.core}/serviceaccounts", keep=_kept)
    t.get(f"{t.core}/configmaps", keep=_kept)


def _kept(listed: Object) -> list[Object]:
    return [
        {"name": one["metadata"]["name"], **{k: one[k] for k in one if k != "metadata"}}
        for one in listed["items"]
    ]


@life
def gets_them_back(t: Life) -> None:
    account, authority = (
        f"{t.core}/serviceaccounts/default",
        f"{t.core}/configmaps/kube-root-ca.crt",
    )
    for path in (account, authority):
        _deleted_comes_back(t, path)
    t.change(authority, {"data": {"ca.crt": "wrong", "more": "1"}})
    t.until(authority, lambda seen: seen["data"].get("ca.crt", "").startswith("-----BEGIN"))
    t.get(authority, keep=lambda one: one["data"])


def _deleted_comes_back(t: Life, path: str) -> None:
    before = t.quietly("GET", path).json["metadata"]["uid"]
    t.quietly("DELETE", path)
    t.until(path, lambda seen: seen.get("metadata", {}).get("uid", before) != before)


def _inner(t: Life) -> str:
    name = f"{t.namespace}-inner"
    t.make("/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}"
    t.until(f"{path}/serviceaccounts/default", lambda seen: seen.get("metadata"))
    t.until(f"{path}/configmaps/kube-root-ca.crt", lambda seen: seen.get("metadata"))
    return path


def _conditions_of(seen: Object) -> dict[str, str]:
    found = (seen.get("status") or {}).get("conditions") or []
    return {one["type"]: one["status"] for one in found}


@life
def waits_for_finalizers(t: Life) -> None:
    path = _inner(t)
    made = t.quietly("GET", path).json
    for name in ("one", "two"):
        held = config_map(name, finalizers=["x.example/a"])
        t.make(f"{path}/configmaps", held)
    t.make(f"{path}/secrets", {"metadata": {"name": "s", "finalizers": ["x.example/b"]}})
    t.make(f"{path}/configmaps", config_map("three"))
    t.quietly("DELETE", path)
    t.until(path, lambda seen: "NamespaceFinalizersRemaining" in _conditions_of(seen))
    t.get(path, keep=_told)
    for name in ("configmaps/one", "configmaps/two", "secrets/s"):
        t.change(f"{path}/{name}", {"metadata": {"finalizers": None}})
    t.until(path, _gone)
    t.history("/api/v1/namespaces", made)


def _told(seen: Object) -> Object:
    phase = seen["status"]["phase"]
    return {"phase": phase, "conditions": conditions(seen), "spec": seen["spec"]}


@life
def finalizer_of_its_own(t: Life) -> None:
    """A namespace with a finalizer in its metadata is emptied and then waits."""
    path = _inner(t)
    t.change(path, {"metadata": {"finalizers": ["x.example/a"]}})
    t.make(f"{path}/configmaps", config_map())
    t.quietly("DELETE", path)
    t.until(f"{path}/configmaps/one", _gone)
    t.until(path, lambda seen: not seen["spec"].get("finalizers"))
    t.get(path, keep=_told)
    t.change(path, {"metadata": {"finalizers": None}})
    t.until(path, _gone)


@life
def ends_with_all_that_runs_in_it(t: Life) -> None:
    path = _inner(t)
    name = path.rpartition("/")[2]
    t.make(f"/apis/apps/v1/namespaces/{name}/deployments", deployment(replicas=3))
    t.make(f"{path}/services", service())
    ready = f"/apis/apps/v1/namespaces/{name}/deployments/app"
    t.until(ready, lambda seen: (seen.get("status") or {}).get("readyReplicas") == 3)
    t.quietly("DELETE", path)
    t.until(path, _gone)
    for kind in ("deployments", "replicasets"):
        t.get(f"/apis/apps/v1/namespaces/{name}/{kind}", keep=lambda one: one["items"])
    t.get(f"{path}/pods", keep=lambda one: one["items"])
    t.get(f"{path}/events", keep=lambda one: one["items"])
    t.make("/api/v1/namespaces", {"metadata": {"name": name}})
    t.until(f"{path}/serviceaccounts/default", lambda seen: seen.get("metadata"))
