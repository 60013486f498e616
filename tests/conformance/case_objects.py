"""Creating, reading, replacing: versions, generations, and what is refused."""

from typing import Any

from conformance.cases import case
from conformance.objects import autoscaler, config_map, deployment, pod, service
from conformance.talk import Talk


@case
def create_and_get(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.get(f"{t.core}/configmaps/one")


@case
def create_twice(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.post(f"{t.core}/configmaps", config_map())


@case
def create_deployment_twice(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    t.post(f"{t.apps}/deployments", deployment())


@case
def get_missing(t: Talk) -> None:
    t.get(f"{t.core}/configmaps/none")
    t.get(f"{t.apps}/deployments/none")
    t.get("/api/v1/namespaces/none-such")


@case
def unknown_resource(t: Talk) -> None:
    t.get(f"{t.core}/wheels")
    t.get(f"{t.apps}/wheels/one")
    t.get("/apis/none.example/v1/wheels")


@case
def unknown_path(t: Talk) -> None:
    t.get("/none")


@case
def unknown_subresource(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.get(f"{t.core}/configmaps/one/status")
    t.get(f"{t.core}/configmaps/one/scale")


@case
def method_not_allowed(t: Talk) -> None:
    t.post(f"{t.core}/configmaps/one", config_map())
    t.put(f"{t.core}/configmaps", config_map())
    t.ask("PATCH", f"{t.core}/configmaps", {}, Content_Type="application/merge-patch+json")


@case
def create_in_a_namespace_that_is_not_there(t: Talk) -> None:
    t.post("/api/v1/namespaces/none-such/configmaps", config_map())


@case
def create_with_the_namespace_of_another(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(namespace="other"))


@case
def create_with_a_version(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(resourceVersion="7"))


@case
def create_with_the_kind_of_another(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", {**config_map(), "kind": "Secret"})
    t.post(f"{t.core}/configmaps", {**config_map(), "apiVersion": "v2"})
    t.post(f"{t.apps}/deployments", {**deployment(), "apiVersion": "apps/v1beta1"})


@case
def create_without_a_kind(t: Talk) -> None:
    made = config_map()
    del made["kind"], made["apiVersion"]
    t.post(f"{t.core}/configmaps", made)


@case
def create_without_a_name(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})


@case
def create_with_what_is_no_json(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", b"{")
    t.post(f"{t.core}/configmaps", b"")
    t.post(f"{t.core}/configmaps", b"[]")


@case
def create_with_a_type_unknown(t: Talk) -> None:
    t.ask("POST", f"{t.core}/configmaps", config_map(), Content_Type="text/plain")


@case
def create_in_yaml(t: Talk) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: b}\n"
    t.ask("POST", f"{t.core}/configmaps", body, Content_Type="application/yaml")


@case
def create_drops_what_is_the_servers(t: Talk) -> None:
    made = config_map(uid="11111111-2222-3333-4444-555555555555", generation=5)
    made["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    t.post(f"{t.core}/configmaps", made)


@case
def create_drops_status(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", {**deployment(), "status": {"replicas": 3}})


@case
def wrong_types(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", {**config_map(), "data": {"a": 1}})
    t.post(f"{t.core}/configmaps", {**config_map(), "data": ["a"]})
    t.post(f"{t.apps}/deployments", deployment(replicas="three"))
    t.post(f"{t.apps}/deployments", deployment(replicas=1.5))


@case
def replace(t: Talk) -> None:
    made = t.post(f"{t.core}/configmaps", config_map())
    t.put(f"{t.core}/configmaps/one", {**made, "data": {"b": "2"}})
    t.put(f"{t.core}/configmaps/one", {**made, "data": {"c": "3"}})


@case
def replace_without_a_version(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.put(f"{t.core}/configmaps/one", config_map(data={"b": "2"}))


@case
def replace_with_the_same(t: Talk) -> None:
    made = t.post(f"{t.core}/configmaps", config_map())
    t.put(f"{t.core}/configmaps/one", made)


@case
def replace_missing(t: Talk) -> None:
    t.put(f"{t.core}/configmaps/one", config_map())


@case
def replace_deployment_missing(t: Talk) -> None:
    t.put(f"{t.apps}/deployments/app", deployment())


@case
def replace_under_another_name(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.put(f"{t.core}/configmaps/one", config_map("two"))


@case
def replace_another_uid(t: Talk) -> None:
    made = t.post(f"{t.core}/configmaps", config_map())
    made["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"
    t.put(f"{t.core}/configmaps/one", made)


@case
def generation_counts_the_spec(t: Talk) -> None:
    made = t.post(f"{t.apps}/deployments", deployment())
    made["metadata"]["labels"]["more"] = "yes"
    made = t.put(f"{t.apps}/deployments/app", made)
    made["spec"]["replicas"] = 2
    made = t.put(f"{t.apps}/deployments/app", made)
    made["status"] = {"replicas": 2, "observedGeneration": 2}
    t.put(f"{t.apps}/deployments/app", made)
    made = t.put(f"{t.apps}/deployments/app/status", made)
    made["spec"]["replicas"] = 5
    t.put(f"{t.apps}/deployments/app/status", made)


@case
def scale_of_a_deployment(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    scale = t.get(f"{t.apps}/deployments/app/scale")
    t.put(f"{t.apps}/deployments/app/scale", {**scale, "spec": {"replicas": 3}})
    t.put(f"{t.apps}/deployments/app/scale", {**scale, "spec": {"replicas": 4}})
    t.merge(f"{t.apps}/deployments/app/scale", {"spec": {"replicas": 0}})
    t.merge(f"{t.apps}/deployments/app/scale", {"spec": {"replicas": -1}})
    t.get(f"{t.apps}/deployments/app")


@case
def immutable_fields(t: Talk) -> None:
    made = t.post(f"{t.apps}/deployments", deployment())
    made["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    t.put(f"{t.apps}/deployments/app", made)
    made = t.post(f"{t.core}/services", service())
    made["spec"]["clusterIP"] = made["spec"]["clusterIPs"][0] = "10.96.77.7"
    t.put(f"{t.core}/services/app", made)
    made = t.post(f"{t.core}/configmaps", {**config_map(), "immutable": True})
    made["data"] = {"a": "2"}
    t.put(f"{t.core}/configmaps/one", made)


@case
def pod_that_may_not_change(t: Talk) -> None:
    made = t.post(f"{t.core}/pods", pod())
    made["spec"]["containers"][0]["image"] = "play:v2"
    made = t.put(f"{t.core}/pods/pod", made, keep=lambda one: one["spec"]["containers"][0]["image"])
    made = t.quietly("GET", f"{t.core}/pods/pod").json
    made["spec"]["containers"][0]["command"] = ["true"]
    t.ask(
        "PUT",
        f"{t.core}/pods/pod",
        made,
        keep=lambda one: one,
    )


@case
def finding_out_who_writes(t: Talk) -> None:
    t.post(f"{t.core}/configmaps?fieldManager=alice", config_map())
    t.merge(f"{t.core}/configmaps/one?fieldManager=bob", {"data": {"b": "2"}})
    t.merge(f"{t.core}/configmaps/one?fieldManager=bob", {"data": {"a": "2"}})
    t.merge(f"{t.core}/configmaps/one?fieldManager=alice", {"data": {"b": None}})
    t.merge(f"{t.core}/configmaps/one?fieldManager={'x' * 129}", {"data": {"b": "1"}})


@case
def managed_fields_reset(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"managedFields": [{}]}})


def _kinds(t: Talk) -> list[str]:
    """Paths of one object of each of several kinds with a generation or a status."""
    app = deployment()
    template = {key: app["spec"][key] for key in ("selector", "template")}
    made = {
        f"{t.apps}/deployments": app,
        f"{t.apps}/replicasets": {**app, "kind": "ReplicaSet"},
        f"{t.apps}/daemonsets": {**app, "kind": "DaemonSet", "spec": template},
        f"{t.core}/pods": pod("app"),
        f"{t.core}/services": service(),
        f"/apis/autoscaling/v2/namespaces/{t.namespace}/horizontalpodautoscalers": autoscaler(),
        f"/apis/policy/v1/namespaces/{t.namespace}/poddisruptionbudgets": {
            "metadata": {"name": "app"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "app"}}},
        },
    }
    for path, body in made.items():
        t.quietly("POST", path, body)
    return [f"{path}/app" for path in made]


def _marks(made: dict) -> Any:  # type: ignore[type-arg]
    metadata = made["metadata"]
    return [metadata.get(key) for key in ("generation", "labels", "annotations", "finalizers")]


@case
def metadata_and_generations(t: Talk) -> None:
    for path in _kinds(t):
        t.merge(path, {"metadata": {"annotations": {"x": "1"}}}, keep=_marks)
        t.merge(path, {"metadata": {"labels": {"x": "1"}}}, keep=_marks)
        t.merge(path, {"metadata": {"finalizers": ["x.example/a"]}}, keep=_marks)
        t.merge(path, {"metadata": {"annotations": None}}, keep=_marks)


@case
def metadata_by_way_of_a_status(t: Talk) -> None:
    marks = {"labels": {"x": "1"}, "annotations": {"x": "1"}, "finalizers": ["x.example/a"]}
    for path in _kinds(t):
        t.merge(f"{path}/status", {"metadata": marks}, keep=_marks)
