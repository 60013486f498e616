"""Scheduling: a pod without a node gets the first one that its selector and taints allow."""

from collections import Counter
from datetime import UTC, datetime

from serinus.cluster.cache import Change, Key
from serinus.cluster.kinds import NODES, PODS
from serinus.lab.controllers.ownership import labels_of
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import condition, finished
from serinus.lab.controllers.view import Object, View, timestamp

NAME = "default-scheduler"
_CORDON_TAINT = "node.kubernetes.io/unschedulable"


class Scheduler:
    """Binds pods as soon as the watch shows them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("scheduler", self._reconcile)
        self._voice = view.voice(NAME)
        self._pods = view.cache(PODS)
        self._nodes = view.cache(NODES)
        self._pods.subscribe(self._pod_changed)
        self._nodes.subscribe(self._node_changed)

    async def run(self) -> None:
        await self._queue.run()

    def _pod_changed(self, change: Change[Object]) -> None:
        if change.new is not None and _waits(change.new):
            self._queue.add(change.key)

    def _node_changed(self, change: Change[Object]) -> None:
        """A node that came, went or was relabelled may let waiting pods in; its heartbeats not."""
        if _offer(change.old) != _offer(change.new):
            for pod in self._pods.values():
                if _waits(pod):
                    self._queue.add((pod["metadata"]["namespace"], pod["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*key)
        if pod is None or not _waits(pod):
            return None
        nodes = sorted(self._nodes.values(), key=lambda node: str(node["metadata"]["name"]))
        fitting = [node for node in nodes if fits(pod, node)]
        if fitting:
            await self._bind(pod, fitting[0]["metadata"]["name"])
        else:
            await self._refuse(pod, why_not(pod, nodes))
        return None

    async def _bind(self, pod: Object, node: str) -> None:
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._view.client.create(PODS, namespace, binding, name=name, subresource="binding")
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self._voice.say(PODS, pod, "Scheduled", message)

    async def _refuse(self, pod: Object, why: str) -> None:
        old = condition(pod, "PodScheduled") or {}
        if old.get("message") == why:
            return
        since = old.get("lastTransitionTime") if old.get("status") == "False" else None
        refused = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": since or timestamp(datetime.now(UTC)),
        }
        status = pod.get("status") or {}
        others = [c for c in status.get("conditions") or [] if c["type"] != "PodScheduled"]
        self._voice.warn(PODS, pod, "FailedScheduling", why)
        await self._view.replace_status(PODS, pod, {**status, "conditions": [*others, refused]})


def _waits(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", NAME) == NAME
        and not spec.get("schedulingGates")
        and not pod["metadata"].get("deletionTimestamp")
        and not finished(pod)
    )


def _offer(node: Object | None) -> tuple[dict[str, str], bool, list[Object]] | None:
    return None if node is None else (labels_of(node), _closed(node), _taints(node))


def _closed(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def _selected(pod: Object, node: Object) -> bool:
    selector: dict[str, str] = pod["spec"].get("nodeSelector") or {}
    return selector.items() <= labels_of(node).items()


def _taints(node: Object) -> list[Object]:
    """Those that keep pods away; ``PreferNoSchedule`` does not where there is one node."""
    taints: list[Object] = (node.get("spec") or {}).get("taints") or []
    # A cordoned node has its own words in the list of reasons.
    return [
        taint
        for taint in taints
        if taint["effect"] != "PreferNoSchedule" and taint["key"] != _CORDON_TAINT
    ]


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint["key"] and same_value


def _untolerated(pod: Object, node: Object) -> Object | None:
    tolerations: list[Object] = pod["spec"].get("tolerations") or []
    return next(
        (
            taint
            for taint in _taints(node)
            if not any(_tolerates(toleration, taint) for toleration in tolerations)
        ),
        None,
    )


def fits(pod: Object, node: Object) -> bool:
    """Whether the node takes this pod and carries the labels that the pod asks for."""
    return not _closed(node) and _untolerated(pod, node) is None and _selected(pod, node)


def why_not(pod: Object, nodes: list[Object]) -> str:
    """Why no node fits, in the scheduler's words."""
    if not nodes:
        return "no nodes available to schedule pods"
    closed = sum(map(_closed, nodes))
    open_nodes = [node for node in nodes if not _closed(node)]
    tainted = Counter(
        f"{{{taint['key']}: {taint.get('value') or ''}}}"
        for node in open_nodes
        if (taint := _untolerated(pod, node))
    )
    unselected = sum(
        _untolerated(pod, node) is None and not _selected(pod, node) for node in open_nodes
    )
    reasons = [f"{count} node(s) had untolerated taint {taint}" for taint, count in tainted.items()]
    if unselected:
        reasons.append(f"{unselected} node(s) didn't match Pod's node affinity/selector")
    if closed:
        reasons.append(f"{closed} node(s) were unschedulable")
    return f"0/{len(nodes)} nodes are available: {', '.join(reasons)}."
