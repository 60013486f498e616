"""What Endpoints and EndpointSlices tell of a Service's pods."""

from typing import Any

from serinus.lab.controllers.backends import backends, slice_contents, subsets


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "test"},
        "spec": {"selector": {"app": "web"}, "ports": list(ports), **spec},
    }


def pod(name: str, ready: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name, "namespace": "test", "uid": f"u-{name}", "labels": {"app": "web"},
            **more.get("metadata", {}),
        },
        "spec": {
            "nodeName": "lab",
            "containers": [{"ports": [{"name": "http", "containerPort": more.get("port", 9898)}]}],
            **more.get("spec", {}),
        },
        "status": {
            "phase": more.get("phase", "Running"),
            "podIP": more.get("ip", f"10.244.0.{name[-1]}"),
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }  # fmt: skip


HTTP = {"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}
LEAVING = {"deletionTimestamp": "2026-11-24T12:00:00Z"}


def addresses(subset: dict[str, Any], key: str = "addresses") -> list[str]:
    return [entry["ip"] for entry in subset.get(key, [])]


def test_ready_and_not_ready() -> None:
    behind = backends(service(HTTP), [pod("p2"), pod("p1"), pod("p3", ready=False)])
    [subset] = subsets(service(HTTP), behind)
    assert addresses(subset) == ["10.244.0.1", "10.244.0.2"]
    assert addresses(subset, "notReadyAddresses") == ["10.244.0.3"]
    assert subset["ports"] == [
        {"name": "http", "port": 9898, "protocol": "TCP", "appProtocol": "http"}
    ]
    assert subset["addresses"][0]["targetRef"] == {
        "kind": "Pod", "namespace": "test", "name": "p1", "uid": "u-p1",
    }  # fmt: skip
    assert subset["addresses"][0]["nodeName"] == "lab"


def test_who_is_not_behind_a_service() -> None:
    strangers = [
        pod("p1", metadata={"labels": {"app": "other"}}),
        pod("p2", ip=""),
        pod("p3", phase="Succeeded"),
    ]
    assert backends(service(HTTP), strangers) == []
    assert subsets(service(HTTP), []) == []
    assert slice_contents(service(HTTP), []) == [{"ports": [], "endpoints": []}]


def test_a_leaving_pod_is_out_at_once_and_marked_in_the_slice() -> None:
    behind = backends(service(HTTP), [pod("p1", metadata=LEAVING), pod("p2")])
    assert addresses(subsets(service(HTTP), behind)[0]) == ["10.244.0.2"]
    [content] = slice_contents(service(HTTP), behind)
    assert [entry["conditions"] for entry in content["endpoints"]] == [
        {"ready": False, "serving": True, "terminating": True},
        {"ready": True, "serving": True, "terminating": False},
    ]


def test_named_ports_differ_between_pods() -> None:
    behind = backends(service(HTTP), [pod("p1"), pod("p2", port=8080)])
    found = {s["ports"][0]["port"]: addresses(s) for s in subsets(service(HTTP), behind)}
    assert found == {9898: ["10.244.0.1"], 8080: ["10.244.0.2"]}
    assert len(slice_contents(service(HTTP), behind)) == 2


def test_a_port_that_the_pod_does_not_have() -> None:
    absent = {"port": 80, "targetPort": "grpc"}
    assert subsets(service(absent), backends(service(absent), [pod("p1")])) == []


def test_numbers_and_unnamed_ports() -> None:
    plain = service({"port": 80})
    [subset] = subsets(plain, backends(plain, [pod("p1")]))
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
    [content] = slice_contents(plain, backends(plain, [pod("p1")]))
    assert content["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_published_though_not_ready() -> None:
    open_ = service(HTTP, publishNotReadyAddresses=True)
    behind = backends(open_, [pod("p1", ready=False), pod("p2", metadata=LEAVING)])
    assert addresses(subsets(open_, behind)[0]) == ["10.244.0.1", "10.244.0.2"]
    assert all(e["conditions"]["ready"] for e in slice_contents(open_, behind)[0]["endpoints"])


def test_headless_without_ports_with_host_names() -> None:
    headless = service(clusterIP="None")
    named = pod("p1", spec={"hostname": "one", "subdomain": "web"})
    [subset] = subsets(headless, backends(headless, [named]))
    assert subset["addresses"][0]["hostname"] == "one"
    assert "ports" not in subset
