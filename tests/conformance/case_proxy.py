"""Programs in the cluster, asked by way of the API server: which are, which are not and why.

No program runs here: the pods of these cases have addresses to which no kernel connects.
"""

from typing import Any

from conformance.cases import case
from conformance.objects import pod, service
from conformance.talk import Talk

NOBODY = "255.255.255.255"


def _pod(t: Talk, address: str) -> None:
    container = {"name": "app", "image": "play:ready", "ports": [{"containerPort": 9898}]}
    t.quietly("POST", f"{t.core}/pods", pod(containers=[container]))
    status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    kind = "application/merge-patch+json"
    changed = t.quietly("PATCH", f"{t.core}/pods/pod/status", status, Content_Type=kind)
    assert changed.status == 200, changed.body


def _service(t: Talk, *subsets: Any, name: str = "app") -> None:
    _lonely(t, name)
    endpoints = {"metadata": {"name": name}, "subsets": list(subsets)}
    made = t.quietly("POST", f"{t.core}/endpoints", endpoints)
    assert made.status == 201, made.body


def _lonely(t: Talk, name: str) -> None:
    """A Service of which no Endpoints tell."""
    ports = [{"name": "http", "port": 80}, {"name": "other", "port": 81}]
    made = t.quietly("POST", f"{t.core}/services", service(name, selector=None, ports=ports))
    assert made.status == 201, made.body


def _subset(t: Talk, address: str = NOBODY, name: str = "pod") -> Any:
    ref = {"kind": "Pod", "namespace": t.namespace, "name": name}
    return {
        "addresses": [{"ip": address, "targetRef": ref}],
        "ports": [{"name": "http", "port": 9898}],
    }


def _redirect(t: Talk, path: str) -> None:
    answer = t.quietly("GET", path)
    t.note(f"GET {path}", {"status": answer.status, "to": answer.headers.get("Location")})


@case
def services(t: Talk) -> None:
    _pod(t, NOBODY)
    _service(t, _subset(t))
    path = f"{t.core}/services"
    for asked in (
        "app:80", "app:http", "http:app:80", "app", "app:81", "app:other", "app:82",
        "none", "none:80", "ftp:app:80", "http::80", "a:b:c:d", ":80",
    ):  # fmt: skip
        t.get(f"{path}/{asked}/proxy/x")
    t.post(f"{path}/app:80/proxy/x", {})
    _redirect(t, f"{path}/app:80/proxy?x=1")
    t.get(f"{path}/app:80/proxy/x", token="bob-token")


@case
def who_counts(t: Talk) -> None:
    _pod(t, NOBODY)
    _lonely(t, "lonely")
    t.get(f"{t.core}/services/lonely/proxy/")
    t.get(f"{t.core}/services/lonely:80/proxy/")
    _service(t, name="empty")
    unready = _subset(t)
    unready["notReadyAddresses"] = unready.pop("addresses")
    _service(t, unready, name="unready")
    _service(t, _subset(t, "10.1.2.3"), name="stranger")
    _service(t, _subset(t, name="gone"), name="gone")
    anybody = _subset(t)
    del anybody["addresses"][0]["targetRef"]
    _service(t, anybody, name="anybody")
    for name in ("empty", "unready", "stranger", "gone", "anybody"):
        t.get(f"{t.core}/services/{name}:80/proxy/")


@case
def pods(t: Talk) -> None:
    t.get(f"{t.core}/pods/pod/proxy/x")
    t.get(f"{t.core}/pods/ftp:pod:80/proxy/x")
    for address in ("127.0.0.1", "169.254.1.1", "224.0.0.1", NOBODY):
        _pod(t, address)
        t.get(f"{t.core}/pods/pod/proxy/x")
    _pod(t, "10.1.2.3")
    _redirect(t, f"{t.core}/pods/pod/proxy")
