"""A Deployment's life as an operator observes it. Each pod is ready when the case says so."""

from typing import Any

from conformance.cases import life
from conformance.life import Life
from conformance.objects import deployment
from conformance.talk import Object

ONE, TWO, THREE = "one:unready", "two:unready", "three:unready"


def _template(image: str, app: str = "app") -> Object:
    container = {"name": "app", "image": image, "ports": [{"containerPort": 9898}]}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}


def _bounds(surge: int | str, unavailable: int | str) -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}


def _made(t: Life, replicas: int, image: str = ONE, **spec: Any) -> Object:
    spec = {"replicas": replicas, "template": _template(image), **spec}
    return t.make(f"{t.apps}/deployments", deployment(**spec))


def _running(t: Life, replicas: int, image: str = ONE, **spec: Any) -> Object:
    """A Deployment whose pods are all ready."""
    made = _made(t, replicas, image, **spec)
    t.readies("app", replicas, image)
    t.rests("app", replicas=replicas, updated=replicas, ready=replicas, available=replicas)
    return made


def _spec(t: Life, **spec: Any) -> None:
    t.change(f"{t.apps}/deployments/app", {"spec": spec})


def _image(t: Life, image: str, **spec: Any) -> None:
    _spec(t, template=_template(image), **spec)


def _told(t: Life, made: Object, *, exact: bool = False, events: bool = True) -> None:
    t.relations("app")
    t.history(f"{t.apps}/deployments", made, exact=exact)
    if events:
        t.events("Deployment", "ReplicaSet")


@life
def created(t: Life) -> None:
    made = _made(t, 3)
    t.rests("app", replicas=3, updated=3, unavailable=3)
    t.readies("app", 2)
    t.rests("app", replicas=3, updated=3, ready=2, available=2, unavailable=1)
    t.readies("app", 1)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    _told(t, made, exact=True)


@life
def loses_pods(t: Life) -> None:
    made = _running(t, 3)
    t.loses("app", 2)
    t.rests("app", replicas=3, updated=3, ready=1, available=1, unavailable=2)
    t.quietly("DELETE", f"{t.core}/pods?labelSelector=app%3Dapp")
    t.rests("app", replicas=3, updated=3, unavailable=3)
    t.readies("app", 3)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    _told(t, made)


@life
def changes_one_by_one(t: Life) -> None:
    """maxUnavailable 0: nothing goes before what replaces it is there."""
    made = _running(t, 2, **_bounds(1, 0))
    _image(t, TWO)
    t.rests("app", replicas=3, updated=1, ready=2, available=2, unavailable=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=3, updated=2, ready=2, available=2, unavailable=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    _told(t, made)


@life
def changes_by_quarters(t: Life) -> None:
    made = _running(t, 4, **_bounds("25%", "25%"))
    _image(t, TWO)
    t.rests("app", replicas=5, updated=2, ready=3, available=3, unavailable=2)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=5, updated=3, ready=3, available=3, unavailable=2)
    # One by one: two at once may be answered by one step of the controller, or by two.
    t.readies("app", 1, TWO)
    t.rests("app", replicas=5, updated=4, ready=3, available=3, unavailable=2)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=4, updated=4, ready=3, available=3, unavailable=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=4, updated=4, ready=4, available=4)
    _told(t, made)


@life
def changes_all_at_once(t: Life) -> None:
    made = _running(t, 2, **_bounds(0, "100%"))
    _image(t, TWO)
    t.rests("app", replicas=2, updated=2, unavailable=2)
    t.readies("app", 2, TWO)
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    _told(t, made)


@life
def recreates(t: Life) -> None:
    """The real controller tells of progress or keeps its last word, as its caches have it."""
    _running(t, 2, strategy={"type": "Recreate"})
    _image(t, TWO)
    t.rests("app", told=False, replicas=2, updated=2, unavailable=2)
    t.readies("app", 2, TWO)
    t.rests("app", told=False, replicas=2, updated=2, ready=2, available=2)
    t.relations("app")
    t.events("Deployment", "ReplicaSet")


@life
def scales(t: Life) -> None:
    made = _running(t, 2)
    _spec(t, replicas=0)
    t.rests("app")
    _spec(t, replicas=3)
    t.rests("app", replicas=3, updated=3, unavailable=3)
    t.readies("app", 3)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    _spec(t, replicas=1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


@life
def scales_by_its_scale(t: Life) -> None:
    _running(t, 1)
    t.change(f"{t.apps}/deployments/app/scale", {"spec": {"replicas": 2}})
    t.readies("app", 1)
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    t.get(f"{t.apps}/deployments/app/scale")


@life
def born_without_pods(t: Life) -> None:
    made = _made(t, 0)
    t.rests("app")
    _image(t, TWO)
    t.rests("app")
    _spec(t, replicas=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


@life
def misses_its_deadline(t: Life) -> None:
    made = _running(t, 2, progressDeadlineSeconds=2, **_bounds(1, 0))
    _image(t, TWO)
    t.until(f"{t.apps}/deployments/app", _too_late)
    t.rests("app", replicas=3, updated=1, ready=2, available=2, unavailable=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=3, updated=2, ready=2, available=2, unavailable=1)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    _told(t, made)


@life
def is_late_from_the_start_and_goes_back(t: Life) -> None:
    # Long enough for the pod to run by then: a pod that comes later is progress.
    made = _made(t, 1, progressDeadlineSeconds=5)
    t.until(f"{t.apps}/deployments/app", _too_late)
    t.rests("app", replicas=1, updated=1, unavailable=1)
    # With a second chance that does not depend on how fast the machine is.
    _image(t, TWO, progressDeadlineSeconds=600)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


def _too_late(seen: Object) -> bool:
    conditions = (seen.get("status") or {}).get("conditions") or []
    return any(one.get("reason") == "ProgressDeadlineExceeded" for one in conditions)


@life
def without_a_deadline(t: Life) -> None:
    made = _running(t, 1, progressDeadlineSeconds=2**31 - 1)
    _image(t, TWO)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


@life
def returns_to_the_template_of_before(t: Life) -> None:
    """The ReplicaSet of before is taken up again, as the newest revision."""
    made = _running(t, 1)
    for image in (TWO, ONE, TWO):
        _image(t, image)
        t.readies("app", 1, image)
        t.rests("app", replicas=1, updated=1, ready=1, available=1)
    t.kubectl("rollout", "history", "deployment/app")
    _told(t, made)


@life
def is_undone_by_kubectl(t: Life) -> None:
    made = _running(t, 1)
    t.change(
        f"{t.apps}/deployments/app",
        {"metadata": {"annotations": {"kubernetes.io/change-cause": "the second"}}},
    )
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _image(t, TWO)
    t.rests("app", replicas=2, updated=1, ready=1, available=1, unavailable=1)
    t.kubectl("rollout", "undo", "deployment/app")
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    t.kubectl("rollout", "status", "deployment/app")
    t.kubectl("rollout", "history", "deployment/app")
    _told(t, made)


@life
def pauses(t: Life) -> None:
    made = _running(t, 2, **_bounds(1, 0))
    _spec(t, paused=True)
    t.rests("app", replicas=2, updated=2, ready=2, available=2)
    _image(t, TWO)
    t.rests("app", replicas=2, ready=2, available=2)
    _spec(t, replicas=3)
    t.readies("app", 1)
    t.rests("app", replicas=3, ready=3, available=3)
    _spec(t, paused=False)
    t.rests("app", replicas=4, updated=1, ready=3, available=3, unavailable=1)
    _spec(t, paused=True)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=4, updated=1, ready=4, available=4)
    _spec(t, paused=False)
    for _ in range(2):
        t.readies("app", 1, TWO)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    _told(t, made)


@life
def changes_again_in_mid_rollout(t: Life) -> None:
    made = _running(t, 3, **_bounds(1, 0))
    t.next_second("app")
    _image(t, TWO)
    t.readies("app", 1, TWO)
    t.rests("app", replicas=4, updated=2, ready=3, available=3, unavailable=1)
    t.next_second("app")
    _image(t, THREE)
    t.rests("app", replicas=4, updated=1, ready=3, available=3, unavailable=1)
    for left in (2, 1, 0):
        t.readies("app", 1, THREE)
        if left:
            t.rests("app", replicas=4, updated=4 - left, ready=3, available=3, unavailable=1)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)
    # So many of one reason that a client folds them.
    _told(t, made, events=False)


@life
def scales_in_mid_rollout(t: Life) -> None:
    """Old and new grow and shrink in proportion."""
    made = _running(t, 4, **_bounds(1, 1))
    t.next_second("app")
    _image(t, TWO)
    t.rests("app", replicas=5, updated=2, ready=3, available=3, unavailable=2)
    _spec(t, replicas=8)
    t.rests("app", replicas=9, updated=4, ready=3, available=3, unavailable=6)
    _spec(t, replicas=2)
    t.still("app")
    t.note("at rest", t.picture("app"))
    _told(t, made)


@life
def forgets_old_revisions(t: Life) -> None:
    _running(t, 1, revisionHistoryLimit=1)
    for image in (TWO, THREE):
        _image(t, image)
        t.readies("app", 1, image)
        t.rests("app", replicas=1, updated=1, ready=1, available=1)


@life
def waits_for_pods_to_last(t: Life) -> None:
    made = _made(t, 1, minReadySeconds=2)
    t.readies("app", 1)
    t.rests("app", replicas=1, updated=1, ready=1, unavailable=1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _spec(t, minReadySeconds=1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


@life
def annotations_and_labels_of_its_template(t: Life) -> None:
    """Annotations reach the ReplicaSet; a label of the template alone makes a new one."""
    made = _running(t, 1)
    path = f"{t.apps}/deployments/app"
    t.change(path, {"metadata": {"annotations": {"x.example/a": "1"}, "labels": {"x": "1"}}})
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    t.change(path, {"spec": {"template": {"metadata": {"labels": {"x": "1"}}}}})
    t.rests("app", replicas=2, updated=1, ready=1, available=1, unavailable=1)
    t.readies("app", 1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    t.change(path, {"metadata": {"annotations": {"x.example/a": None}}})
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    _told(t, made)


@life
def pod_that_is_relabelled(t: Life) -> None:
    """It is let go, and another takes its place; labelled back, one of the two goes."""
    _running(t, 1)
    [pod] = t.pods("app")
    path = f"{t.core}/pods/{pod['metadata']['name']}"
    t.change(path, {"metadata": {"labels": {"pod-template-hash": "none"}}})
    t.readies("app", 1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    before = pod["metadata"]["labels"]["pod-template-hash"]
    t.change(path, {"metadata": {"labels": {"pod-template-hash": before}}})
    t.rests("app", replicas=1, updated=1, ready=1, available=1)


@life
def replicaset_that_is_deleted(t: Life) -> None:
    """It is made again, under the same name."""
    _running(t, 1)
    t.quietly("DELETE", f"{t.apps}/replicasets?labelSelector=app%3Dapp")
    t.readies("app", 1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)
    t.relations("app")


@life
def pods_that_end(t: Life) -> None:
    """A pod that has failed is replaced and stays to be looked at."""
    _running(t, 1)
    [pod] = t.pods("app")
    path = f"{t.core}/pods/{pod['metadata']['name']}/status"
    t.change(path, {"status": {"phase": "Failed", "reason": "Evicted", "conditions": None}})
    t.wait(lambda: len(t.pods("app")) == 2, "a pod in its place")
    t.readies("app", 1)
    t.rests("app", replicas=1, updated=1, ready=1, available=1)


@life
def seen_by_kubectl(t: Life) -> None:
    _running(t, 2)
    t.lines("get", "deployments,replicasets")
    t.kubectl("rollout", "status", "deployment/app")
    _image(t, TWO)
    t.rests("app", replicas=3, updated=1, ready=2, available=2, unavailable=1)
    t.lines("get", "deployments,replicasets", "-o", "wide")
    t.kubectl("rollout", "status", "deployment/app", "--watch=false")
