"""DaemonSets: one pod on each node that the template's selector allows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from serinus.cluster.cache import Change, Key
from serinus.cluster.kinds import DAEMONSETS, NODES, PODS
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
from serinus.lab.controllers.readiness import available_in, finished, ready
from serinus.lab.controllers.revisions import annotations_of, template_hash, with_label
from serinus.lab.controllers.rolling import scaled
from serinus.lab.controllers.view import Object, View

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


@dataclass(slots=True)
class Plan:
    """What a look at a DaemonSet calls for."""

    nodes: list[str] = field(default_factory=list)
    """Nodes that lack their pod."""
    doomed: list[Object] = field(default_factory=list)


class DaemonSetController:
    """Makes and replaces the pods, and reports on them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("daemonset", self._reconcile)
        self._voice = view.voice("daemonset-controller")
        self._sets = view.cache(DAEMONSETS)
        self._nodes = view.cache(NODES)
        self._sets.subscribe(lambda change: self._queue.add(change.key))
        self._nodes.subscribe(self._node_changed)
        notify_controller(view.cache(PODS), DAEMONSETS.kind, self._sets, self._queue.add)

    async def run(self) -> None:
        await self._queue.run()

    def _node_changed(self, change: Change[Object]) -> None:
        if (change.old and labels_of(change.old)) != (change.new and labels_of(change.new)):
            for key in self._sets.keys():  # noqa: SIM118 - a cache is not a mapping
                self._queue.add(key)

    async def _reconcile(self, key: Key) -> float | None:
        daemonset = self._sets.get(*key)
        if daemonset is None or self._view.leaving(daemonset):
            return None
        if not selects_own_pods(daemonset):
            self._voice.warn(DAEMONSETS, daemonset, "SelectorMismatch", SELECTOR_MISMATCH)
            return None
        selects = from_object(daemonset["spec"].get("selector"))
        pods = await claim(self._view, PODS, DAEMONSETS, daemonset, selects)
        # A node whose pod is still leaving has to wait: two daemons at once may fight.
        busy = {pod["spec"].get("nodeName") for pod in pods if self._view.leaving(pod)}
        pods = [pod for pod in pods if not self._view.leaving(pod)]
        digest = template_hash(daemonset["spec"]["template"])
        nodes = matching_nodes(daemonset, list(self._nodes.values()))
        now = datetime.now(UTC)
        todo = plan(daemonset, pods, nodes, digest, now)
        for node in [node for node in todo.nodes if node not in busy]:
            await self._create(daemonset, node, digest)
        for pod in todo.doomed:
            await self._view.delete(PODS, pod)
            message = f"Deleted pod: {pod['metadata']['name']}"
            self._voice.say(DAEMONSETS, daemonset, "SuccessfulDelete", message)
        status, again = daemonset_status(daemonset, pods, nodes, digest, now)
        await self._view.replace_status(DAEMONSETS, daemonset, status)
        return again

    async def _create(self, daemonset: Object, node: str, digest: str) -> None:
        spec, metadata = daemonset["spec"], daemonset["metadata"]
        template = with_label(spec["template"], HASH_LABEL, digest)
        template_generation = annotations_of(daemonset).get(TEMPLATE_GENERATION, "1")
        template = with_label(template, GENERATION_LABEL, template_generation)
        body = {
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"].get("annotations") or {},
                "ownerReferences": [controller_reference(DAEMONSETS, daemonset)],
            },
            "spec": {
                **template["spec"],
                "nodeName": node,
                "tolerations": tolerations(template["spec"]),
            },
        }
        pod = await self._view.create(PODS, metadata["namespace"], body)
        message = f"Created pod: {pod['metadata']['name']}"
        self._voice.say(DAEMONSETS, daemonset, "SuccessfulCreate", message)


def tolerations(spec: Object) -> list[Object]:
    """Those of the template, and of what a daemon stays through on its node, for good."""
    listed: list[Object] = list(spec.get("tolerations") or [])
    for key, effect in _TOLERATED:
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        if toleration not in listed:
            listed.append(toleration)
    return listed


def matching_nodes(daemonset: Object, nodes: list[Object]) -> list[str]:
    """The names of the nodes that should have a pod. A cordoned node keeps its daemons."""
    selector: dict[str, str] = daemonset["spec"]["template"]["spec"].get("nodeSelector") or {}
    return sorted(
        node["metadata"]["name"] for node in nodes if selector.items() <= labels_of(node).items()
    )


def plan(
    daemonset: Object, pods: list[Object], nodes: list[str], digest: str, now: datetime
) -> Plan:
    """Make what is missing; delete what is finished, misplaced, double, or (RollingUpdate, as
    far as ``maxUnavailable`` allows) of an old template."""
    spec = daemonset["spec"]
    min_ready = spec.get("minReadySeconds") or 0
    strategy = spec.get("updateStrategy") or {}
    rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
    bound = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    budget = max(1, scaled(bound, len(nodes), up=True))
    result = Plan()
    outdated: list[Object] = []
    result.doomed = [pod for pod in pods if pod["spec"].get("nodeName") not in nodes]
    for node in nodes:
        here = [pod for pod in pods if pod["spec"].get("nodeName") == node]
        result.doomed += [pod for pod in here if finished(pod)]
        alive = sorted((pod for pod in here if not finished(pod)), key=_age)
        if not here:
            result.nodes.append(node)
        if not alive:
            budget -= 1
            continue
        result.doomed += alive[1:]
        if not _available(alive[0], min_ready, now):
            budget -= 1
        if rolling and labels_of(alive[0]).get(HASH_LABEL) != digest:
            outdated.append(alive[0])
    for pod in outdated:
        if not _available(pod, min_ready, now):
            result.doomed.append(pod)
        elif budget > 0:
            budget -= 1
            result.doomed.append(pod)
    return result


def daemonset_status(
    daemonset: Object, pods: list[Object], nodes: list[str], digest: str, now: datetime
) -> tuple[Object, float | None]:
    """The status to report, and in how many seconds a ready pod becomes available by age."""
    min_ready = daemonset["spec"].get("minReadySeconds") or 0
    placed = {pod["spec"]["nodeName"]: pod for pod in pods if pod["spec"].get("nodeName") in nodes}
    waits = [available_in(pod, min_ready, now) for pod in placed.values()]
    available = sum(wait is not None and wait <= 0 for wait in waits)
    status: Object = {
        "currentNumberScheduled": len(placed),
        "numberMisscheduled": sum(pod["spec"].get("nodeName") not in nodes for pod in pods),
        "desiredNumberScheduled": len(nodes),
        "numberReady": sum(map(ready, placed.values())),
        "observedGeneration": daemonset["metadata"].get("generation", 0),
    }
    optional = {
        "updatedNumberScheduled": sum(
            labels_of(pod).get(HASH_LABEL) == digest for pod in placed.values()
        ),
        "numberAvailable": available,
        "numberUnavailable": len(nodes) - available,
    }
    status |= {name: count for name, count in optional.items() if count}
    return status, min((wait for wait in waits if wait is not None and wait > 0), default=None)


def _available(pod: Object, min_ready: int, now: datetime) -> bool:
    wait = available_in(pod, min_ready, now)
    return wait is not None and wait <= 0


def _age(pod: Object) -> str:
    return pod["metadata"].get("creationTimestamp") or ""
