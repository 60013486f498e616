"""KEDA's ScaledObjects: the target's is paused while it is parked, the primary gets one like it."""

import re
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.cluster.client import Client
from serinus.cluster.kinds import SCALEDOBJECTS
from serinus.cluster.ownership import owner_reference
from serinus.cluster.served import serves
from serinus.workload.caches import WorkloadCaches
from serinus.workload.labels import PRIMARY_SUFFIX, without_toolkit
from serinus.workload.views import ScaledObjectView

Json = dict[str, Any]

PAUSED = "autoscaling.keda.sh/paused-replicas"
"""Annotation that has KEDA keep that many replicas, whatever its triggers say."""


async def serves_scaled_objects(client: Client) -> bool:
    """Whether the cluster has KEDA's ScaledObjects, as everybody may ask. Raises `ApiError` and
    `Unreachable`."""
    return await serves(client, SCALEDOBJECTS)


def asks_for_scaled_object(canary: Canary) -> bool:
    """Whether the canary names a ScaledObject."""
    reference = canary.spec.autoscaler_ref
    return reference is not None and reference.kind == SCALEDOBJECTS.kind


def target_scaled_object(canary: Canary, caches: WorkloadCaches) -> ScaledObjectView | None:
    """The ScaledObject that ``autoscalerRef`` names, if there is one."""
    reference = canary.spec.autoscaler_ref
    if reference is None or reference.kind != SCALEDOBJECTS.kind or caches.scaled_objects is None:
        return None
    return caches.scaled_objects.get(canary.namespace, reference.name)


def pause_patch(scaled_object: ScaledObjectView, *, paused: bool) -> Json | None:
    """The merge patch that pauses a ScaledObject at no replicas, or lets it go on; None when
    that is so already."""
    wanted = "0" if paused else None
    if scaled_object.metadata.annotations.get(PAUSED) == wanted:
        return None
    return {"metadata": {"annotations": {PAUSED: wanted}}}


def primary_scaled_object(canary: Canary, target: ScaledObjectView) -> Json:
    """The ScaledObject to create for the primary."""
    return {
        "apiVersion": SCALEDOBJECTS.api_version,
        "kind": SCALEDOBJECTS.kind,
        "metadata": {
            "name": target.metadata.name + PRIMARY_SUFFIX,
            "namespace": canary.namespace,
            "labels": without_toolkit(target.metadata.labels),
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": primary_scaled_object_spec(canary, target),
    }


def primary_scaled_object_spec(canary: Canary, target: ScaledObjectView) -> Json:
    """The target's spec, for the primary.

    A trigger that ``primaryScalerQueries`` names gets its query from there. Without any, each
    query that speaks of the target or its canary comes to speak of the primary.
    """
    spec: Json = msgspec.json.decode(target.spec)
    spec["scaleTargetRef"] = {**spec["scaleTargetRef"], "name": canary.primary_name}
    reference = canary.spec.autoscaler_ref
    queries = {} if reference is None else reference.primary_scaler_queries
    for trigger in spec.get("triggers") or ():
        metadata = trigger.get("metadata") or {}
        if queries:
            if trigger.get("name") in queries:
                metadata["query"] = queries[trigger["name"]]
                trigger["metadata"] = metadata
        elif "query" in metadata:
            metadata["query"] = of_primary(metadata["query"], canary)
    scaler = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    if scaler.get("name"):
        scaler["name"] += PRIMARY_SUFFIX
    bounds = reference.primary_scaler_replicas if reference is not None else None
    if bounds is not None:
        if bounds.min_replicas is not None:
            spec["minReplicaCount"] = bounds.min_replicas
        if bounds.max_replicas is not None:
            spec["maxReplicaCount"] = bounds.max_replicas
    return spec


def of_primary(query: str, canary: Canary) -> str:
    """A query about the target, or its canary Service, as one about the primary.

    A longer word that only contains the target's name is another thing's name.
    """
    name = re.escape(canary.target_name)
    return re.sub(
        rf"(?<![A-Za-z0-9-]){name}(-canary|-primary)?(?![A-Za-z0-9])", canary.primary_name, query
    )
