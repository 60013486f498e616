"""Deletion: preconditions, grace, finalizers, cascades, namespaces."""

from conformance.cases import case
from conformance.objects import config_map, deployment, pod
from conformance.talk import Talk


def _gone(seen: object) -> bool:
    return isinstance(seen, dict) and seen.get("reason") == "NotFound"


@case
def what_it_says(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.delete(f"{t.core}/configmaps/one")
    t.delete(f"{t.core}/configmaps/one")
    t.post(f"{t.apps}/deployments", deployment())
    t.delete(f"{t.apps}/deployments/app")


@case
def preconditions(t: Talk) -> None:
    made = t.post(f"{t.core}/configmaps", config_map())
    path = f"{t.core}/configmaps/one"
    uid = "11111111-2222-3333-4444-555555555555"
    t.delete(path, {"preconditions": {"uid": uid}})
    t.delete(path, {"preconditions": {"resourceVersion": "1"}}, keep=None)
    t.delete(path, {"preconditions": {"uid": made["metadata"]["uid"]}})


@case
def options_wrongly(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    path = f"{t.core}/configmaps/one"
    t.delete(path, {"propagationPolicy": "Sideways"})
    t.delete(path, {"propagationPolicy": "Background", "orphanDependents": True})
    t.delete(path, {"gracePeriodSeconds": -5})
    t.delete(path, {"kind": "Wheel", "apiVersion": "v1"})


@case
def with_a_finalizer(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(finalizers=["x.example/a"]))
    path = f"{t.core}/configmaps/one"
    t.delete(path)
    t.delete(path)
    t.merge(path, {"data": {"b": "2"}})
    t.merge(path, {"metadata": {"finalizers": ["x.example/a", "x.example/b"]}})
    t.merge(path, {"metadata": {"finalizers": None}})
    t.get(path)


@case
def finalizer_of_a_wrong_name(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(finalizers=["nonsense"]))


@case
def generation_of_the_deleted(t: Talk) -> None:
    made = deployment()
    made["metadata"]["finalizers"] = ["x.example/a"]
    t.post(f"{t.apps}/deployments", made)
    t.delete(f"{t.apps}/deployments/app")
    t.merge(f"{t.apps}/deployments/app", {"metadata": {"finalizers": None}})


@case
def of_pods(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/pods", pod("unbound"))
    t.delete(f"{t.core}/pods/unbound", keep=_times)
    t.get(f"{t.core}/pods/unbound")
    t.quietly("POST", f"{t.core}/pods", pod("bound", nodeName="x"))
    t.delete(f"{t.core}/pods/bound", keep=_times)
    t.delete(f"{t.core}/pods/bound", {"gracePeriodSeconds": 5}, keep=_times)
    t.delete(f"{t.core}/pods/bound", {"gracePeriodSeconds": 0}, keep=_times)
    t.get(f"{t.core}/pods/bound")


def _times(made: dict) -> object:  # type: ignore[type-arg]
    metadata = made["metadata"]
    return [
        made["kind"],
        metadata.get("deletionGracePeriodSeconds"),
        "deletionTimestamp" in metadata,
    ]


@case
def collections(t: Talk) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"})):
        t.quietly("POST", f"{t.core}/secrets", {"metadata": {"name": name, "labels": labels}})
    t.delete(f"{t.core}/secrets?labelSelector=x%3D1")
    t.get(f"{t.core}/secrets")


@case
def dry(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.delete(f"{t.core}/configmaps/one?dryRun=All")
    t.get(f"{t.core}/configmaps/one")


@case
def services_cannot_be_deleted_at_once(t: Talk) -> None:
    t.delete(f"{t.core}/services")


def _family(t: Talk) -> None:
    """A ConfigMap that owns another, which owns a third."""
    owner = t.quietly("POST", f"{t.core}/configmaps", config_map("grandmother")).json
    for name in ("mother", "child"):
        reference = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        owner = t.quietly(
            "POST", f"{t.core}/configmaps", config_map(name, ownerReferences=[reference])
        ).json


@case
def cascades_in_the_background(t: Talk) -> None:
    _family(t)
    t.delete(f"{t.core}/configmaps/grandmother", {"propagationPolicy": "Background"})
    t.until(f"{t.core}/configmaps/child", _gone)
    t.get(f"{t.core}/configmaps/mother")


@case
def cascades_in_the_foreground(t: Talk) -> None:
    _family(t)
    path = f"{t.core}/configmaps/child"
    t.merge(path, {"metadata": {"finalizers": ["x.example/a"]}})
    t.delete(f"{t.core}/configmaps/grandmother", {"propagationPolicy": "Foreground"})
    t.until(path, lambda seen: "deletionTimestamp" in seen["metadata"])
    t.get(f"{t.core}/configmaps/mother")
    t.merge(path, {"metadata": {"finalizers": None}})
    t.until(f"{t.core}/configmaps/grandmother", _gone)
    t.get(f"{t.core}/configmaps/mother")


@case
def orphans(t: Talk) -> None:
    _family(t)
    t.delete(f"{t.core}/configmaps/grandmother", {"propagationPolicy": "Orphan"})
    t.until(f"{t.core}/configmaps/grandmother", _gone)
    t.get(f"{t.core}/configmaps/mother")


@case
def owner_that_never_was(t: Talk) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "none"}
    reference["uid"] = "11111111-2222-3333-4444-555555555555"
    t.post(f"{t.core}/configmaps", config_map(ownerReferences=[reference]))
    t.until(f"{t.core}/configmaps/one", _gone)


@case
def owners_wrongly(t: Talk) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}
    t.post(f"{t.core}/configmaps", config_map(ownerReferences=[reference]))
    reference |= {"uid": "11111111-2222-3333-4444-555555555555", "controller": True}
    t.post(
        f"{t.core}/configmaps", config_map(ownerReferences=[reference, {**reference, "name": "y"}])
    )
    t.post(f"{t.core}/configmaps", config_map(ownerReferences=[{"name": "x"}]))


@case
def of_a_namespace(t: Talk) -> None:
    name = f"{t.namespace}-inner"
    t.post("/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}"
    held = config_map(finalizers=["x.example/a"])
    t.post(f"{path}/configmaps", held)
    t.delete(path)
    t.until(path, lambda seen: seen.get("status", {}).get("phase") == "Terminating")
    t.post(f"{path}/configmaps", config_map("two"))
    t.until(f"{path}/configmaps/one", lambda seen: "deletionTimestamp" in seen["metadata"])
    t.merge(f"{path}/configmaps/one", {"metadata": {"finalizers": None}})
    t.until(path, _gone)
    t.get(f"{path}/configmaps/one")
    t.post(f"{path}/configmaps", config_map("two"))
