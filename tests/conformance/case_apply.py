"""Server-side apply: who owns what, conflicts, force."""

from conformance.cases import case
from conformance.objects import config_map, deployment, service
from conformance.talk import Talk


@case
def makes_it(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map())


@case
def twice_the_same(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map())
    t.apply(f"{t.core}/configmaps/one", config_map())


@case
def drops_what_is_left_out(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "1", "b": "2"}))
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "1"}))
    t.apply(f"{t.core}/configmaps/one", config_map(data={}))


@case
def conflicts(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map())
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "2"}), "two")
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "2"}), "two", force=True)
    t.apply(f"{t.core}/configmaps/one", config_map(), "one")


@case
def conflicts_of_several_fields(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "1", "b": "1"}))
    t.merge(f"{t.core}/configmaps/one?fieldManager=three", {"data": {"b": "2"}})
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "3", "b": "3"}), "two")


@case
def shares_what_is_equal(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map())
    t.apply(f"{t.core}/configmaps/one", config_map(), "two")
    t.apply(f"{t.core}/configmaps/one", config_map(data={}), "one")
    t.apply(f"{t.core}/configmaps/one", config_map(data={}), "two")


@case
def after_an_update(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.apply(f"{t.core}/configmaps/one", config_map(data={"a": "2"}))
    t.apply(f"{t.core}/configmaps/one", config_map(data={"b": "2"}))


@case
def merges_lists_by_key(t: Talk) -> None:
    t.apply(f"{t.apps}/deployments/app", deployment())
    more = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "play:v1"}]}}}}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}}
    t.apply(f"{t.apps}/deployments/app", {**head, **more}, "two")
    t.apply(f"{t.apps}/deployments/app", {**head, "spec": {"replicas": 3}}, "two")
    other = deployment()
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "play:v2"
    t.apply(f"{t.apps}/deployments/app", other, "two")


@case
def replicas_left_to_another(t: Talk) -> None:
    t.apply(f"{t.apps}/deployments/app", deployment(replicas=2))
    t.merge(f"{t.apps}/deployments/app/scale?fieldManager=scaler", {"spec": {"replicas": 5}})
    t.apply(f"{t.apps}/deployments/app", deployment(replicas=2))
    t.apply(f"{t.apps}/deployments/app", deployment())


@case
def ports_of_a_service(t: Talk) -> None:
    t.apply(f"{t.core}/services/app", service(ports=[{"port": 80}]))
    t.apply(f"{t.core}/services/app", service(ports=[{"port": 80}, {"port": 81, "name": "b"}]))
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    t.apply(f"{t.core}/services/app", service(ports=ports))


@case
def without_a_manager(t: Talk) -> None:
    t.ask(
        "PATCH",
        f"{t.core}/configmaps/one",
        config_map(),
        Content_Type="application/apply-patch+yaml",
    )


@case
def force_on_another_patch(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map())
    t.merge(f"{t.core}/configmaps/one?force=true", {"data": {}})


@case
def with_managed_fields(t: Talk) -> None:
    made = t.apply(f"{t.core}/configmaps/one", config_map())
    t.apply(f"{t.core}/configmaps/one", made)


@case
def under_another_name(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map("two"))


@case
def without_a_kind(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", {"metadata": {"name": "one"}})


@case
def twice_the_same_key(t: Talk) -> None:
    made = deployment()
    made["spec"]["template"]["spec"]["containers"] *= 2
    t.apply(f"{t.apps}/deployments/app", made)


@case
def unknown_fields(t: Talk) -> None:
    t.apply(f"{t.apps}/deployments/app", deployment(replicaz=2))


@case
def a_version_of_before(t: Talk) -> None:
    made = t.apply(f"{t.core}/configmaps/one", config_map())
    version = made["metadata"]["resourceVersion"]
    t.apply(f"{t.core}/configmaps/one", config_map(data={"b": "1"}, resourceVersion=version))
    t.apply(f"{t.core}/configmaps/one", config_map(data={"c": "1"}, resourceVersion=version))


@case
def of_a_status(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}}
    t.apply(f"{t.apps}/deployments/app/status", {**head, "status": {"replicas": 2}})
    t.apply(f"{t.apps}/deployments/app/status", {**head, "status": {"replicas": 3}}, "two")


@case
def dry(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one?dryRun=All", config_map())
    t.get(f"{t.core}/configmaps/one")


@case
def invalid(t: Talk) -> None:
    t.apply(f"{t.apps}/deployments/app", deployment(replicas=-1))
    t.apply(f"{t.apps}/deployments/app", deployment(replicas="x"))


@case
def labels_and_finalizers(t: Talk) -> None:
    t.apply(f"{t.core}/configmaps/one", config_map(labels={"a": "1"}, finalizers=["x.example/a"]))
    t.apply(
        f"{t.core}/configmaps/one",
        config_map(labels={"b": "1"}, finalizers=["x.example/b"]),
        "two",
    )
    t.apply(f"{t.core}/configmaps/one", config_map(), "one")
    t.merge(f"{t.core}/configmaps/one", {"metadata": {"finalizers": None}})
