"""Lists: selectors, pages, tables."""

from typing import Any

from conformance.cases import case
from conformance.objects import autoscaler, config_map, deployment, pod, service
from conformance.talk import Talk


def _names(listed: dict[str, Any]) -> Any:
    return [one["metadata"]["name"] for one in listed["items"]]


def _labelled(t: Talk) -> None:
    for name, labels in (
        ("a", {"x": "1", "y": "1"}),
        ("b", {"x": "2"}),
        ("c", {"x": "3", "y": "2"}),
        ("d", {}),
    ):
        t.quietly("POST", f"{t.core}/secrets", _secret(name, labels))


def _secret(
    name: str, labels: dict[str, str] | None = None, kind: str = "Opaque"
) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata}


@case
def labels(t: Talk) -> None:
    _labelled(t)
    for selector in (
        "x=1", "x==1", "x!=1", "x in (1,2)", "x notin (1,2)", "x", "!y", "x,y", "x=1,y=1",
        "x>1", "x<3", "y=", "x in ()", "", " x = 1 ",
    ):  # fmt: skip
        t.get(f"{t.core}/secrets?labelSelector={_quoted(selector)}", keep=_names)


@case
def labels_wrongly(t: Talk) -> None:
    for selector in ("x=(", "x in 1", "x in (1", "-x", "=1", "x=1=2", "x>a", ",", "x=-", "a/b/c"):
        t.get(f"{t.core}/secrets?labelSelector={_quoted(selector)}", keep=_names)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@case
def fields(t: Talk) -> None:
    _labelled(t)
    t.quietly("POST", f"{t.core}/secrets", _secret("e", kind="example.org/e"))
    for selector in (
        "metadata.name=a", "metadata.name!=a", f"metadata.namespace={t.namespace}",
        "metadata.namespace=x", "type=Opaque", "type!=Opaque", "metadata.name=a,type=Opaque",
        "metadata.name==b",
    ):  # fmt: skip
        t.get(f"{t.core}/secrets?fieldSelector={_quoted(selector)}", keep=_names)


@case
def fields_wrongly(t: Talk) -> None:
    for selector in ("data.a=1", "metadata.name", "metadata.labels=x", "metadata.name in (a)"):
        t.get(f"{t.core}/secrets?fieldSelector={_quoted(selector)}", keep=_names)
    t.get(f"{t.apps}/deployments?fieldSelector=spec.replicas%3D1")


@case
def fields_of_pods(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/pods", pod("a"))
    t.quietly("POST", f"{t.core}/pods", pod("b", nodeName="x", restartPolicy="Never"))
    for selector in (
        "spec.nodeName=x", "spec.nodeName=", "spec.nodeName!=x", "status.phase=Pending",
        "status.phase!=Pending", "spec.restartPolicy=Never", "status.podIP=", "spec.hostname=x",
        "spec.schedulerName=default-scheduler", "spec.serviceAccountName=default",
    ):  # fmt: skip
        t.get(f"{t.core}/pods?fieldSelector={_quoted(selector)}", keep=_names)


@case
def fields_of_events(t: Talk) -> None:
    for name, reason in (("a", "R"), ("b", "S")):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name},
            "involvedObject": {"kind": "Pod", "namespace": t.namespace, "name": name, "uid": "u"},
            "reason": reason,
            "type": "Normal",
        }
        t.quietly("POST", f"{t.core}/events", event)
    for selector in (
        "involvedObject.name=a", "reason=S", "type=Normal", "involvedObject.kind=Pod",
        "involvedObject.uid=u", "source=x", "reportingComponent=",
    ):  # fmt: skip
        t.get(f"{t.core}/events?fieldSelector={_quoted(selector)}", keep=_names)


@case
def pages(t: Talk) -> None:
    _labelled(t)
    first = t.get(f"{t.core}/secrets?limit=2", keep=_page)
    token = _quoted(first["metadata"]["continue"])
    t.get(f"{t.core}/secrets?limit=2&continue={token}", keep=_page)
    t.get(f"{t.core}/secrets?limit=9", keep=_page)


def _page(listed: dict[str, Any]) -> Any:
    metadata = listed["metadata"]
    return [_names(listed), "continue" in metadata, metadata.get("remainingItemCount")]


@case
def pages_wrongly(t: Talk) -> None:
    t.get(f"{t.core}/secrets?limit=2&continue=nonsense")
    t.get(f"{t.core}/secrets?limit=x")


@case
def versions_of_lists(t: Talk) -> None:
    _labelled(t)
    t.get(f"{t.core}/secrets?resourceVersion=x")
    t.get(f"{t.core}/secrets?resourceVersionMatch=Exact")
    t.get(f"{t.core}/secrets?resourceVersionMatch=Wrong&resourceVersion=1")
    t.get(f"{t.core}/secrets?resourceVersion=0&resourceVersionMatch=Exact")


@case
def version_of_the_future(t: Talk) -> None:
    t.get(f"{t.core}/secrets?resourceVersion=99999999&timeoutSeconds=1")


@case
def empty_list(t: Talk) -> None:
    t.get(f"{t.core}/secrets")
    t.get(f"{t.apps}/deployments")


@case
def list_of_a_namespace_that_is_not_there(t: Talk) -> None:
    t.get("/api/v1/namespaces/none-such/secrets")


@case
def only_metadata(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/configmaps", config_map())
    kind = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    t.get(f"{t.core}/configmaps/one", Accept=kind)
    kind = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    t.get(f"{t.core}/configmaps?fieldSelector=metadata.name%3Done", Accept=kind)


@case
def of_a_kind_unknown(t: Talk) -> None:
    t.get(f"{t.core}/secrets", Accept="text/html")
    t.get(f"{t.core}/secrets", Accept="*/*", keep=_names)


def _columns(table: dict[str, Any]) -> Any:
    rows = [row["cells"] for row in table["rows"]]
    definitions = [
        {key: one[key] for key in ("name", "type", "format", "priority")}
        for one in table["columnDefinitions"]
    ]
    return {"kind": table["kind"], "columns": definitions, "rows": rows}


@case
def tables(t: Talk) -> None:
    t.quietly("POST", f"{t.apps}/deployments", deployment())
    t.quietly("POST", f"{t.core}/services", service())
    t.quietly("POST", f"{t.core}/secrets", _secret("a"))
    t.quietly("POST", f"{t.core}/pods", pod())
    path = f"/apis/autoscaling/v2/namespaces/{t.namespace}/horizontalpodautoscalers"
    t.quietly("POST", path, autoscaler())
    for listed in (
        f"{t.apps}/deployments",
        f"{t.core}/services",
        f"{t.core}/secrets",
        f"{t.core}/pods",
        path,
    ):
        t.table(listed, keep=_columns)
    for listed in ("replicasets", "daemonsets", "statefulsets"):
        t.table(f"{t.apps}/{listed}", keep=_columns)
    t.table(f"{t.core}/events", keep=_columns)
    t.table(f"{t.core}/endpoints", keep=_columns)
    t.table(f"{t.core}/serviceaccounts", keep=_columns)
    t.table(f"/api/v1/namespaces/{t.namespace}", keep=_columns)
    t.table(f"/apis/coordination.k8s.io/v1/namespaces/{t.namespace}/leases", keep=_columns)
    t.table(f"/apis/batch/v1/namespaces/{t.namespace}/jobs", keep=_columns)


@case
def table_with_objects(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/secrets", _secret("a"))
    t.table(f"{t.core}/secrets/a")
    t.table(f"{t.core}/secrets/a?includeObject=Object", keep=lambda one: one["rows"])
    t.table(f"{t.core}/secrets/a?includeObject=None", keep=lambda one: one["rows"])
    t.table(f"{t.core}/secrets/none")
