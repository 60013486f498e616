"""Targets of kind Service: what the target leads to is what is rolled out.

The target itself is what callers use, so it is the apex too, and never changed: its owner changes
it. ``-primary`` and ``-canary`` are copies of it, of whatever type. The canary's is kept equal to
the target; the primary's follows on promotion. The route leads callers of the target to one of
the two; without a route a change of the target reaches its callers at once.

A Service has no pods of its own to count or to park, no autoscaler, and no ConfigMaps.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.client import Client
from serinus.cluster.kinds import SERVICES
from serinus.cluster.ownership import UNMANAGED_BY_FLUX, owner_reference
from serinus.cluster.written import Written, written
from serinus.rollout.revision import origin_of
from serinus.rollout.world import Readiness, Workload
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.labels import without_toolkit
from serinus.workload.views import PROMOTION_ID, ServiceView

Json = dict[str, Any]

_DIGITS = 12
"""Hex digits of a revision that make a generation: 48 bits, which every reader of JSON keeps."""


def find_service_target(canary: Canary, caches: WorkloadCaches) -> ServiceView | None:
    """The target."""
    return caches.services.get(canary.namespace, canary.target_name)


def find_service_primary(canary: Canary, caches: WorkloadCaches) -> ServiceView | None:
    """The primary's copy."""
    return caches.services.get(canary.namespace, canary.primary_service)


def observed(service: ServiceView | None) -> Workload | None:
    """What a tick sees: always ready, and as if it had one pod.

    The API server counts no generations of a Service, so one is made of its revision: it has to
    change whenever that does, else a new revision would pass for another word for the old.
    """
    if service is None or service.metadata.deletion_timestamp is not None:
        return None
    return Workload(
        revision=service.revision,
        generation=int(service.revision.rpartition(":")[2][:_DIGITS], 16),
        replicas=1,
        available=1,
        readiness=Readiness(ready=True),
        origin=service.metadata.annotations.get(PROMOTION_ID),
    )


def service_problems(canary: Canary, caches: WorkloadCaches) -> tuple[Problem, ...]:
    """What keeps the target from being rolled out."""
    found = []
    if canary.spec.autoscaler_ref is not None:
        found.append(
            Problem("spec.autoscalerRef", "a Service has no pods to scale; remove autoscalerRef")
        )
    if canary.apex_name != canary.target_name:
        apex = caches.services.get(canary.namespace, canary.apex_name)
        if apex is None:
            found.append(
                Problem(
                    "spec.service.name",
                    f"service {canary.apex_name}.{canary.namespace} does not exist, and none is "
                    f"made where the target is a Service; create it, or remove name so that "
                    f"callers use {canary.target_name}",
                )
            )
    return tuple(found)


async def reconcile_canary_copy(
    client: Client, caches: WorkloadCaches, canary: Canary
) -> list[Written]:
    """Have the canary's copy, equal to the target; a target that is gone leaves it as it is."""
    target = find_service_target(canary, caches)
    if target is None:
        return []
    live = caches.services.get(canary.namespace, canary.canary_service)
    if live is None:
        body = _copy(canary, canary.canary_service, target, {})
        return [written(SERVICES, await client.create(SERVICES, canary.namespace, body))]
    patch = _spec_patch(live, target)
    if not patch:
        return []
    answer = await client.patch(SERVICES, canary.namespace, canary.canary_service, {"spec": patch})
    return [written(SERVICES, answer)]


async def reconcile_primary_copy(
    client: Client, caches: WorkloadCaches, canary: Canary
) -> list[Written]:
    """Have the primary's copy; one that exists is left as it is until the next promotion."""
    target = find_service_target(canary, caches)
    if target is None or find_service_primary(canary, caches) is not None:
        return []
    origin = {PROMOTION_ID: origin_of(target.revision)}
    body = _copy(canary, canary.primary_service, target, origin)
    return [written(SERVICES, await client.create(SERVICES, canary.namespace, body))]


async def promote_service(
    client: Client, caches: WorkloadCaches, canary: Canary, revision: str
) -> list[Written]:
    """Bring the primary's copy to the target, if that still holds ``revision``."""
    target, primary = find_service_target(canary, caches), find_service_primary(canary, caches)
    where = f"{canary.target_name}.{canary.namespace}"
    if target is None or primary is None:
        gone = canary.target_name if target is None else canary.primary_service
        raise WorkloadError(f"service {gone}.{canary.namespace} does not exist")
    if target.revision != revision:
        raise WorkloadError(
            f"service {where} has changed since its analysis: it is at {target.revision}, and "
            f"{revision} was to be promoted"
        )
    patch: Json = {}
    spec = _spec_patch(primary, target)
    if spec:
        patch["spec"] = spec
    origin = origin_of(revision)
    if primary.metadata.annotations.get(PROMOTION_ID) != origin:
        patch["metadata"] = {"annotations": {PROMOTION_ID: origin}}
    if not patch:
        return []
    answer = await client.patch(SERVICES, canary.namespace, canary.primary_service, patch)
    return [written(SERVICES, answer)]


def _copy(canary: Canary, name: str, target: ServiceView, annotations: Mapping[str, str]) -> Json:
    kept = without_toolkit(target.metadata.annotations)
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": without_toolkit(target.metadata.labels),
            "annotations": {**kept, **UNMANAGED_BY_FLUX, **annotations},
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": target.own_spec(),
    }


def _spec_patch(live: ServiceView, target: ServiceView) -> Json:
    """The merge patch from a copy's spec to the target's; node ports stay the copy's own."""
    found, wanted = live.own_spec(), target.own_spec()
    if found == wanted:
        return {}
    patch = _merge_patch(found, wanted)
    if "ports" in patch:
        given = {
            (port["port"], port.get("protocol")): port["nodePort"]
            for port in msgspec.json.decode(live.text).get("ports") or ()
            if "nodePort" in port
        }
        for port in patch["ports"] or ():
            node_port = given.get((port["port"], port.get("protocol")))
            if node_port is not None and wanted.get("type") in ("NodePort", "LoadBalancer"):
                port["nodePort"] = node_port
    return patch


def _merge_patch(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    patch: Json = {key: None for key in found if key not in wanted}
    for key, value in wanted.items():
        before = found.get(key)
        if before == value:
            continue
        both = isinstance(value, dict) and isinstance(before, dict)
        patch[key] = _merge_patch(before or {}, value) if both else value
    return patch
