"""DaemonSets on one node."""

from typing import Any

from conformance.cases import life
from conformance.life import Life
from conformance.objects import deployment
from conformance.talk import Object

ONE, TWO = "one:unready", "two:unready"


def _template(image: str) -> Object:
    container = {"name": "app", "image": image}
    return {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}}


def _made(t: Life, **spec: Any) -> None:
    body = deployment(**{"template": _template(ONE), **spec})
    t.make(f"{t.apps}/daemonsets", {**body, "kind": "DaemonSet"})


def _becomes(t: Life, **counts: int) -> None:
    def there(seen: Object) -> bool:
        status = seen.get("status") or {}
        return bool(
            status.get("observedGeneration") == seen["metadata"]["generation"]
            and all((status.get(name) or 0) == count for name, count in counts.items())
        )

    path = f"{t.apps}/daemonsets/app"
    t.until(path, there)
    t.still("app")
    pods = t.pods("app")
    t.learn(sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])))
    t.get(path, keep=lambda one: [one["metadata"]["generation"], one["status"]])
    sorts = t.counted(
        {
            **{key: pod["metadata"].get(key) for key in ("generateName", "labels")},
            "owners": pod["metadata"].get("ownerReferences"),
            "image": pod["spec"]["containers"][0]["image"],
            "node": pod["spec"].get("nodeName"),
            "tolerations": pod["spec"].get("tolerations"),
        }
        for pod in pods
    )
    t.note("pods", sorts)


@life
def rolls(t: Life) -> None:
    _made(t)
    _becomes(t, numberUnavailable=1, updatedNumberScheduled=1, currentNumberScheduled=1)
    t.readies("app", 1)
    _becomes(t, numberAvailable=1, updatedNumberScheduled=1)
    t.change(f"{t.apps}/daemonsets/app", {"spec": {"template": _template(TWO)}})
    t.readies("app", 1, TWO)
    _becomes(t, numberAvailable=1, updatedNumberScheduled=1)
    t.kubectl("rollout", "status", "daemonset/app")
    t.events("DaemonSet")


@life
def waits_for_deletion(t: Life) -> None:
    _made(t, updateStrategy={"type": "OnDelete"})
    t.readies("app", 1)
    _becomes(t, numberAvailable=1, updatedNumberScheduled=1)
    t.change(f"{t.apps}/daemonsets/app", {"spec": {"template": _template(TWO)}})
    _becomes(t, numberAvailable=1, updatedNumberScheduled=0)
    [pod] = t.pods("app")
    t.quietly("DELETE", f"{t.core}/pods/{pod['metadata']['name']}")
    t.readies("app", 1, TWO)
    _becomes(t, numberAvailable=1, updatedNumberScheduled=1)


@life
def fits_no_node(t: Life) -> None:
    template = _template(ONE)
    template["spec"]["nodeSelector"] = {"none": "such"}
    _made(t, template=template)
    _becomes(t, desiredNumberScheduled=0)
    t.change(f"{t.apps}/daemonsets/app", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    t.readies("app", 1)
    _becomes(t, numberAvailable=1, updatedNumberScheduled=1)
