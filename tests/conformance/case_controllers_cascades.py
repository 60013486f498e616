"""Deleting a Deployment in each of the three ways, while its controllers are at work."""

from typing import Any

from conformance.cases import life
from conformance.life import Life
from conformance.objects import deployment
from conformance.talk import Object


def _running(t: Life) -> str:
    """A Deployment with two pods that a finalizer holds; its path."""
    template = {
        "metadata": {"labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "play:ready"}]},
    }
    t.make(f"{t.apps}/deployments", deployment(replicas=2, template=template))
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    for pod in t.pods("app"):
        path = f"{t.core}/pods/{pod['metadata']['name']}"
        t.change(path, {"metadata": {"finalizers": ["x.example/held"]}})
    return f"{t.apps}/deployments/app"


def _delete(t: Life, path: str, how: str) -> None:
    t.quietly("DELETE", path, {"propagationPolicy": how})


def _let_go(t: Life) -> None:
    for pod in t.pods("app"):
        path = f"{t.core}/pods/{pod['metadata']['name']}"
        t.change(path, {"metadata": {"finalizers": None}})


def _all_leaving(t: Life) -> bool:
    return all(pod["metadata"].get("deletionTimestamp") for pod in t.pods("app"))


def _gone(seen: Any) -> bool:
    return isinstance(seen, dict) and seen.get("reason") == "NotFound"


def _picture(t: Life) -> None:
    t.still("app")
    t.note("what is there", t.picture("app"))


@life
def in_the_background(t: Life) -> None:
    path = _running(t)
    _delete(t, path, "Background")
    t.until(path, _gone)
    t.wait(lambda: _all_leaving(t), "pods that leave")
    t.wait(lambda: not t.items(f"{t.apps}/replicasets", "app=app"), "no ReplicaSet")
    _picture(t)
    _let_go(t)
    t.wait(lambda: not t.pods("app"), "no pods")


@life
def in_the_foreground(t: Life) -> None:
    """Owners wait for what they own, each with its finalizer."""
    path = _running(t)
    _delete(t, path, "Foreground")
    t.wait(lambda: _all_leaving(t), "pods that leave")
    _picture(t)
    _let_go(t)
    t.until(path, _gone)
    _picture(t)


@life
def orphaning(t: Life) -> None:
    """What is left behind runs on, and the next Deployment takes it over."""
    path = _running(t)
    _let_go(t)
    _delete(t, path, "Orphan")
    t.until(path, _gone)
    t.wait(lambda: not _owners(t.items(f"{t.apps}/replicasets", "app=app")), "orphans")
    _picture(t)
    template = {
        "metadata": {"labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "play:ready"}]},
    }
    t.make(f"{t.apps}/deployments", deployment(replicas=3, template=template))
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    t.relations("app")


@life
def orphaned_pods(t: Life) -> None:
    """A ReplicaSet's pods run on without it; the Deployment makes a new one that adopts them."""
    _running(t)
    _let_go(t)
    [name] = [one["metadata"]["name"] for one in t.items(f"{t.apps}/replicasets", "app=app")]
    before = {pod["metadata"]["uid"] for pod in t.pods("app")}
    _delete(t, f"{t.apps}/replicasets/{name}", "Orphan")
    t.wait(lambda: len(_owners(t.pods("app"))) == 2, "pods with an owner")
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    t.note("the same pods", before == {pod["metadata"]["uid"] for pod in t.pods("app")})
    t.relations("app")


def _owners(objects: list[Object]) -> list[Object]:
    return [ref for one in objects for ref in one["metadata"].get("ownerReferences") or []]
