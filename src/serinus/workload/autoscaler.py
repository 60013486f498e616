"""The primary's HorizontalPodAutoscaler, made from the target's."""

from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.cluster.kinds import HPAS
from serinus.cluster.ownership import owner_reference
from serinus.workload.caches import WorkloadCaches
from serinus.workload.labels import PRIMARY_SUFFIX, without_toolkit
from serinus.workload.scaledobject import target_scaled_object
from serinus.workload.views import HPAView

Json = dict[str, Any]


def target_hpa(canary: Canary, caches: WorkloadCaches) -> HPAView | None:
    """The autoscaler of the target: the one that ``autoscalerRef`` names, or, when the canary
    names none, the one that scales the target. None when there is none (yet)."""
    reference = canary.spec.autoscaler_ref
    if reference is not None:
        if reference.kind != HPAS.kind:
            return None
        return caches.hpas.get(canary.namespace, reference.name)
    return next(
        (
            hpa
            for hpa in caches.hpas.values()
            if hpa.metadata.namespace == canary.namespace
            and hpa.scale_target_ref.kind == canary.spec.target_ref.kind
            and hpa.scale_target_ref.name == canary.target_name
        ),
        None,
    )


def fewest_replicas(canary: Canary, caches: WorkloadCaches) -> int | None:
    """The replicas that the target's autoscaler starts from; None when there is none (yet)."""
    scaled_object = target_scaled_object(canary, caches)
    if scaled_object is not None:
        return scaled_object.min_replicas
    hpa = target_hpa(canary, caches)
    return None if hpa is None else hpa.min_replicas


def autoscaled(canary: Canary, caches: WorkloadCaches) -> bool:
    """Whether replicas are an autoscaler's business, so that a promotion leaves them alone."""
    return canary.spec.autoscaler_ref is not None or target_hpa(canary, caches) is not None


def primary_hpa(canary: Canary, hpa: HPAView) -> Json:
    """The autoscaler to create for the primary."""
    return {
        "apiVersion": HPAS.api_version,
        "kind": HPAS.kind,
        "metadata": {
            "name": hpa.metadata.name + PRIMARY_SUFFIX,
            "namespace": canary.namespace,
            "labels": without_toolkit(hpa.metadata.labels),
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": primary_hpa_spec(canary, hpa),
    }


def primary_hpa_spec(canary: Canary, hpa: HPAView) -> Json:
    """The target's autoscaler's spec, scaling the primary instead, within the bounds that
    ``autoscalerRef.primaryScalerReplicas`` may set."""
    spec: Json = msgspec.json.decode(hpa.spec)
    spec["scaleTargetRef"] = {**spec["scaleTargetRef"], "name": canary.primary_name}
    reference = canary.spec.autoscaler_ref
    bounds = reference.primary_scaler_replicas if reference is not None else None
    if bounds is not None:
        if bounds.min_replicas is not None:
            spec["minReplicas"] = bounds.min_replicas
        if bounds.max_replicas is not None:
            spec["maxReplicas"] = bounds.max_replicas
    return spec
