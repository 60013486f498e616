"""A whole lab goes on with another Kuma: its Envoys, and what they do with a route of before."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.running_lab import PODINFO, Lab, eventually, shell
from lab.mesh.mesh_objects import form_b, form_c
from serinus.lab import world
from serinus.lab.requirements import lacking

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(lacking()), reason=f"this machine lacks {[str(x) for x in lacking()]}"),
]

NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "test", "labels": {"kuma.io/sidecar-injection": "enabled"}},
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        yield Lab(world.up("upgraded", "2.14"))
    finally:
        world.down("upgraded")


def deployment(name: str, container: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "test"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service(name: str, app: str) -> dict[str, Any]:
    port = {"port": 9898, "name": "http", "appProtocol": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "test"},
        "spec": {"selector": {"app": app}, "ports": [port]},
    }


def route(form: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute", **form}


def answers(lab: Lab, *, number: int = 20) -> set[str]:
    """The versions that answer the client's requests; or what they got instead."""
    ask = "curl -s --max-time 5 http://podinfo.test:9898/version | tr -d '\\n'; echo"
    script = f"for i in $(seq {number}); do {ask}; done"
    words = ("-n", "test", "exec", "deploy/client", "-c", "c", "--", "sh", "-c", script)
    lines = lab.kubectl(*words).splitlines()
    return {json.loads(line)["version"] if "version" in line else line for line in lines}


def all_ready(lab: Lab, release: str) -> bool:
    pods = lab.get("pods", "-n", "test")["items"]
    images = {one["image"] for pod in pods for one in pod["spec"].get("initContainers", ())}
    ready = [
        condition["status"]
        for pod in pods
        for condition in pod.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready"
    ]
    return images == {f"kuma/kuma-dp:{release}"} and ready == ["True"] * 3 and len(pods) == 3


def test_a_route_of_2_14_has_no_effect_in_3_0_and_nobody_is_sent_to_the_canary(lab: Lab) -> None:
    new = {**PODINFO, "image": PODINFO["image"].replace("6.0.0", "6.0.1")}
    lab.apply(
        NAMESPACE,
        deployment("podinfo-primary", PODINFO),
        deployment("podinfo", new),
        deployment("client", shell("c", "sleep 100000")),
        service("podinfo", "podinfo-primary"),
        service("podinfo-primary", "podinfo-primary"),
        service("podinfo-canary", "podinfo"),
        route(form_b(50, 50)),
    )
    eventually(lambda: all_ready(lab, "2.14.3"), "all pods are ready with sidecars of 2.14")
    eventually(lambda: answers(lab) == {"6.0.0", "6.0.1"}, "the route splits")
    before = lab.get("meshhttproute", "podinfo", "-n", "test")["metadata"]["uid"]
    port = lab.info.port
    lab = Lab(world.upgrade("upgraded", "3.0"))
    assert (lab.info.kuma, lab.info.port) == ("3.0", port)
    eventually(lambda: all_ready(lab, "3.0.0-dev"), "all pods are ready with sidecars of 3.0")
    eventually(lambda: answers(lab) == {"6.0.0"}, "the primary answers")
    after = lab.get("meshhttproute", "podinfo", "-n", "test")
    assert after["metadata"]["uid"] == before
    assert "name" not in after["spec"]["to"][0]["targetRef"]
    assert answers(lab, number=100) == {"6.0.0"}
    lab.apply(route(form_c(50, 50)))
    eventually(lambda: answers(lab) == {"6.0.0", "6.0.1"}, "the route splits again")
    assert "trafficroutes" not in lab.kubectl("get", "crd", "-o", "name")
