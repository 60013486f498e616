"""A conversation with a server whose controllers act, and what an operator observes of them.

A case decides when each pod becomes ready, so both servers' controllers come to rest at the same
points whatever their pace. Compared are the states at rest, the order of the conditions' reasons,
and the set of events: no times.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from conformance.talk import PATIENCE, Object, Server, Talk

LOOK_AGAIN = 0.25
"""Seconds for which nothing may change before a state counts as one of rest."""

HASHES = ("pod-template-hash", "controller-revision-hash")

SHORT = {
    "replicas": "replicas",
    "updated": "updatedReplicas",
    "ready": "readyReplicas",
    "available": "availableReplicas",
    "unavailable": "unavailableReplicas",
}

_MOVING = ("NewReplicaSetCreated", "ReplicaSetUpdated")
MOVES = " or ".join(_MOVING)
"""The real controller, too, says the one or the other, as its caches have it: the second when it
sees the count of new pods grow, which it does not when they are there before it first looks."""

_GENERATED = re.compile(r"(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}\b")
_AGE = re.compile(r" \d+s ")
_NOT_COMPARED = ("default-scheduler", "kubelet")


class Life(Talk):
    """A `Talk` that makes pods ready, waits for rest, and draws pictures of workloads."""

    def __init__(self, server: Server, namespace: str) -> None:
        super().__init__(server, namespace)
        self._hashes: dict[str, str] = {}

    # -- acting -----------------------------------------------------------------------------

    def make(self, path: str, body: Object) -> Object:
        """Create without writing down."""
        answer = self.quietly("POST", path, body)
        assert answer.status == 201, answer.body
        made: Object = answer.json
        return made

    def change(self, path: str, body: Any) -> Object:
        """A merge patch, not written down."""
        kind = "application/merge-patch+json"
        answer = self.quietly("PATCH", path, body, Content_Type=kind)
        assert answer.status == 200, answer.body
        changed: Object = answer.json
        return changed

    def items(self, path: str, selector: str = "") -> list[Object]:
        listed: list[Object] = self.quietly("GET", f"{path}?labelSelector={selector}").json["items"]
        return listed

    def pods(self, app: str) -> list[Object]:
        return self.items(f"{self.core}/pods", f"app={app}")

    def readies(self, app: str, count: int, image: str = "") -> None:
        """``count`` more pods become ready: those of ``image``, once that many run unready."""
        for pod in self._waiting(app, count, image):
            self._report(pod, ready=True)

    def loses(self, app: str, count: int = 1) -> None:
        """``count`` ready pods are ready no longer."""
        ready = [pod for pod in self.pods(app) if _ready(pod)]
        for pod in sorted(ready, key=_name)[:count]:
            self._report(pod, ready=False)

    def _waiting(self, app: str, count: int, image: str) -> list[Object]:
        found: list[Object] = []

        def enough() -> bool:
            found[:] = [
                pod
                for pod in self.pods(app)
                if pod["spec"]["containers"][0]["image"].startswith(image)
                and (pod.get("status") or {}).get("phase") == "Running"
                and not _ready(pod)
                and not pod["metadata"].get("deletionTimestamp")
            ]
            return len(found) >= count

        self.wait(enough, f"{count} pods of {image or app} that run and are not ready")
        return sorted(found, key=_name)[:count]

    def _report(self, pod: Object, *, ready: bool) -> None:
        told = [
            {**one, "status": str(ready), "lastTransitionTime": _now()}
            if one["type"] in ("Ready", "ContainersReady")
            else one
            for one in pod["status"]["conditions"]
        ]
        self.change(f"{self.core}/pods/{_name(pod)}/status", {"status": {"conditions": told}})

    def ready_one(self, name: str) -> None:
        """That pod becomes ready, once it runs."""
        path = f"{self.core}/pods/{name}"
        self.until(path, lambda seen: (seen.get("status") or {}).get("phase") == "Running")
        self._report(self.quietly("GET", path).json, ready=True)

    def wait(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"{self.namespace}: waited {PATIENCE} s for {what}"
            time.sleep(0.05)

    def next_second(self, app: str) -> None:
        """Wait until what is made now is younger than each ReplicaSet of ``app``: the real
        controller goes by their age, in whole seconds, and then by their names."""
        sets = self.items(f"{self.apps}/replicasets", f"app={app}")
        newest = max(one["metadata"]["creationTimestamp"] for one in sets)
        self.wait(lambda: _now() > newest, "the next second")

    # -- resting ----------------------------------------------------------------------------

    def rests(self, name: str, *, told: bool = True, **counts: int) -> None:
        """Wait until a Deployment's controller has seen it, its status has these counts (`SHORT`;
        those not given are 0), and nothing more changes; then write the picture down, with the
        conditions where they are ``told`` alike each time."""
        path = f"{self.apps}/deployments/{name}"
        last: Any = None

        def arrived() -> bool:
            nonlocal last
            last = self.quietly("GET", path).json
            status = last.get("status") or {}
            return bool(
                status.get("observedGeneration") == last["metadata"]["generation"]
                and all(
                    (status.get(full) or 0) == counts.get(short, 0) for short, full in SHORT.items()
                )
            )

        try:
            self.wait(arrived, f"deployment {name} with {counts}")
        except AssertionError as late:
            raise AssertionError(f"{late}; it has {last.get('status')}") from None
        self.still(name)
        picture = self.picture(name)
        if not told:
            del picture["deployment"]["status"]["conditions"]
        self.note(f"deployment {name} at rest", picture)

    def still(self, app: str) -> None:
        """Wait until nothing of ``app`` changes."""

        def versions() -> set[tuple[str, str]]:
            paths = [f"{self.apps}/deployments", f"{self.apps}/replicasets", f"{self.core}/pods"]
            paths.append(f"{self.apps}/daemonsets")
            return {
                (one["metadata"]["uid"], one["metadata"]["resourceVersion"])
                for path in paths
                for one in self.items(path, f"app={app}")
            }

        self.settled(versions)

    def settled(self, look: Callable[[], object]) -> None:
        """Wait until ``look`` sees the same twice."""
        before: object = None
        end = time.monotonic() + PATIENCE
        while (now := look()) != before:
            assert time.monotonic() < end, f"{self.namespace} does not come to rest: {now}"
            before = now
            time.sleep(LOOK_AGAIN)

    # -- drawing ----------------------------------------------------------------------------

    def picture(self, name: str) -> Object:
        """A Deployment, its ReplicaSets, and its pods counted by what they are."""
        deployment = self.quietly("GET", f"{self.apps}/deployments/{name}").json
        sets = self._sets(name)
        picture: Object = {
            "replicasets": {
                self._text(one["metadata"]["name"]): {
                    "annotations": one["metadata"].get("annotations"),
                    "replicas": one["spec"]["replicas"],
                    "status": _told(one),
                    **_leaving(one),
                }
                for one in sets
            },
            "pods": self.counted(
                {"of": _hash(pod), "ready": _ready(pod), **_leaving(pod)} for pod in self.pods(name)
            ),
        }
        if "spec" in deployment:
            picture["deployment"] = {
                "generation": deployment["metadata"]["generation"],
                "annotations": deployment["metadata"].get("annotations"),
                "status": _told(deployment),
                **_leaving(deployment),
            }
        return picture

    def relations(self, name: str) -> None:
        """Write down by which labels and references the objects of a Deployment hang together."""
        sets = {
            self._text(one["metadata"]["name"]): {
                "labels": one["metadata"].get("labels"),
                "owners": one["metadata"].get("ownerReferences"),
                "selector": one["spec"]["selector"],
                "template": one["spec"]["template"]["metadata"],
            }
            for one in self._sets(name)
        }
        pods = self.counted(
            {key: pod["metadata"].get(key) for key in ("generateName", "labels", "ownerReferences")}
            for pod in self.pods(name)
        )
        self.note(f"relations of {name}", {"replicasets": sets, "pods": pods})

    def _sets(self, name: str) -> list[Object]:
        sets = self.items(f"{self.apps}/replicasets", f"app={name}")
        sets.sort(key=lambda one: (one["metadata"]["creationTimestamp"], _revision(one)))
        self.learn(sets)
        for one in sets:
            self._word("uid", one["metadata"]["uid"])
        return sets

    def counted(self, things: Iterable[Object]) -> list[list[Any]]:
        """How many there are of each sort, as [count, sort]."""
        sorts: dict[str, Object] = {}
        counts: Counter[str] = Counter()
        for sort in things:
            key = self._text(repr(sort))
            sorts[key] = sort
            counts[key] += 1
        return [[counts[key], sorts[key]] for key in sorted(sorts)]

    def learn(self, objects: Iterable[Object]) -> None:
        """Know the hashes among the labels of these, in this order, to mask them everywhere."""
        for one in objects:
            for label in HASHES:
                value = (one["metadata"].get("labels") or {}).get(label)
                if value and value not in self._hashes:
                    self._hashes[value] = self._word("hash", value)

    def _text(self, text: str) -> str:
        for value, word in self._hashes.items():
            text = re.sub(rf"\b{value}\b", word, text)
        return super()._text(_GENERATED.sub("XXXXX", text))

    def lines(self, *arguments: str) -> None:
        """What kubectl prints, but for the order of lines and the width of columns: both hang on
        hashes, and on how long something took."""
        printed = self.server.kubectl("-n", self.namespace, *arguments)
        shown = _AGE.sub(" AGE ", self._text(printed).replace("\n", " \n"))
        told = sorted(line.split() for line in shown.splitlines())
        self.note(f"kubectl {' '.join(arguments)}", told)

    # -- looking back -----------------------------------------------------------------------

    def history(self, path: str, made: Object, *, exact: bool = False) -> None:
        """Write down, of each condition, in which order it has had which status and reason since
        the object was made; the server remembers, so nothing can have been missed.

        Unless ``exact``, a rollout's first two reasons count as one (`MOVES`).
        """
        metadata = made["metadata"]
        told = self.quietly(
            "GET",
            f"{path}?watch=true&timeoutSeconds=1&resourceVersion={metadata['resourceVersion']}"
            f"&fieldSelector=metadata.name%3D{metadata['name']}",
        ).lines
        seen: dict[str, list[list[str]]] = {}
        for event in told:
            for one in (event["object"].get("status") or {}).get("conditions") or []:
                line = seen.setdefault(one["type"], [])
                reason = one.get("reason", "")
                now = [one["status"], reason if exact else _reason(one)]
                if not line or line[-1] != now:
                    line.append(now)
        self.note(f"conditions of {metadata['name']} over its life", seen)

    def events(self, *kinds: str) -> None:
        """Write down what people were told of objects of these kinds, in no order."""
        told = {
            tuple(
                self._text(word)
                for word in (
                    one["involvedObject"]["kind"],
                    one["involvedObject"]["name"],
                    one["type"],
                    one["reason"],
                    one["message"],
                    one["source"].get("component") or one.get("reportingComponent") or "",
                )
            )
            for one in self.items(f"{self.core}/events")
            if one["involvedObject"]["kind"] in kinds
        }
        shown = [list(one) for one in sorted(told) if one[-1] not in _NOT_COMPARED]
        self.note(f"events of {', '.join(kinds)}", shown)


def conditions(one: Object) -> list[list[str]]:
    """Type, status, reason and message of each condition; Go keeps no order of them."""
    found = (one.get("status") or {}).get("conditions") or []
    return sorted(
        [
            c["type"],
            c["status"],
            _reason(c),
            c.get("message", "") if _reason(c) != MOVES else "",
        ]
        for c in found
    )


def _reason(condition: Object) -> str:
    reason = str(condition.get("reason", ""))
    return MOVES if reason in _MOVING else reason


def _told(one: Object) -> Object:
    told = dict(one.get("status") or {})
    if "conditions" in told:
        told["conditions"] = conditions(one)
    return told


def _hash(one: Object) -> str | None:
    labels = one["metadata"].get("labels") or {}
    return next((labels[label] for label in HASHES if label in labels), None)


def _leaving(one: Object) -> Object:
    metadata = one["metadata"]
    found: Object = {}
    if metadata.get("deletionTimestamp"):
        found["is being deleted"] = True
    if metadata.get("finalizers"):
        found["finalizers"] = metadata["finalizers"]
    return found


def _ready(pod: Object) -> bool:
    found = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in found)


def _revision(one: Object) -> int:
    found = (one["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
    return int(found or 0)


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
