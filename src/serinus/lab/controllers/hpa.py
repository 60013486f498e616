"""HorizontalPodAutoscalers (autoscaling/v2), by the pods' real CPU use.

The bounds are enforced at once, from the watch; metrics are asked for once per period, and only
while there is an autoscaler that needs them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from serinus.cluster.cache import Change, Key
from serinus.cluster.errors import ApiError
from serinus.cluster.kinds import DEPLOYMENTS, HPAS, PODS
from serinus.cluster.resource import Resource
from serinus.lab.apiserver.selectors import label_test, parse_labels
from serinus.lab.controllers.autoscaling import (
    STABILIZATION,
    NoMetrics,
    PodUse,
    Recommendation,
    bounded,
    by_cpu,
    millicores,
    stabilized,
)
from serinus.lab.controllers.kinds import Kinds
from serinus.lab.controllers.ownership import labels_of
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import finished, ready
from serinus.lab.controllers.view import Object, View, timestamp

PERIOD = 15.0


@dataclass(slots=True)
class Finding:
    """What one look at an autoscaler found, and what it is going to say."""

    current: int
    desired: int
    reason: str = ""
    """Why the target is rescaled."""
    metrics: list[Object] = field(default_factory=list)
    conditions: list[tuple[str, str, str, str]] = field(default_factory=list)

    def set(self, kind: str, holds: bool, reason: str, message: str) -> None:
        self.conditions = [entry for entry in self.conditions if entry[0] != kind]
        self.conditions.append((kind, str(holds), reason, message))


class AutoscalerController:
    """Scales targets through their scale subresource. ``period`` is in seconds."""

    def __init__(self, view: View, kinds: Kinds, period: float = PERIOD) -> None:
        self._view = view
        self._kinds = kinds
        self._period = period
        self._queue: Queue[Key] = Queue("autoscaler", self._reconcile)
        self._voice = view.voice("horizontal-pod-autoscaler")
        self._autoscalers = view.cache(HPAS)
        self._pods = view.cache(PODS)
        self._history: defaultdict[str, list[Recommendation]] = defaultdict(list)
        self._due: dict[str, float] = {}
        self._autoscalers.subscribe(self._changed)
        view.cache(DEPLOYMENTS).subscribe(self._target_changed(DEPLOYMENTS))

    async def run(self) -> None:
        await self._kinds.known.wait()
        await self._queue.run()

    def _changed(self, change: Change[Object]) -> None:
        old, new = change.old, change.new
        if old and (new is None or old["metadata"]["uid"] != new["metadata"]["uid"]):
            self._history.pop(old["metadata"]["uid"], None)
        # Our own status writes are no news.
        if old is None or new is None or old["spec"] != new["spec"]:
            for obj in (old, new):
                self._due.pop(obj["metadata"]["uid"] if obj else "", None)
            self._queue.add(change.key)

    def _target_changed(self, resource: Resource) -> Callable[[Change[Object]], None]:
        def changed(change: Change[Object]) -> None:
            old, new = change.old, change.new
            if old and new and old["spec"].get("replicas") == new["spec"].get("replicas"):
                return
            for autoscaler in self._autoscalers.values():
                target = autoscaler["spec"]["scaleTargetRef"]
                metadata = autoscaler["metadata"]
                here = (metadata["namespace"], target["name"]) == change.key
                if here and target["kind"] == resource.kind:
                    self._queue.add((metadata["namespace"], metadata["name"]))

        return changed

    async def _reconcile(self, key: Key) -> float | None:
        autoscaler = self._autoscalers.get(*key)
        if autoscaler is None or self._view.leaving(autoscaler):
            return None
        reference = autoscaler["spec"]["scaleTargetRef"]
        namespace = autoscaler["metadata"]["namespace"]
        resource = self._kinds.resource_of(reference.get("apiVersion", ""), reference["kind"])
        try:
            scale = await self._scale_of(resource, namespace, reference)
        except LookupError as error:
            self._voice.warn(HPAS, autoscaler, "FailedGetScale", str(error))
            status = autoscaler.get("status") or {}
            finding = Finding(status.get("currentReplicas") or 0, status.get("desiredReplicas", 0))
            message = f"the HPA controller was unable to get the target's current scale: {error}"
            finding.set("AbleToScale", False, "FailedGetScale", message)
            await self._report(autoscaler, finding, rescaled=False)
            return self._period
        assert resource is not None
        uid, clock = autoscaler["metadata"]["uid"], asyncio.get_running_loop().time
        finding = self._bound(autoscaler, scale)
        if finding.desired == finding.current and finding.current > 0:
            wait = self._due.get(uid, 0.0) - clock()
            if wait > 0:
                if status := autoscaler.get("status"):
                    seen = {"currentReplicas": finding.current, "desiredReplicas": finding.current}
                    await self._view.replace_status(HPAS, autoscaler, {**status, **seen})
                return wait
            await self._judge(autoscaler, scale, finding)
        self._due[uid] = clock() + self._period
        rescaled = finding.desired != finding.current
        if rescaled:
            await self._rescale(autoscaler, resource, finding)
        await self._report(autoscaler, finding, rescaled)
        # A Deployment that leaves zero shows in its watch; other targets have to be looked at.
        idle = finding.current == 0 and resource == DEPLOYMENTS
        return None if idle else self._period

    async def _scale_of(
        self, resource: Resource | None, namespace: str, reference: Object
    ) -> Object:
        """The target's Scale; LookupError with the reason when it has none."""
        kind, name = reference["kind"], reference["name"]
        if resource is None:
            group = reference.get("apiVersion", "")
            raise LookupError(f'no matches for kind "{kind}" in group "{group}"')
        try:
            answer = await self._view.client.get(resource, namespace, name, "scale")
        except ApiError as error:
            raise LookupError(error.message) from error
        scale: Object = msgspec.json.decode(answer)
        return scale

    def _bound(self, autoscaler: Object, scale: Object) -> Finding:
        """What can be said without metrics."""
        spec = autoscaler["spec"]
        current = (scale.get("spec") or {}).get("replicas") or 0
        minimum, maximum = spec.get("minReplicas", 1), spec["maxReplicas"]
        finding = Finding(current, current)
        finding.set(
            "AbleToScale", True, "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )  # fmt: skip
        if current == 0 and minimum != 0:
            finding.set(
                "ScalingActive", False, "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )  # fmt: skip
            return finding
        if current > maximum:
            finding.desired = maximum
            finding.reason = "Current number of replicas above Spec.MaxReplicas"
        elif current < minimum:
            finding.desired = minimum
            finding.reason = "Current number of replicas below Spec.MinReplicas"
        return finding

    async def _judge(self, autoscaler: Object, scale: Object, finding: Finding) -> None:
        spec, now = autoscaler["spec"], datetime.now(UTC)
        metrics = spec.get("metrics") or []
        if not metrics:
            finding.set(
                "ScalingActive", False, "NoMetrics", "the autoscaler names no metric to scale by"
            )
            return
        pods = self._targeted(autoscaler, scale)
        proposals: list[tuple[int, str]] = []
        problems: list[str] = []
        uses = await self._cpu(pods)
        for metric in metrics:
            try:
                proposals.append(_propose(finding, metric, uses))
            except NoMetrics as problem:
                problems.append(str(problem))
        wanted, what = max(proposals, default=(finding.current, ""))
        if problems and (not proposals or wanted < finding.current):
            # A metric that is missing may be the one that keeps the target large.
            message = f"the HPA was unable to compute the replica count: {problems[0]}"
            finding.set("ScalingActive", False, "FailedGetResourceMetric", message)
            self._voice.warn(HPAS, autoscaler, "FailedGetResourceMetric", problems[0])
            return
        finding.set(
            "ScalingActive", True, "ValidMetricFound",
            f"the HPA was able to successfully calculate a replica count from {what}",
        )  # fmt: skip
        self._limit(autoscaler, finding, wanted, now)
        if finding.desired != finding.current:
            direction = "above" if finding.desired > finding.current else "below"
            finding.reason = (
                f"{what} above target" if direction == "above" else "All metrics below target"
            )

    def _limit(self, autoscaler: Object, finding: Finding, wanted: int, now: datetime) -> None:
        spec, uid = autoscaler["spec"], autoscaler["metadata"]["uid"]
        behavior = spec.get("behavior") or {}
        history = self._history[uid] or [Recommendation(now, finding.current)]
        held = stabilized(finding.current, wanted, history, behavior, now)
        longest = max(
            STABILIZATION,
            *((behavior.get(way) or {}).get("stabilizationWindowSeconds") or 0
              for way in ("scaleUp", "scaleDown")),
        )  # fmt: skip
        since = now - timedelta(seconds=longest)
        self._history[uid] = [entry for entry in history if entry.at > since]
        self._history[uid].append(Recommendation(now, wanted))
        if held != wanted:
            higher = held > wanted
            finding.set(
                "AbleToScale", True,
                "ScaleDownStabilized" if higher else "ScaleUpStabilized",
                "recent recommendations were higher than current one, "
                "applying the highest recent recommendation" if higher else
                "recent recommendations were lower than current one, "
                "applying the lowest recent recommendation",
            )  # fmt: skip
        else:
            finding.set(
                "AbleToScale", True, "ReadyForNewScale",
                "recommended size matches current size",
            )  # fmt: skip
        limit = bounded(finding.current, held, spec.get("minReplicas", 1), spec["maxReplicas"])
        finding.desired = limit.replicas
        finding.set("ScalingLimited", limit.limited, limit.reason, limit.message)

    def _targeted(self, autoscaler: Object, scale: Object) -> list[Object]:
        namespace = autoscaler["metadata"]["namespace"]
        selector = (scale.get("status") or {}).get("selector") or ""
        matches = label_test(parse_labels(selector)) if selector else (lambda _labels: False)
        return [
            pod
            for pod in self._pods.values()
            if pod["metadata"]["namespace"] == namespace
            and matches(labels_of(pod))
            and not finished(pod)
            and not self._view.leaving(pod)
        ]

    async def _cpu(self, pods: list[Object]) -> list[PodUse]:
        """What each pod uses, from its node's kubelet."""
        used: dict[tuple[str, str], int] = {}
        for node in sorted(
            {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
        ):
            path = f"/api/v1/nodes/{node}/proxy/stats/summary"
            try:
                summary = msgspec.json.decode(await self._view.client.request("GET", path))
            except ApiError:
                # A node that does not answer has pods of which nothing is known.
                continue
            for entry in summary.get("pods") or []:
                reference = entry["podRef"]
                nanocores = [
                    (container.get("cpu") or {}).get("usageNanoCores")
                    for container in entry.get("containers") or []
                ]
                known = [int(value) for value in nanocores if value is not None]
                if known and len(known) == len(nanocores):
                    total = sum(known)
                    used[reference["namespace"], reference["name"]] = round(total / 1e6)
        return [
            PodUse(
                pod["metadata"]["name"],
                _requested(pod),
                used.get((pod["metadata"]["namespace"], pod["metadata"]["name"])),
                ready(pod),
            )
            for pod in pods
        ]

    async def _rescale(self, autoscaler: Object, resource: Resource, finding: Finding) -> None:
        namespace = autoscaler["metadata"]["namespace"]
        target = autoscaler["spec"]["scaleTargetRef"]["name"]
        body = {"spec": {"replicas": finding.desired}}
        await self._view.client.patch(resource, namespace, target, body, subresource="scale")
        message = f"New size: {finding.desired}; reason: {finding.reason}"
        self._voice.say(HPAS, autoscaler, "SuccessfulRescale", message)
        finding.set(
            "AbleToScale", True, "SucceededRescale",
            f"the HPA controller was able to update the target scale to {finding.desired}",
        )  # fmt: skip

    async def _report(self, autoscaler: Object, finding: Finding, rescaled: bool) -> None:
        now = timestamp(datetime.now(UTC))
        old_status = autoscaler.get("status") or {}
        old = {c["type"]: c for c in old_status.get("conditions") or []}
        conditions = dict(old)
        for kind, holds, reason, message in finding.conditions:
            before = old.get(kind, {})
            since = before.get("lastTransitionTime") if before.get("status") == holds else None
            conditions[kind] = {
                "type": kind,
                "status": holds,
                "lastTransitionTime": since or now,
                "reason": reason,
                "message": message,
            }
        status: Object = {
            "currentReplicas": finding.current,
            "desiredReplicas": finding.desired,
            "currentMetrics": finding.metrics,
            "conditions": list(conditions.values()),
        }
        if generation := autoscaler["metadata"].get("generation"):
            status["observedGeneration"] = generation
        scaled_at = now if rescaled else old_status.get("lastScaleTime")
        if scaled_at:
            status["lastScaleTime"] = scaled_at
        await self._view.replace_status(HPAS, autoscaler, status)


def _propose(finding: Finding, metric: Object, uses: list[PodUse]) -> tuple[int, str]:
    """The replicas that a metric asks for, and its name in words; notes what was measured."""
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        raise NoMetrics(
            f"the lab scales by the resource cpu only, not by "
            f"{metric.get('type')} {resource.get('name', '')}".rstrip()
        )
    try:
        proposal = by_cpu(finding.current, resource["target"], uses)
    except NoMetrics as problem:
        raise NoMetrics(f"failed to get cpu utilization: {problem}") from problem
    measured: Object = {"averageValue": f"{proposal.average}m"}
    if proposal.utilization is not None:
        measured["averageUtilization"] = proposal.utilization
    finding.metrics.append({"type": "Resource", "resource": {"name": "cpu", "current": measured}})
    words = "cpu resource"
    if proposal.utilization is not None:
        words = "cpu resource utilization (percentage of request)"
    return proposal.replicas, words


def _requested(pod: Object) -> int | None:
    """The pod's CPU requests; None when a container has none."""
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    total = 0
    for container in [*spec["containers"], *sidecars]:
        request = ((container.get("resources") or {}).get("requests") or {}).get("cpu")
        if request is None:
            return None
        total += millicores(request)
    return total
