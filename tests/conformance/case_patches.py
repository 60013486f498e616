"""The three patch types, and what each refuses."""

from conformance.cases import case
from conformance.objects import config_map, deployment, service
from conformance.talk import Talk

SIDECAR = {"name": "sidecar", "image": "play:v1"}


@case
def merge_sets_and_removes(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(labels={"x": "1", "y": "2"}))
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"labels": {"x": None, "z": "3"}}})
    t.merge(f"{t.core}/configmaps/one", {"data": None})
    t.merge(f"{t.core}/configmaps/one", {})


@case
def merge_replaces_lists(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    t.merge(
        f"{t.apps}/deployments/app", {"spec": {"template": {"spec": {"containers": [SIDECAR]}}}}
    )


@case
def merge_with_the_version_of_before(t: Talk) -> None:
    made = t.post(f"{t.core}/configmaps", config_map())
    version = {"resourceVersion": made["metadata"]["resourceVersion"]}
    t.merge(f"{t.core}/configmaps/one", {"metadata": version, "data": {"b": "2"}})
    t.merge(f"{t.core}/configmaps/one", {"metadata": version, "data": {"c": "3"}})
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"resourceVersion": "x"}, "data": {"c": "3"}})


@case
def merge_with_another_uid(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    uid = "11111111-2222-3333-4444-555555555555"
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"uid": uid}})


@case
def patch_missing(t: Talk) -> None:
    t.merge(f"{t.core}/configmaps/none", {"data": {}})
    t.strategic(f"{t.apps}/deployments/none", {"spec": {}})
    t.json_patch(f"{t.core}/configmaps/none", {"op": "add", "path": "/data", "value": {}})


@case
def patch_renames(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"name": "two"}})


@case
def patch_of_a_type_unknown(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.ask("PATCH", f"{t.core}/configmaps/one", {}, Content_Type="application/json")


@case
def patch_that_is_no_json(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.merge(f"{t.core}/configmaps/one", b"{")
    t.merge(f"{t.core}/configmaps/one", b"[]")


@case
def patch_with_wrong_types(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.merge(f"{t.core}/configmaps/one", {"data": {"a": 1}})
    t.post(f"{t.apps}/deployments", deployment())
    t.merge(f"{t.apps}/deployments/app", {"spec": {"replicas": "x"}})
    t.strategic(f"{t.apps}/deployments/app", {"spec": {"replicas": "x"}})


@case
def patch_that_makes_it_invalid(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    t.merge(f"{t.apps}/deployments/app", {"spec": {"replicas": -1}})
    t.merge(f"{t.apps}/deployments/app", {"spec": {"template": {"spec": {"containers": []}}}})
    t.merge(
        f"{t.apps}/deployments/app",
        {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
    )


@case
def json_patch_operations(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(data={"a": "1", "b": "2", "c/d": "3"}))
    t.json_patch(
        f"{t.core}/configmaps/one",
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "9"},
        {"op": "remove", "path": "/data/b"},
        {"op": "copy", "from": "/data/a", "path": "/data/copied"},
        {"op": "move", "from": "/data/c~1d", "path": "/data/moved"},
        {"op": "add", "path": "/data/new", "value": "n"},
    )


@case
def json_patch_test_fails(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.json_patch(f"{t.core}/configmaps/one", {"op": "test", "path": "/data/a", "value": "2"})


@case
def json_patch_of_what_is_not_there(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.json_patch(f"{t.core}/configmaps/one", {"op": "remove", "path": "/data/none"})
    t.json_patch(f"{t.core}/configmaps/one", {"op": "replace", "path": "/data/none", "value": "1"})
    t.json_patch(f"{t.core}/configmaps/one", {"op": "add", "path": "/none/none", "value": "1"})
    t.json_patch(f"{t.core}/configmaps/one", {"op": "wish", "path": "/data/a"})


@case
def json_patch_lists(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    path = "/spec/template/spec/containers"
    t.json_patch(f"{t.apps}/deployments/app", {"op": "add", "path": f"{path}/-", "value": SIDECAR})
    t.json_patch(f"{t.apps}/deployments/app", {"op": "remove", "path": f"{path}/0"})
    t.json_patch(f"{t.apps}/deployments/app", {"op": "remove", "path": f"{path}/7"})


@case
def json_patch_that_is_no_list(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.ask("PATCH", f"{t.core}/configmaps/one", {}, Content_Type="application/json-patch+json")


@case
def strategic_merges_by_key(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    spec = {"containers": [SIDECAR, {"name": "app", "image": "play:v2"}]}
    t.strategic(f"{t.apps}/deployments/app", {"spec": {"template": {"spec": spec}}})
    spec = {"containers": [{"name": "app", "env": [{"name": "A", "value": "1"}]}]}
    t.strategic(f"{t.apps}/deployments/app", {"spec": {"template": {"spec": spec}}})


@case
def strategic_directives(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    path = f"{t.apps}/deployments/app"
    t.strategic(path, {"spec": {"template": {"spec": {"containers": [SIDECAR]}}}})
    delete = {"containers": [{"name": "sidecar", "$patch": "delete"}]}
    t.strategic(path, {"spec": {"template": {"spec": delete}}})
    replaced = {"containers": [{"$patch": "replace"}, SIDECAR]}
    t.strategic(path, {"spec": {"template": {"spec": replaced}}})
    t.strategic(path, {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})
    t.strategic(path, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})


@case
def strategic_orders(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    order = [{"name": "sidecar"}, {"name": "app"}]
    spec = {"$setElementOrder/containers": order, "containers": [SIDECAR]}
    t.strategic(f"{t.apps}/deployments/app", {"spec": {"template": {"spec": spec}}})


@case
def strategic_ports_of_a_service(t: Talk) -> None:
    t.post(f"{t.core}/services", service(ports=[{"name": "a", "port": 80}]))
    t.strategic(f"{t.core}/services/app", {"spec": {"ports": [{"name": "b", "port": 81}]}})
    t.strategic(f"{t.core}/services/app", {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}})


@case
def strategic_primitive_lists(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(finalizers=["x.example/a"]))
    path = f"{t.core}/configmaps/one"
    t.strategic(path, {"metadata": {"finalizers": ["x.example/b"]}})
    t.strategic(path, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.example/a"]}})
    t.merge(path, {"metadata": {"finalizers": None}})


@case
def strategic_without_its_key(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    spec = {"containers": [{"image": "play:v2"}]}
    t.strategic(f"{t.apps}/deployments/app", {"spec": {"template": {"spec": spec}}})


@case
def patch_of_a_status(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    path = f"{t.apps}/deployments/app/status"
    t.merge(path, {"status": {"replicas": 1}, "spec": {"replicas": 9}})
    t.strategic(path, {"status": {"conditions": [{"type": "A", "status": "True"}]}})
    t.strategic(path, {"status": {"conditions": [{"type": "B", "status": "True"}]}})
    t.json_patch(path, {"op": "replace", "path": "/status/replicas", "value": 2})


@case
def patch_without_a_change(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    t.merge(f"{t.apps}/deployments/app", {"spec": {"replicas": 1}})
    t.strategic(f"{t.apps}/deployments/app", {"metadata": {"labels": {"app": "app"}}})
