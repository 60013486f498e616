"""What controllers and operators rely on: versions, watches, lists in chunks, restarts."""

import json
import signal
from typing import Any

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_stale_write_is_refused(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    made = server.request("POST", path, _config_map("c", a="1")).json
    assert server.request("PUT", f"{path}/c", made | {"data": {"a": "2"}}).status == 200
    refused = server.request("PUT", f"{path}/c", made | {"data": {"a": "3"}})
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    assert refused.json["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please '
        "apply your changes to the latest version and try again"
    )
    patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {}}
    merge = "application/merge-patch+json"
    assert server.request("PATCH", f"{path}/c", patch, Content_Type=merge).status == 409


def test_a_write_without_change_changes_nothing(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    made = server.request("POST", path, _config_map("c", a="1")).json
    again = server.request("PUT", f"{path}/c", made).json
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_watch_resumes_and_follows_its_selector(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    start = server.request("GET", path).json["metadata"]["resourceVersion"]
    labelled = _config_map("c", a="1")
    labelled["metadata"]["labels"] = {"app": "x"}
    made = server.request("POST", path, labelled).json
    server.request("POST", path, _config_map("other"))
    merge = "application/merge-patch+json"
    change = {"metadata": {"labels": {"app": "y"}}}
    server.request("PATCH", f"{path}/c", change, Content_Type=merge)
    watch = f"{path}?watch=true&resourceVersion={start}&timeoutSeconds=1"
    seen = [line["type"] for line in server.request("GET", watch).lines]
    assert seen == ["ADDED", "ADDED", "MODIFIED"]
    selected = server.request("GET", f"{watch}&labelSelector=app%3Dx").lines
    assert [line["type"] for line in selected] == ["ADDED", "DELETED"]
    later = made["metadata"]["resourceVersion"]
    resumed = server.request(
        "GET", f"{path}?watch=true&resourceVersion={later}&timeoutSeconds=1&labelSelector=app"
    ).lines
    assert [line["type"] for line in resumed] == ["MODIFIED"]


def test_a_watch_list_ends_with_a_bookmark(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    server.request("POST", path, _config_map("c"))
    query = "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=1"
    refused = server.request("GET", path + query)
    assert refused.status == 422
    lines = server.request("GET", f"{path}{query}&resourceVersionMatch=NotOlderThan").lines
    assert [line["type"] for line in lines[:2]] == ["ADDED", "BOOKMARK"]
    assert lines[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_too_old_is_410(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    made = server.request("POST", path, _config_map("c", a="0")).json
    old = made["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    for number in range(620):
        body = {"data": {"a": str(number + 1)}}
        assert server.request("PATCH", f"{path}/c", body, Content_Type=merge).status == 200
    watch = server.request("GET", f"{path}?watch=true&resourceVersion={old}&timeoutSeconds=1")
    (line,) = watch.lines
    assert line["type"] == "ERROR"
    assert (line["object"]["code"], line["object"]["reason"]) == (410, "Expired")
    assert line["object"]["message"].startswith("too old resource version")


def test_lists_come_in_chunks(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    for number in range(5):
        server.request("POST", path, _config_map(f"c{number}"))
    first = server.request("GET", f"{path}?limit=2").json
    assert first["metadata"]["remainingItemCount"] == 3
    names = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        chunk = server.request("GET", f"{path}?limit=2&continue={token}").json
        names += [item["metadata"]["name"] for item in chunk["items"]]
        token = chunk["metadata"].get("continue")
    assert names == [f"c{number}" for number in range(5)]


def test_status_and_spec_are_apart(server: Any, namespace: str) -> None:
    server.kubectl("-n", namespace, "create", "deployment", "d", "--image=x")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    live = server.request("GET", path).json
    live["spec"]["replicas"], live["status"] = 7, {"replicas": 7}
    after = server.request("PUT", f"{path}/status", live).json
    assert (after["spec"]["replicas"], after["status"]["replicas"]) == (1, 7)
    assert after["metadata"]["generation"] == 1
    after["spec"]["replicas"], after["status"] = 2, {}
    final = server.request("PUT", path, after).json
    assert (final["spec"]["replicas"], final["status"]["replicas"]) == (2, 7)
    assert final["metadata"]["generation"] == 2


def test_pods_have_grace_and_an_account(server: Any, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "p-"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    made = server.request("POST", path, pod).json
    name, spec = made["metadata"]["name"], made["spec"]
    assert name.startswith("p-")
    assert spec["serviceAccountName"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert spec["containers"][0]["volumeMounts"][0]["name"] == volume["name"]
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": "lab"},
    }
    assert server.request("POST", f"{path}/{name}/binding", binding).status == 201
    assert server.request("POST", f"{path}/{name}/binding", binding).status == 409
    going = server.request("DELETE", f"{path}/{name}").json
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert server.request("GET", f"{path}/{name}").status == 200
    gone = server.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0")
    assert gone.json["metadata"]["deletionGracePeriodSeconds"] == 0
    assert server.request("GET", f"{path}/{name}").status == 404


def test_namespaces_go_when_they_are_finalized(server: Any, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    going = server.request("DELETE", path).json
    assert going["status"]["phase"] == "Terminating"
    refused = server.request("POST", f"{path}/configmaps", _config_map("c"))
    assert refused.status == 403
    assert "because it is being terminated" in refused.json["message"]
    going["spec"]["finalizers"] = []
    assert server.request("PUT", f"{path}/finalize", going).status == 200
    assert server.request("GET", path).status == 404
    nowhere = server.request("POST", f"{path}/configmaps", _config_map("c"))
    assert nowhere.json["message"] == f'namespaces "{namespace}" not found'


def test_metadata_alone(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    server.request("POST", path, _config_map("c", a="hidden"))
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = server.request("GET", path, Accept=accept)
    assert listed.json["kind"] == "PartialObjectMetadataList"
    assert b"hidden" not in listed.body
    refused = server.request("GET", path, Accept="application/vnd.kubernetes.protobuf")
    assert refused.status == 406


def test_services_keep_their_address(server: Any, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    made = server.request("POST", path, service).json
    address = made["spec"]["clusterIP"]
    updated = server.request("PUT", f"{path}/s", service | {"spec": {"ports": [{"port": 81}]}})
    assert updated.json["spec"]["clusterIP"] == address
    taken = {"metadata": {"name": "t"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
    refused = server.request("POST", path, service | taken)
    assert refused.status == 422
    assert "provided IP is already allocated" in refused.json["message"]
    headless = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    assert server.request("POST", path, service | headless).json["spec"]["clusterIPs"] == ["None"]


def test_state_survives_a_kill(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    made = server.request("POST", path, _config_map("c", a="1")).json
    deleted = server.request("POST", path, _config_map("d")).json
    server.request("DELETE", f"{path}/d")
    version = server.request("GET", path).json["metadata"]["resourceVersion"]
    assert int(version) > int(deleted["metadata"]["resourceVersion"])
    server.stop(signal.SIGKILL)
    server.start()
    assert server.request("GET", f"{path}/c").json == made
    assert server.request("GET", f"{path}/d").status == 404
    after = server.request("GET", path).json["metadata"]["resourceVersion"]
    assert after == version
    watch = f"{path}?watch=true&timeoutSeconds=1&resourceVersion="
    assert server.request("GET", watch + version).lines == []
    (line,) = server.request("GET", watch + made["metadata"]["resourceVersion"]).lines
    assert line["object"]["code"] == 410


def test_bad_bodies_are_400(server: Any, namespace: str) -> None:
    path = CONFIG_MAPS.format(namespace)
    assert server.request("POST", path, b"{").status == 400
    assert server.request("POST", path, b"[]").status == 400
    assert server.request("POST", path, b"").status == 400
    wrong = server.request("POST", path, _config_map("c") | {"kind": "Secret"})
    assert wrong.status == 400
    assert server.request("POST", path, b"x", Content_Type="text/plain").status == 415
    elsewhere = _config_map("c")
    elsewhere["metadata"]["namespace"] = "other"
    assert "does not match the namespace" in server.request("POST", path, elsewhere).json["message"]
    big = json.dumps(_config_map("c", a="x" * 3_200_000)).encode()
    assert server.request("POST", path, big).status == 413
