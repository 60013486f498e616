"""ReplicaSets: as many pods as asked for."""

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime

from serinus.cluster.cache import Key
from serinus.cluster.errors import ApiError, Forbidden
from serinus.cluster.kinds import PODS, REPLICASETS
from serinus.lab.apiserver.selectors import from_object
from serinus.lab.controllers.ownership import (
    SELECTOR_MISMATCH,
    claim,
    controller_reference,
    labels_of,
    notify_controller,
    selects_own_pods,
)
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import available_in, deletion_rank, finished, ready
from serinus.lab.controllers.view import Object, View, timestamp

BURST = 500
"""The most pods made or deleted in one go."""


class ReplicaSetController:
    """Makes and deletes pods, and reports how many there are, ready and available."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("replicaset", self._reconcile)
        self._voice = view.voice("replicaset-controller")
        self._sets = view.cache(REPLICASETS)
        self._sets.subscribe(lambda change: self._queue.add(change.key))
        notify_controller(view.cache(PODS), REPLICASETS.kind, self._sets, self._queue.add)

    async def run(self) -> None:
        await self._queue.run()

    async def _reconcile(self, key: Key) -> float | None:
        replicaset = self._sets.get(*key)
        if replicaset is None:
            return None
        if not selects_own_pods(replicaset):
            self._voice.warn(REPLICASETS, replicaset, "SelectorMismatch", SELECTOR_MISMATCH)
            return None
        selects = from_object(replicaset["spec"].get("selector"))
        pods = await claim(self._view, PODS, REPLICASETS, replicaset, selects)
        alive = [pod for pod in pods if not finished(pod)]
        active = [pod for pod in alive if not self._view.leaving(pod)]
        terminating = len(alive) - len(active)
        failure: Object | None = None
        if not self._view.leaving(replicaset):
            try:
                await self._scale(replicaset, active)
            except ApiError as error:
                failure = _failure(error)
                if not _namespace_ends(error):
                    await self._report(replicaset, active, terminating, failure)
                    raise
        return await self._report(replicaset, active, terminating, failure)

    async def _scale(self, replicaset: Object, active: list[Object]) -> None:
        surplus = len(active) - (replicaset["spec"].get("replicas") or 0)
        if surplus > 0:
            doomed = sorted(active, key=deletion_rank)[: min(surplus, BURST)]
            await _all(self._delete(replicaset, pod) for pod in doomed)
        elif surplus < 0:
            await _all(self._create(replicaset) for _ in range(min(-surplus, BURST)))

    async def _create(self, replicaset: Object) -> None:
        template = replicaset["spec"]["template"]
        metadata = template.get("metadata") or {}
        body = {
            "metadata": {
                "generateName": f"{replicaset['metadata']['name']}-",
                "labels": metadata.get("labels") or {},
                "annotations": metadata.get("annotations") or {},
                "ownerReferences": [controller_reference(REPLICASETS, replicaset)],
            },
            "spec": template["spec"],
        }
        try:
            pod = await self._view.create(PODS, replicaset["metadata"]["namespace"], body)
        except ApiError as error:
            if not _namespace_ends(error):
                self._voice.warn(
                    REPLICASETS, replicaset, "FailedCreate", f"Error creating: {error.message}"
                )
            raise
        self._voice.say(
            REPLICASETS,
            replicaset,
            "SuccessfulCreate",
            f"Created pod: {pod['metadata']['name']}",
        )

    async def _delete(self, replicaset: Object, pod: Object) -> None:
        await self._view.delete(PODS, pod)
        self._voice.say(
            REPLICASETS,
            replicaset,
            "SuccessfulDelete",
            f"Deleted pod: {pod['metadata']['name']}",
        )

    async def _report(
        self, replicaset: Object, active: list[Object], terminating: int, failure: Object | None
    ) -> float | None:
        now = datetime.now(UTC)
        status, again = replicaset_status(replicaset, active, terminating, failure, now)
        await self._view.replace_status(REPLICASETS, replicaset, status)
        return again


def replicaset_status(
    replicaset: Object,
    active: list[Object],
    terminating: int,
    failure: Object | None,
    now: datetime,
) -> tuple[Object, float | None]:
    """The status to report, and in how many seconds a ready pod becomes available by age."""
    spec = replicaset["spec"]
    template_labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    waits = [available_in(pod, spec.get("minReadySeconds") or 0, now) for pod in active]
    counts = {
        "fullyLabeledReplicas": sum(
            template_labels.items() <= labels_of(p).items() for p in active
        ),
        "readyReplicas": sum(map(ready, active)),
        "availableReplicas": sum(wait is not None and wait <= 0 for wait in waits),
    }
    status: Object = {"replicas": len(active), "terminatingReplicas": terminating}
    status |= {name: count for name, count in counts.items() if count}
    if generation := replicaset["metadata"].get("generation"):
        status["observedGeneration"] = generation
    if failure is not None:
        old = ((replicaset.get("status") or {}).get("conditions") or [{}])[0]
        since = old.get("lastTransitionTime") or timestamp(now)
        status["conditions"] = [{**failure, "lastTransitionTime": since}]
    return status, min((wait for wait in waits if wait is not None and wait > 0), default=None)


def _failure(error: ApiError) -> Object:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": error.message,
    }


def _namespace_ends(error: ApiError) -> bool:
    return isinstance(error, Forbidden) and "being terminated" in error.message


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    """Wait for all, then fail with the first failure: no call is cut short by another's."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
