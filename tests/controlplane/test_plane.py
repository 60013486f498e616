"""The peer itself: what others' tests rely on."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import ControlPlane, Missing, Play

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path_factory.mktemp("plane"), audit=True, users={"bob": ()})
    try:
        made.start()
    except Missing as missing:
        pytest.skip(str(missing))
    except BaseException:
        made.stop()
        raise
    yield made
    made.stop()


def deployment(name: str, tag: str) -> Object:
    labels = {"app": name}
    containers = [{"name": "app", "image": f"play:{tag}"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def test_pods_become_ready(plane: ControlPlane) -> None:
    plane.apply(deployment("ready", "v1"))
    assert "successfully rolled out" in plane.kubectl("rollout", "status", "deployment/ready")
    [pod] = plane.all("pods", selector="app=ready")
    assert pod["spec"]["nodeName"] == "lab"
    assert pod["status"]["podIP"].startswith("10.244.")
    plane.kubectl("delete", "deployment", "ready", "--cascade=foreground")
    plane.until(lambda: plane.all("pods", selector="app=ready") == [])


def test_pods_that_do_not(plane: ControlPlane) -> None:
    assert plane.kubelet is not None
    for tag in ("late", "unready", "crashes"):
        plane.apply(deployment(tag, tag))

    def available(name: str) -> bool:
        status = plane.get("deployment", name)["status"]
        return bool(status.get("availableReplicas"))

    plane.until(lambda: available("late"))
    [pod] = plane.all("pods", selector="app=crashes")
    [container] = pod["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert not available("unready")
    plane.kubelet.plays = lambda _: Play.READY
    plane.kubelet.again()
    plane.until(lambda: available("unready") and available("crashes"))


def test_rights_and_tokens(plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    assert plane.request("GET", path, token="bob-token").status == 403
    token = plane.token("default", "default")
    told = plane.request("GET", path, token=token).json["message"]
    assert 'User "system:serviceaccount:default:default"' in told


def test_counts_per_user(plane: ControlPlane) -> None:
    since = plane.audit_size
    for _ in range(3):
        plane.request("GET", "/api/v1/namespaces/default/secrets", token="bob-token")
    plane.until(lambda: plane.counted("bob", since)["list", "secrets"] == 3)


def test_survives_kill_and_new_certificates(plane: ControlPlane) -> None:
    plane.api.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
    token = plane.token("default", "default")
    plane.kill_apiserver()
    plane.start_apiserver()
    plane.api.get("/api/v1/namespaces/default/configmaps/kept")
    before = plane.keys.ca.cert.read_bytes()
    plane.renew_certificates()
    plane.restart_apiserver()
    assert plane.keys.ca.cert.read_bytes() != before
    assert plane.request("GET", "/api/v1/nodes", token=token).status == 403
    assert "kept" in plane.kubectl("get", "configmaps")


def test_forgets_what_was_compacted(plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    old = plane.api.get(path)["metadata"]["resourceVersion"]
    plane.api.post(path, {"metadata": {"name": f"new-{time.monotonic_ns()}"}})
    plane.compact()
    plane.restart_apiserver()
    told = plane.request("GET", f"{path}?watch=true&timeoutSeconds=5&resourceVersion={old}").lines
    assert told[0]["type"] == "ERROR"
    status = told[0]["object"]
    assert (status["code"], status["reason"]) == (410, "Expired")
