"""Kinds that a CRD adds: schemas, defaults, pruning, status, scale, columns."""

from typing import Any

from conformance.cases import case
from conformance.objects import WIDGET_SCHEMA, definition
from conformance.talk import Talk

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _established(seen: Any) -> bool:
    conditions = seen.get("status", {}).get("conditions") or []
    return {"type": "Established", "status": "True"} in [
        {key: one[key] for key in ("type", "status")} for one in conditions
    ]


def _kind(t: Talk) -> str:
    """A kind of the case's own; the path of its objects."""
    group = f"{t.namespace}.example"
    made = definition(group)
    t.quietly("POST", CRDS, made)
    t.until(f"{CRDS}/widgets.{group}", _established)
    path = f"/apis/{group}/v1/namespaces/{t.namespace}/widgets"
    t.until(path, lambda seen: seen.get("kind") == "WidgetList")
    return path


def _widget(t: Talk, name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{t.namespace}.example/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 1, **spec},
    }


@case
def life(t: Talk) -> None:
    path = _kind(t)
    made = t.post(path, _widget(t))
    t.post(path, _widget(t))
    t.get(f"{path}/none")
    t.put(f"{path}/one", {**made, "spec": {"size": 2}})
    t.put(f"{path}/one", {**made, "spec": {"size": 3}})
    t.put(f"{path}/one", _widget(t, size=3))
    t.delete(f"{path}/one")


@case
def defaults_and_pruning(t: Talk) -> None:
    path = _kind(t)
    items = [{"name": "a"}, {"name": "b", "value": 1}]
    made = _widget(t, items=items, unknown=1, free={"any": {"thing": 1}}, map={"x": 1})
    t.post(path, {**made, "more": 1})
    t.post(f"{path}?fieldValidation=Strict", {**_widget(t, "two", unknown=1), "more": 1})
    t.post(f"{path}?fieldValidation=Ignore", {**_widget(t, "three", unknown=1), "more": 1})


@case
def schema_errors(t: Talk) -> None:
    path = _kind(t)
    for spec in (
        {"size": 0}, {"size": 11}, {"size": "x"}, {"size": 1.5}, {"size": None},
        {"colour": "green"}, {"colour": 1}, {"name": "UPPER"}, {"name": "toolong"}, {"name": "x"},
        {"ratio": 0}, {"ratio": "x"}, {"tags": []}, {"tags": ["a", "b", "c"]}, {"tags": [1]},
        {"tags": "a"}, {"map": {"a": "b"}}, {"port": 1.5}, {"port": True}, {"note": None},
        {"items": [{"name": "a"}, {"name": "a"}]}, {"items": [{}]}, {"at": "yesterday"},
        {"either": {}}, {"either": {"a": "1", "b": "2"}}, {"free": 1},
        {"size": 0, "colour": "green", "name": "UPPER"},
    ):  # fmt: skip
        t.post(path, _widget(t, **spec), keep=lambda one: one["spec"])
        t.quietly("DELETE", f"{path}/one")


@case
def without_what_is_required(t: Talk) -> None:
    path = _kind(t)
    made = _widget(t)
    made["spec"] = {}
    t.post(path, made)
    del made["spec"]
    t.post(path, made)
    t.post(path, {**made, "spec": "x"})


@case
def kind_and_version_of_another(t: Talk) -> None:
    path = _kind(t)
    t.post(path, {**_widget(t), "kind": "Gadget"})
    t.post(path, {**_widget(t), "apiVersion": "other.example/v1"})
    made = _widget(t)
    del made["kind"], made["apiVersion"]
    t.post(path, made)


@case
def names(t: Talk) -> None:
    path = _kind(t)
    for name in ("Upper", "a_b", "a" * 254):
        t.post(path, _widget(t, name))
    made = _widget(t)
    made["metadata"] = {"name": "labels", "labels": {"a b": "c"}, "annotations": {"a": 1}}
    t.post(path, made)


@case
def status_is_apart(t: Talk) -> None:
    path = _kind(t)
    made = t.post(path, {**_widget(t), "status": {"phase": "New"}})
    made["status"] = {"phase": "Ready"}
    made["metadata"]["labels"] = {"a": "b"}
    t.put(f"{path}/one", made)
    current = t.quietly("GET", f"{path}/one").json
    current["status"] = {"phase": "Ready", "size": 4, "unknown": 1}
    current["spec"]["size"] = 9
    current["metadata"]["labels"] = {"a": "c"}
    t.put(f"{path}/one/status", current)
    t.merge(f"{path}/one/status", {"status": {"phase": 1}})
    t.merge(f"{path}/one/status", {"status": {"phase": "Done"}})
    t.merge(f"{path}/one/status", {"metadata": {"resourceVersion": "1"}, "status": {}})


@case
def generation_counts_all_but_status(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t))
    t.merge(f"{path}/one", {"spec": {"size": 2}}, keep=_counts)
    t.merge(f"{path}/one", {"spec": {"size": 2}}, keep=_counts)
    t.merge(f"{path}/one", {"metadata": {"labels": {"a": "b"}}}, keep=_counts)
    t.merge(f"{path}/one/status", {"status": {"phase": "x"}}, keep=_counts)


def _counts(made: dict[str, Any]) -> Any:
    return {"metadata": {key: made["metadata"][key] for key in ("generation", "resourceVersion")}}


@case
def scale(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t))
    t.get(f"{path}/one/scale")
    t.merge(f"{path}/one/scale", {"spec": {"replicas": 4}})
    t.merge(f"{path}/one/scale", {"spec": {"replicas": 40}})
    t.get(f"{path}/one", keep=lambda one: one["spec"])


@case
def patches(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t, items=[{"name": "a"}]))
    t.merge(f"{path}/one", {"spec": {"items": [{"name": "b"}]}})
    t.strategic(f"{path}/one", {"spec": {"size": 2}})
    t.json_patch(f"{path}/one", {"op": "add", "path": "/spec/items/-", "value": {"name": "c"}})
    t.merge(f"{path}/one", {"spec": {"size": 0}})
    t.merge(f"{path}/one", {"spec": None})
    t.merge(f"{path}/one?fieldValidation=Strict", {"spec": {"unknown": 1}})


@case
def server_side_apply(t: Talk) -> None:
    path = _kind(t)
    t.apply(f"{path}/one", _widget(t, items=[{"name": "a"}], tags=["x"]))
    t.apply(f"{path}/one", _widget(t, items=[{"name": "b", "value": 2}]), "two")
    t.apply(f"{path}/one", _widget(t, size=2), "two")
    t.apply(f"{path}/one", _widget(t, size=2), "two", force=True)
    t.apply(f"{path}/one", _widget(t, "one", unknown=1), "three")
    t.apply(f"{path}/one", _widget(t, size=0), "three", force=True)


@case
def columns(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t))
    t.table(path)
    t.kubectl("get", "widgets")
    t.kubectl("get", "widgets", "-o", "wide")
    t.kubectl("get", "wi", "one", "-o", "name")


@case
def watched(t: Talk) -> None:
    path = _kind(t)
    made = t.post(path, _widget(t))
    t.quietly("DELETE", f"{path}/one")
    t.watch(path, resourceVersion=made["metadata"]["resourceVersion"])


@case
def selected(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t))
    t.get(f"{path}?fieldSelector=metadata.name%3Done", keep=lambda one: len(one["items"]))
    t.get(f"{path}?fieldSelector=spec.size%3D1")


@case
def definition_itself(t: Talk) -> None:
    group = f"{t.namespace}.example"
    t.post(CRDS, definition(group))
    t.until(f"{CRDS}/widgets.{group}", _established)
    t.get(f"{CRDS}/widgets.{group}", keep=lambda one: {**one, "metadata": {}})
    t.delete(f"{CRDS}/widgets.{group}", keep=lambda one: one["kind"])


@case
def definitions_refused(t: Talk) -> None:
    group = f"{t.namespace}.example"
    made = definition(group)
    made["metadata"]["name"] = "wrong"
    t.post(CRDS, made)
    made = definition(group)
    made["spec"]["versions"][0]["storage"] = False
    t.post(CRDS, made)
    made = definition(group)
    del made["spec"]["versions"][0]["schema"]
    t.post(CRDS, made)
    made = definition(group)
    made["spec"]["scope"] = "Wide"
    t.post(CRDS, made)
    made = definition(group)
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": {"properties": WIDGET_SCHEMA["properties"]}},
    }
    t.post(CRDS, made)


@case
def schemas_without_structure(t: Talk) -> None:
    for part in (
        {"properties": {"a": {}}},
        {"type": "array", "items": {}},
        {"type": "object", "additionalProperties": {"nullable": True}},
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-preserve-unknown-fields": True},
    ):
        made = definition(f"{t.namespace}.example")
        version = made["spec"]["versions"][0]
        version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"spec": part}}
        version["subresources"] = version["additionalPrinterColumns"] = None
        t.post(f"{CRDS}?dryRun=All", made, keep=lambda one: one["kind"])
    made = definition(f"{t.namespace}.example")
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"properties": {}}
    t.post(f"{CRDS}?dryRun=All", made)


@case
def definition_goes_and_takes_its_objects(t: Talk) -> None:
    path = _kind(t)
    t.post(path, _widget(t))
    group = f"{t.namespace}.example"
    t.quietly("DELETE", f"{CRDS}/widgets.{group}")
    t.until(f"{CRDS}/widgets.{group}", lambda seen: seen.get("reason") == "NotFound")
    t.until(path, lambda seen: "page not found" in str(seen) or seen.get("code") == 404)
    t.get(path)


@case
def discovery(t: Talk) -> None:
    _kind(t)
    group = f"{t.namespace}.example"
    t.get(f"/apis/{group}/v1", keep=lambda one: [_described(entry) for entry in one["resources"]])
    t.get(f"/apis/{group}")


def _described(entry: dict[str, Any]) -> Any:
    return {key: value for key, value in entry.items() if key != "storageVersionHash"}
