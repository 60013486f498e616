"""Disruption budgets: how many of their pods an eviction may take now."""

from dataclasses import dataclass
from datetime import UTC, datetime

from serinus.cluster.cache import Change, Key
from serinus.cluster.kinds import DEPLOYMENTS, PODS, REPLICASETS
from serinus.cluster.resource import Resource
from serinus.lab.apiserver.selectors import from_object
from serinus.lab.controllers.ownership import controller_of, labels_of
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import finished, ready
from serinus.lab.controllers.rolling import scaled, wanted
from serinus.lab.controllers.view import Object, View, timestamp

BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")


@dataclass(frozen=True, slots=True)
class Balance:
    """Pods there should be, pods that must stay healthy, pods that are."""

    expected: int
    desired: int
    healthy: int

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected else 0


class DisruptionController:
    """Keeps the status of every PodDisruptionBudget."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("disruption", self._reconcile)
        self._budgets = view.cache(BUDGETS)
        self._pods = view.cache(PODS)
        self._replicasets = view.cache(REPLICASETS)
        self._deployments = view.cache(DEPLOYMENTS)
        self._budgets.subscribe(lambda change: self._queue.add(change.key))
        for cache in (self._pods, self._replicasets, self._deployments):
            cache.subscribe(self._around)

    async def run(self) -> None:
        await self._queue.run()

    def _around(self, change: Change[Object]) -> None:
        for budget in self._budgets.values():
            metadata = budget["metadata"]
            if metadata["namespace"] == change.key[0]:
                self._queue.add((metadata["namespace"], metadata["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        budget = self._budgets.get(*key)
        if budget is None or self._view.leaving(budget):
            return None
        selects = from_object(budget["spec"].get("selector"))
        pods = [
            pod
            for pod in self._pods.values()
            if pod["metadata"]["namespace"] == key[0]
            and selects(labels_of(pod))
            and not finished(pod)
        ]
        healthy = sum(ready(pod) and not self._view.leaving(pod) for pod in pods)
        found = balance(budget["spec"], len(pods), self._expected(key[0], pods), healthy)
        await self._view.replace_status(BUDGETS, budget, status(budget, found, datetime.now(UTC)))
        return None

    def _expected(self, namespace: str, pods: list[Object]) -> int:
        """How many pods their controllers want. A pod of a controller that is not known here
        counts as itself; one without any does not count: nobody would make another."""
        count, seen = 0, set[str]()
        for pod in pods:
            controller = controller_of(pod)
            if controller is None:
                continue
            owner = (
                self._replicasets.get(namespace, controller["name"])
                if controller["kind"] == REPLICASETS.kind
                else None
            )
            above = controller_of(owner) if owner is not None else None
            if above is not None and above["kind"] == DEPLOYMENTS.kind:
                owner = self._deployments.get(namespace, above["name"]) or owner
            if owner is None:
                count += 1
            elif owner["metadata"]["uid"] not in seen:
                seen.add(owner["metadata"]["uid"])
                count += wanted(owner)
        return count


def balance(spec: Object, present: int, wanted_pods: int, healthy: int) -> Balance:
    """What the budget makes of its pods. A number of pods that must stay needs no controller."""
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is not None:
        gone = scaled(most, wanted_pods, up=True)
        return Balance(wanted_pods, max(0, wanted_pods - gone), healthy)
    if isinstance(least, str):
        return Balance(wanted_pods, scaled(least, wanted_pods, up=True), healthy)
    # Kubernetes' default: one must stay.
    return Balance(present, 1 if least is None else least, healthy)


def status(budget: Object, found: Balance, now: datetime) -> Object:
    """The status to report; the condition keeps the time of its last change."""
    allowed = found.allowed > 0
    new = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    old: Object = next(iter((budget.get("status") or {}).get("conditions") or []), {})
    same = old.get("status") == new["status"]
    new["lastTransitionTime"] = old["lastTransitionTime"] if same else timestamp(now)
    return {
        "observedGeneration": new["observedGeneration"],
        "currentHealthy": found.healthy,
        "desiredHealthy": found.desired,
        "expectedPods": found.expected,
        "disruptionsAllowed": found.allowed,
        "conditions": [new],
    }
