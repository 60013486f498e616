"""Watches: what they begin with, what they tell, how they end."""

from typing import Any

from conformance.cases import case
from conformance.objects import config_map
from conformance.talk import Talk


def _brief(event: dict[str, Any]) -> Any:
    if event["type"] == "ERROR":
        return event
    metadata = event["object"]["metadata"]
    brief = {"name": metadata.get("name"), "data": event["object"].get("data")}
    if event["type"] == "BOOKMARK":
        brief = {key: event["object"][key] for key in ("kind", "apiVersion")}
        brief["annotations"] = metadata.get("annotations")
    return [event["type"], brief]


def _seed(t: Talk) -> str:
    """Two ConfigMaps; the version of the first."""
    first = t.quietly("POST", f"{t.core}/configmaps", config_map("a", labels={"x": "1"})).json
    t.quietly("POST", f"{t.core}/configmaps", config_map("b"))
    t.quietly("DELETE", f"{t.core}/configmaps/kube-root-ca.crt")
    return str(first["metadata"]["resourceVersion"])


OURS = "metadata.name!=kube-root-ca.crt"


@case
def from_a_version(t: Talk) -> None:
    version = _seed(t)
    t.watch(f"{t.core}/configmaps", keep=_brief, resourceVersion=version, fieldSelector=OURS)


@case
def from_nothing(t: Talk) -> None:
    _seed(t)
    t.watch(f"{t.core}/configmaps", keep=_brief, fieldSelector=OURS)


@case
def from_zero(t: Talk) -> None:
    _seed(t)
    t.until(f"{t.core}/configmaps?resourceVersion=0", lambda seen: "'b'" in str(seen))
    t.watch(f"{t.core}/configmaps", keep=_brief, resourceVersion="0", fieldSelector=OURS)


@case
def tells_all_that_happens(t: Talk) -> None:
    version = _seed(t)
    t.quietly(
        "PATCH",
        f"{t.core}/configmaps/a",
        {"data": {"b": "2"}},
        Content_Type="application/merge-patch+json",
    )
    t.quietly("DELETE", f"{t.core}/configmaps/a")
    t.watch(f"{t.core}/configmaps", resourceVersion=version, fieldSelector=OURS)


@case
def of_one_name(t: Talk) -> None:
    version = _seed(t)
    t.quietly("DELETE", f"{t.core}/configmaps/b")
    t.watch(
        f"{t.core}/configmaps",
        keep=_brief,
        resourceVersion=version,
        fieldSelector="metadata.name=b",
    )


@case
def enters_and_leaves_a_selection(t: Talk) -> None:
    version = _seed(t)
    for value in ("1", "2", "1"):
        t.quietly(
            "PATCH",
            f"{t.core}/configmaps/b",
            {"metadata": {"labels": {"x": value}}},
            Content_Type="application/merge-patch+json",
        )
    t.watch(f"{t.core}/configmaps", keep=_brief, resourceVersion=version, labelSelector="x=1")


@case
def initial_events(t: Talk) -> None:
    _seed(t)
    t.watch(
        f"{t.core}/configmaps",
        keep=_brief,
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
        fieldSelector=OURS,
    )


@case
def initial_events_wrongly(t: Talk) -> None:
    t.watch(f"{t.core}/configmaps", sendInitialEvents="true")
    t.watch(f"{t.core}/configmaps", resourceVersionMatch="NotOlderThan")
    t.watch(f"{t.core}/configmaps", resourceVersionMatch="Exact", resourceVersion="1")
    t.watch(
        f"{t.core}/configmaps",
        sendInitialEvents="true",
        resourceVersionMatch="Exact",
        allowWatchBookmarks="true",
    )
    t.watch(f"{t.core}/configmaps", sendInitialEvents="true", resourceVersionMatch="NotOlderThan")
    t.watch(f"{t.core}/configmaps", sendInitialEvents="false", resourceVersion="0")


@case
def from_what_is_no_version(t: Talk) -> None:
    t.watch(f"{t.core}/configmaps", resourceVersion="x")


@case
def of_what_is_not_there(t: Talk) -> None:
    t.watch(f"{t.core}/wheels")


@case
def of_a_namespace_that_is_not_there(t: Talk) -> None:
    t.watch("/api/v1/namespaces/none-such/configmaps")


@case
def as_a_table(t: Talk) -> None:
    _seed(t)
    kind = "application/json;as=Table;v=v1;g=meta.k8s.io"
    answer = t.quietly(
        "GET",
        f"{t.core}/configmaps?watch=true&timeoutSeconds=1&fieldSelector={OURS}",
        Accept=kind,
    )
    t.note("events", [[one["type"], _cells(one["object"])] for one in answer.lines])


def _cells(table: dict[str, Any]) -> Any:
    rows = [[row["cells"], row["object"]["kind"]] for row in table["rows"]]
    names = [one["name"] for one in table.get("columnDefinitions") or []]
    return {"kind": table["kind"], "columns": names, "rows": rows}


@case
def with_a_bad_selector(t: Talk) -> None:
    t.watch(f"{t.core}/configmaps", labelSelector="a=(")
    t.watch(f"{t.core}/configmaps", fieldSelector="data.a=b")


@case
def with_a_bad_time(t: Talk) -> None:
    t.get(f"{t.core}/configmaps?watch=true&timeoutSeconds=x")


@case
def a_deployment_through_its_life(t: Talk) -> None:
    from conformance.objects import deployment

    made = t.quietly("POST", f"{t.apps}/deployments", deployment()).json
    for body in ({"spec": {"replicas": 2}}, {"spec": {"replicas": 2}}):
        t.quietly(
            "PATCH",
            f"{t.apps}/deployments/app",
            body,
            Content_Type="application/merge-patch+json",
        )
    t.quietly(
        "PATCH",
        f"{t.apps}/deployments/app/status",
        {"status": {"observedGeneration": 2}},
        Content_Type="application/merge-patch+json",
    )
    t.watch(
        f"{t.apps}/deployments",
        keep=lambda one: [
            one["type"],
            one["object"]["metadata"]["generation"],
            one["object"].get("status"),
        ],
        resourceVersion=made["metadata"]["resourceVersion"],
    )
