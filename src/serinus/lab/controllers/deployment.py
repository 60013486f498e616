"""Deployments: ReplicaSets per template, moved step by step from the old to the new one."""

from dataclasses import dataclass
from datetime import UTC, datetime

from serinus.cluster.cache import Key
from serinus.cluster.errors import AlreadyExists, ApiError, Forbidden
from serinus.cluster.kinds import DEPLOYMENTS, PODS, REPLICASETS
from serinus.lab.apiserver.selectors import from_object
from serinus.lab.controllers import deployment_status as conditions_of
from serinus.lab.controllers.ownership import (
    SELECTOR_MISMATCH,
    claim,
    controller_of,
    controller_reference,
    notify_controller,
    owned,
    selects_own_pods,
)
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import finished
from serinus.lab.controllers.revisions import (
    DESIRED_REPLICAS,
    HASH_LABEL,
    REVISION,
    annotations_of,
    new_annotations,
    of_template,
    replica_annotations,
    revision,
    template_hash,
    with_label,
)
from serinus.lab.controllers.rolling import (
    Fences,
    available,
    fences,
    new_size,
    old_sizes,
    oldest_first,
    proportional_sizes,
    wanted,
)
from serinus.lab.controllers.view import Object, View


@dataclass(slots=True)
class Rollout:
    """A Deployment as one look found it, and what this look has to say about it."""

    deployment: Object
    new: Object | None
    old: list[Object]
    bounds: Fences
    conditions: list[Object]
    collisions: int | None

    @property
    def all(self) -> list[Object]:
        return [*self.old, self.new] if self.new else self.old

    def replace(self, replicaset: Object) -> None:
        """Go on with what a write made of a ReplicaSet."""
        uid = replicaset["metadata"]["uid"]
        if self.new and self.new["metadata"]["uid"] == uid:
            self.new = replicaset
        self.old = [replicaset if rs["metadata"]["uid"] == uid else rs for rs in self.old]


class DeploymentController:
    """Makes, scales and prunes ReplicaSets, and reports how the rollout goes."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("deployment", self._reconcile)
        self._voice = view.voice("deployment-controller")
        self._deployments = view.cache(DEPLOYMENTS)
        self._pods = view.cache(PODS)
        self._deployments.subscribe(lambda change: self._queue.add(change.key))
        notify_controller(
            view.cache(REPLICASETS), DEPLOYMENTS.kind, self._deployments, self._queue.add
        )
        self._pods.subscribe(lambda change: self._pod_ended(change.old, change.new))

    async def run(self) -> None:
        await self._queue.run()

    def _pod_ended(self, old: Object | None, new: Object | None) -> None:
        """Recreate waits for the last old pod, of which no ReplicaSet's change tells."""
        if old is None or (new is not None and not finished(new)):
            return
        owner = controller_of(old)
        namespace = old["metadata"]["namespace"]
        replicaset = owner and self._view.cache(REPLICASETS).get(namespace, owner["name"])
        deployment = replicaset and controller_of(replicaset)
        if deployment and deployment["kind"] == DEPLOYMENTS.kind:
            self._queue.add((namespace, deployment["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.get(*key)
        if deployment is None:
            return None
        if not selects_own_pods(deployment):
            self._voice.warn(DEPLOYMENTS, deployment, "SelectorMismatch", SELECTOR_MISMATCH)
            return None
        selects = from_object(deployment["spec"].get("selector"))
        claimed = await claim(self._view, REPLICASETS, DEPLOYMENTS, deployment, selects)
        replicasets = oldest_first(claimed)
        new = of_template(deployment, replicasets)
        now = datetime.now(UTC)
        status = deployment.get("status") or {}
        rollout = Rollout(
            deployment,
            new,
            [rs for rs in replicasets if rs is not new],
            fences(deployment),
            conditions_of.paused_condition(status.get("conditions") or [], deployment, now),
            status.get("collisionCount"),
        )
        if rollout.conditions != (status.get("conditions") or []):
            # Said before anything is done, as Kubernetes does: people watch for these words.
            await self._say(rollout)
        if not self._view.leaving(deployment):
            try:
                await self._act(rollout, now)
            except ApiError as error:
                if isinstance(error, Forbidden) and "being terminated" in error.message:
                    return None
                raise
        return await self._report(rollout)

    async def _act(self, rollout: Rollout, now: datetime) -> None:
        paused = bool(rollout.deployment["spec"].get("paused"))
        if rollout.new is not None and not paused:
            await self._annotate_new(rollout, now)
        if paused or self._was_scaled(rollout):
            await self._scale_all(rollout)
        elif _strategy(rollout.deployment) == "Recreate":
            await self._recreate(rollout, now)
        else:
            await self._roll(rollout, now)
        if conditions_of.complete(
            rollout.deployment, conditions_of.counts(rollout.all, rollout.new)
        ):
            await self._prune(rollout)

    async def _annotate_new(self, rollout: Rollout, now: datetime) -> None:
        new = rollout.new
        assert new is not None
        told = any(c["type"] == "Progressing" for c in rollout.conditions)
        if not told and conditions_of.deadline(rollout.deployment) is not None:
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            rollout.conditions = conditions_of.put_progressing(
                rollout.conditions, "True", "FoundNewReplicaSet", message, now
            )
        annotations = new_annotations(rollout.deployment, new, rollout.old)
        patch: Object = {}
        if annotations != annotations_of(new):
            patch["metadata"] = {"annotations": annotations}
        min_ready = rollout.deployment["spec"].get("minReadySeconds") or 0
        if (new["spec"].get("minReadySeconds") or 0) != min_ready:
            patch["spec"] = {"minReadySeconds": min_ready or None}
        if patch:
            rollout.replace(await self._view.patch(REPLICASETS, new, patch))
        await self._mark_revision(rollout, annotations[REVISION])

    async def _mark_revision(self, rollout: Rollout, number: str) -> None:
        if annotations_of(rollout.deployment).get(REVISION) != number:
            # By way of the status, since an annotation would count as a new generation.
            patch = {"metadata": {"annotations": {REVISION: number}}}
            rollout.deployment = await self._view.patch(
                DEPLOYMENTS, rollout.deployment, patch, "status"
            )

    async def _say(self, rollout: Rollout) -> None:
        """Write the conditions as they are now, and nothing else."""
        status = {**(rollout.deployment.get("status") or {}), "conditions": rollout.conditions}
        rollout.deployment = await self._view.replace_status(
            DEPLOYMENTS, rollout.deployment, status
        )

    def _was_scaled(self, rollout: Rollout) -> bool:
        return any(
            annotations_of(rs).get(DESIRED_REPLICAS, str(rollout.bounds.replicas))
            != str(rollout.bounds.replicas)
            for rs in rollout.all
            if wanted(rs) > 0
        )

    async def _scale_all(self, rollout: Rollout) -> None:
        """The Deployment's size changed, or it is paused: no step of the rollout is made."""
        bounds, new = rollout.bounds, rollout.new
        active = [rs for rs in rollout.all if wanted(rs) > 0]
        newest = new or (rollout.old[-1] if rollout.old else None)
        if len(active) <= 1:
            only = active[0] if active else newest
            if only is not None:
                await self._scale(rollout, only, bounds.replicas)
        elif new is not None and _saturated(new, bounds):
            for rs in rollout.old:
                await self._scale(rollout, rs, 0)
        elif _strategy(rollout.deployment) == "RollingUpdate":
            sizes = proportional_sizes(bounds, active)
            for rs in active:
                await self._scale(rollout, rs, sizes[rs["metadata"]["name"]])

    async def _recreate(self, rollout: Rollout, now: datetime) -> None:
        shrunk = False
        for rs in [rs for rs in rollout.old if wanted(rs) > 0]:
            await self._scale(rollout, rs, 0)
            shrunk = True
        if shrunk or any(not finished(pod) for rs in rollout.old for pod in owned(self._pods, rs)):
            return
        if rollout.new is None:
            await self._make_new(rollout, rollout.bounds.replicas, now)
        elif rollout.new:
            await self._scale(rollout, rollout.new, rollout.bounds.replicas)

    async def _roll(self, rollout: Rollout, now: datetime) -> None:
        size = new_size(rollout.bounds, rollout.new, rollout.all)
        if rollout.new is None:
            await self._make_new(rollout, size, now)
            return
        if size != wanted(rollout.new):
            await self._scale(rollout, rollout.new, size)
            return
        sizes = old_sizes(rollout.bounds, rollout.new, rollout.old)
        for rs in list(rollout.old):
            if (smaller := sizes.get(rs["metadata"]["name"])) is not None:
                await self._scale(rollout, rs, smaller)
        await self._scale(rollout, rollout.new, size)

    async def _make_new(self, rollout: Rollout, size: int, now: datetime) -> None:
        deployment = rollout.deployment
        spec, metadata = deployment["spec"], deployment["metadata"]
        digest = template_hash(spec["template"], rollout.collisions or 0)
        name = f"{metadata['name']}-{digest}"
        selector = spec["selector"]
        annotations = new_annotations(deployment, None, rollout.old)
        body: Object = {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": _template_labels(spec["template"]) | {HASH_LABEL: digest},
                "annotations": annotations
                | replica_annotations(rollout.bounds.replicas, rollout.bounds.most),
                "ownerReferences": [controller_reference(DEPLOYMENTS, deployment)],
            },
            "spec": {
                "replicas": size,
                "selector": {
                    **selector,
                    "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest},
                },
                "template": with_label(spec["template"], HASH_LABEL, digest),
            },
        }
        if spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        try:
            rollout.new = await self._view.create(REPLICASETS, metadata["namespace"], body)
        except AlreadyExists:
            # The name is taken by a ReplicaSet that is not ours or of another template.
            rollout.collisions = (rollout.collisions or 0) + 1
            return
        except ApiError as error:
            message = f'Failed to create new replica set "{name}": {error.message}'
            self._voice.warn(DEPLOYMENTS, deployment, "ReplicaSetCreateError", message)
            raise
        if conditions_of.deadline(deployment) is not None:
            rollout.conditions = conditions_of.put_progressing(
                rollout.conditions,
                "True",
                "NewReplicaSetCreated",
                f'Created new replica set "{name}"',
                now,
            )
            await self._say(rollout)
        if size:
            self._tell_scaled(deployment, name, 0, size)
        await self._mark_revision(rollout, annotations[REVISION])

    async def _scale(self, rollout: Rollout, replicaset: Object, size: int) -> None:
        before = wanted(replicaset)
        patch: Object = {}
        if size != before:
            patch["spec"] = {"replicas": size}
        notes = replica_annotations(rollout.bounds.replicas, rollout.bounds.most)
        if not notes.items() <= annotations_of(replicaset).items():
            patch["metadata"] = {"annotations": notes}
        if not patch:
            return
        rollout.replace(await self._view.patch(REPLICASETS, replicaset, patch))
        if size != before:
            name = replicaset["metadata"]["name"]
            self._tell_scaled(rollout.deployment, name, before, size)

    def _tell_scaled(self, deployment: Object, name: str, before: int, size: int) -> None:
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        self._voice.say(DEPLOYMENTS, deployment, "ScalingReplicaSet", message)

    async def _prune(self, rollout: Rollout) -> None:
        """Delete the oldest revisions beyond ``revisionHistoryLimit``."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit")
        if limit is None:
            return
        idle = [rs for rs in rollout.old if not self._view.leaving(rs) and _idle(rs)]
        idle.sort(key=revision)
        for rs in idle[: max(0, len(rollout.old) - limit)]:
            await self._view.delete(REPLICASETS, rs)

    async def _report(self, rollout: Rollout) -> float | None:
        deployment, now = rollout.deployment, datetime.now(UTC)
        status = conditions_of.counts(rollout.all, rollout.new)
        conditions = conditions_of.available_condition(
            rollout.conditions, status, rollout.bounds, now
        )
        if not deployment["spec"].get("paused"):
            conditions = conditions_of.progressing_condition(
                conditions, deployment, status, rollout.new, now
            )
        status["conditions"] = conditions
        status["observedGeneration"] = deployment["metadata"].get("generation", 0)
        if rollout.collisions is not None:
            status["collisionCount"] = rollout.collisions
        await self._view.replace_status(DEPLOYMENTS, deployment, status)
        return conditions_of.deadline_in(deployment, conditions, now)


def _strategy(deployment: Object) -> str:
    return str((deployment["spec"].get("strategy") or {}).get("type") or "RollingUpdate")


def _template_labels(template: Object) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}


def _saturated(new: Object, bounds: Fences) -> bool:
    return wanted(new) == bounds.replicas == available(new)


def _idle(replicaset: Object) -> bool:
    status = replicaset.get("status") or {}
    return (
        wanted(replicaset) == 0
        and not status.get("replicas")
        and (status.get("observedGeneration") or 0) >= replicaset["metadata"].get("generation", 0)
    )
