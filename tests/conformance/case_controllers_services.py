"""Which pods stand behind a Service, as Endpoints and EndpointSlices tell of them."""

from typing import Any

from conformance.cases import life
from conformance.life import Life
from conformance.objects import pod, service
from conformance.talk import Object

HTTP = {"name": "http", "port": 80, "targetPort": "web"}
METRICS = {"name": "metrics", "port": 9090, "targetPort": 9797, "appProtocol": "http"}


def _pod(t: Life, name: str, *, port: int = 9898, tag: str = "unready", **metadata: Any) -> None:
    ports = [{"name": "web", "containerPort": port}]
    container = {"name": "app", "image": f"play:{tag}", "ports": ports}
    made = pod(name, containers=[container])
    made["metadata"]["labels"] = {"app": "app", "pod": name}
    made["metadata"] |= metadata
    t.make(f"{t.core}/pods", made)


def _service(t: Life, **spec: Any) -> None:
    made = service(**{"ports": [HTTP, METRICS], **spec})
    made["metadata"]["labels"] = {"app": "app"}
    made["metadata"]["annotations"] = {"x.example/a": "1"}
    t.make(f"{t.core}/services", made)


def _slices(t: Life) -> list[Object]:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{t.namespace}/endpointslices"
    return t.items(path, "kubernetes.io/service-name=app")


def _shown(t: Life) -> Object:
    """Endpoints by name, since the addresses' order is nobody's promise."""
    slices = [
        {
            "addressType": one["addressType"],
            "labels": one["metadata"].get("labels"),
            "annotations": _without_times(one),
            "owners": one["metadata"].get("ownerReferences"),
            "generateName": one["metadata"].get("generateName"),
            "ports": sorted(one.get("ports") or [], key=str),
            "endpoints": sorted(
                (_endpoint(entry) for entry in one.get("endpoints") or []),
                key=lambda entry: str(entry["targetRef"]["name"]),
            ),
        }
        for one in _slices(t)
    ]
    endpoints = t.quietly("GET", f"{t.core}/endpoints/app").json
    told: Object = {"slices": sorted(slices, key=lambda one: str(one["ports"]))}
    if "metadata" in endpoints:
        subsets = [
            {
                key: sorted(part, key=lambda one: str(one.get("targetRef", one)))
                for key, part in subset.items()
            }
            for subset in endpoints.get("subsets") or []
        ]
        told["endpoints"] = {
            "labels": endpoints["metadata"].get("labels"),
            "annotations": _without_times(endpoints),
            "subsets": sorted(subsets, key=lambda one: str(one.get("ports"))),
        }
    return told


def _endpoint(entry: Object) -> Object:
    return {key: value for key, value in entry.items() if key != "zone"}


def _without_times(one: Object) -> Object | None:
    found = one["metadata"].get("annotations")
    kept = {key: value for key, value in (found or {}).items() if "trigger-time" not in key}
    return kept or None


def _conditions(t: Life) -> dict[str, list[bool | None]]:
    """Of each pod behind the service: ready, serving, terminating."""
    return {
        entry["targetRef"]["name"]: [
            entry["conditions"].get(key) for key in ("ready", "serving", "terminating")
        ]
        for one in _slices(t)
        for entry in one.get("endpoints") or []
    }


READY, UNREADY = [True, True, False], [False, False, False]


def _become(t: Life, **wanted: list[bool]) -> None:
    t.wait(lambda: _conditions(t) == wanted, f"endpoints {wanted}")
    t.settled(lambda: _shown(t))
    t.note("endpoints", _shown(t))


@life
def ready_and_not(t: Life) -> None:
    _service(t)
    _become(t)
    _pod(t, "a")
    _pod(t, "b")
    _become(t, a=UNREADY, b=UNREADY)
    t.ready_one("a")
    _become(t, a=READY, b=UNREADY)
    t.quietly("DELETE", f"{t.core}/pods/b")
    _become(t, a=READY)


@life
def terminating(t: Life) -> None:
    """A pod that is held by a finalizer serves while it goes."""
    _service(t)
    for name in ("a", "b"):
        _pod(t, name, finalizers=["x.example/held"])
    t.ready_one("a")
    _become(t, a=READY, b=UNREADY)
    for name in ("a", "b"):
        t.quietly("DELETE", f"{t.core}/pods/{name}")
    _become(t, a=[False, True, True], b=[False, False, True])
    for name in ("a", "b"):
        t.change(f"{t.core}/pods/{name}", {"metadata": {"finalizers": None}})
    _become(t)


@life
def ports_by_name(t: Life) -> None:
    """One name, two numbers: a slice for each; a pod without the name has the other port only."""
    _service(t)
    _pod(t, "a", port=8001, tag="ready")
    _pod(t, "b", port=8002, tag="ready")
    _become(t, a=READY, b=READY)
    bare = pod("c")
    bare["metadata"]["labels"] = {"app": "app"}
    t.make(f"{t.core}/pods", bare)
    _become(t, a=READY, b=READY, c=READY)


@life
def one_port_without_a_name(t: Life) -> None:
    _service(t, ports=[{"port": 80}])
    _pod(t, "a", tag="ready")
    _become(t, a=READY)
    t.change(f"{t.core}/services/app", {"spec": {"ports": [{"port": 81, "targetPort": 8080}]}})
    t.wait(lambda: _slices(t)[0]["ports"][0]["port"] == 8080, "the other port")
    _become(t, a=READY)


@life
def headless(t: Life) -> None:
    _service(t, clusterIP="None", publishNotReadyAddresses=True)
    ports = [{"name": "web", "containerPort": 9898}]
    container = {"name": "app", "image": "play:unready", "ports": ports}
    made = pod("a", containers=[container], hostname="host", subdomain="app")
    made["metadata"]["labels"] = {"app": "app"}
    t.make(f"{t.core}/pods", made)
    _become(t, a=[True, False, False])
    t.quietly("DELETE", f"{t.core}/services/app")
    t.wait(lambda: not _slices(t), "slices that are gone")
    t.until(f"{t.core}/endpoints/app", lambda seen: seen.get("reason") == "NotFound")


@life
def selector_of_others(t: Life) -> None:
    _service(t)
    _pod(t, "a", tag="ready")
    _pod(t, "b", tag="ready")
    _become(t, a=READY, b=READY)
    path = f"{t.core}/services/app"
    t.change(path, {"spec": {"selector": {"pod": "b"}}})
    _become(t, b=READY)
    t.change(f"{t.core}/pods/b", {"metadata": {"labels": {"app": None}}})
    _become(t)
    t.change(path, {"metadata": {"labels": {"y": "1"}, "annotations": {"x.example/a": "2"}}})
    t.wait(lambda: "y" in _slices(t)[0]["metadata"]["labels"], "the service's new label")
    _become(t)


@life
def finished_and_without_an_address(t: Life) -> None:
    _service(t)
    _pod(t, "a", tag="ready")
    _pod(t, "b", tag="succeeds")
    _pod(t, "c", tag="pending")
    t.until(f"{t.core}/pods/b", lambda seen: seen["status"]["phase"] == "Succeeded")
    _become(t, a=READY)


@life
def endpoints_of_nobody(t: Life) -> None:
    """A Service without a selector leaves them to others."""
    _service(t, selector=None)
    mine = {"metadata": {"name": "app"}, "subsets": [{"addresses": [{"ip": "10.1.2.3"}]}]}
    t.make(f"{t.core}/endpoints", mine)
    t.make(f"{t.core}/services", service("later"))
    t.until(f"{t.core}/endpoints/later", lambda seen: "metadata" in seen)
    _become(t)
