"""Disruption budgets: their status, and the evictions that they let happen."""

from typing import Any

from conformance.cases import life
from conformance.life import Life, conditions
from conformance.objects import deployment, pod
from conformance.talk import Object


def _budgets(t: Life) -> str:
    return f"/apis/policy/v1/namespaces/{t.namespace}/poddisruptionbudgets"


def _budget(t: Life, **spec: Any) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "app"},
        "spec": {"selector": {"matchLabels": {"app": "app"}}, **spec},
    }
    t.make(_budgets(t), body)


def _becomes(t: Life, allowed: int, healthy: int) -> None:
    def there(seen: Object) -> bool:
        status = seen.get("status") or {}
        return bool(
            status.get("observedGeneration") == seen["metadata"]["generation"]
            and status.get("disruptionsAllowed") == allowed
            and status.get("currentHealthy") == healthy
        )

    t.until(f"{_budgets(t)}/app", there)
    t.settled(lambda: t.quietly("GET", f"{_budgets(t)}/app").json)
    t.get(f"{_budgets(t)}/app", keep=_told)


def _told(seen: Object) -> Object:
    return {**seen["status"], "conditions": conditions(seen)}


def _three(t: Life) -> None:
    template = {
        "metadata": {"labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "play:unready"}]},
    }
    t.make(f"{t.apps}/deployments", deployment(replicas=3, template=template))
    t.readies("app", 3)
    t.rests("app", replicas=3, updated=3, ready=3, available=3)


@life
def minimum(t: Life) -> None:
    _budget(t, minAvailable=2)
    _becomes(t, 0, 0)
    _three(t)
    _becomes(t, 1, 3)
    t.loses("app", 1)
    _becomes(t, 0, 2)
    _evict(t)


@life
def maximum(t: Life) -> None:
    _three(t)
    _budget(t, maxUnavailable=1)
    _becomes(t, 1, 3)
    _evict(t)
    _becomes(t, 0, 2)
    _evict(t)
    t.readies("app", 1)
    _becomes(t, 1, 3)
    t.change(f"{t.apps}/deployments/app", {"spec": {"replicas": 0}})
    _becomes(t, 0, 0)


@life
def in_percent(t: Life) -> None:
    _three(t)
    _budget(t, minAvailable="50%")
    _becomes(t, 1, 3)
    t.change(f"{_budgets(t)}/app", {"spec": {"minAvailable": None, "maxUnavailable": "34%"}})
    _becomes(t, 2, 3)


@life
def pods_of_nobody(t: Life) -> None:
    """A number that must stay needs no controller; what may be missing does."""
    made = pod("app", containers=[{"name": "app", "image": "play:ready"}])
    t.make(f"{t.core}/pods", made)
    _budget(t, minAvailable=1)
    _becomes(t, 0, 1)
    t.change(f"{_budgets(t)}/app", {"spec": {"minAvailable": 0}})
    _becomes(t, 1, 1)
    t.change(f"{_budgets(t)}/app", {"spec": {"minAvailable": None, "maxUnavailable": 1}})
    t.wait(lambda: _observed(t) == 3, "the third generation")
    _becomes(t, 0, 1)


def _observed(t: Life) -> object:
    return t.quietly("GET", f"{_budgets(t)}/app").json["status"].get("observedGeneration")


def _evict(t: Life) -> None:
    """Of a ready pod; pods of one ReplicaSet are alike."""
    ready = [one for one in t.pods("app") if "'Ready', 'status': 'True'" in str(one["status"])]
    name = ready[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    t.post(f"{t.core}/pods/{name}/eviction", body)
