"""Make the workload's objects what the rollout wants: each function one effect.

Each reads the caches, does nothing at all when they agree with it already, and else makes one
narrow write per object that differs. What was written is returned, so that the caller can wait
until the caches show it. `ApiError` and `Unreachable` pass through; `WorkloadError` says what is
missing.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.api.canary import Canary, Phase
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.kinds import HPAS, SCALEDOBJECTS, SERVICES
from serinus.cluster.written import Written, written
from serinus.rollout.revision import origin_of
from serinus.workload.autoscaler import autoscaled, primary_hpa, primary_hpa_spec, target_hpa
from serinus.workload.caches import WorkloadCaches
from serinus.workload.copies import (
    Source,
    checksums,
    fetch_sources,
    names,
    reconcile_copies,
    release_copies,
    restore_copies,
)
from serinus.workload.errors import WorkloadError
from serinus.workload.kinds import PodKind, find_primary, find_target, is_service, pod_kind
from serinus.workload.labels import DEFAULT_RULES, PRIMARY_SUFFIX, LabelRules, PodSelector
from serinus.workload.primary import primary_workload, promotion
from serinus.workload.scaledobject import (
    pause_patch,
    primary_scaled_object,
    primary_scaled_object_spec,
    target_scaled_object,
)
from serinus.workload.service_target import (
    promote_service,
    reconcile_canary_copy,
    reconcile_primary_copy,
)
from serinus.workload.services import (
    Role,
    apex_return,
    applied_selector,
    desired_service,
    service_patch,
)
from serinus.workload.views import PodsView, ScaledObjectView

Json = dict[str, Any]


def target_of(canary: Canary, caches: WorkloadCaches) -> PodsView:
    """The target, which has to exist."""
    target = find_target(canary, caches)
    if target is None:
        raise WorkloadError(f"{_target_name(canary)} does not exist")
    return target


def selector_of(canary: Canary, target: PodsView, rules: LabelRules) -> PodSelector:
    """The label by which the target's pods are told from the primary's."""
    return rules.selector(
        f"{canary.target_name}.{canary.namespace}",
        target.spec.selector.match_labels,
        canary.spec.target_ref.kind,
    )


def _target_name(canary: Canary) -> str:
    return f"{canary.spec.target_ref.kind.lower()} {canary.target_name}.{canary.namespace}"


async def reconcile_services(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the ``-primary`` and ``-canary`` Services."""
    if is_service(canary):
        return await reconcile_canary_copy(client, caches, canary)
    return [
        *await _reconcile_service(client, caches, canary, Role.PRIMARY, rules),
        *await _reconcile_service(client, caches, canary, Role.CANARY, rules),
    ]


async def reconcile_apex(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the apex Service, selecting the primary's pods.

    When to do so is the rollout's business: before the primary is ready, an apex that was there
    already has to go on leading to the target. A target of kind Service is its own apex.
    """
    if is_service(canary):
        return []
    return await _reconcile_service(client, caches, canary, Role.APEX, rules)


async def _reconcile_service(
    client: Client, caches: WorkloadCaches, canary: Canary, role: Role, rules: LabelRules
) -> list[Written]:
    target = find_target(canary, caches)
    if target is None:
        # A rollback must not wait for a target that is gone; its Services stay as they are.
        return []
    name = role.service_name(canary)
    live = caches.services.get(canary.namespace, name)
    wanted = _wanted_by(canary, role, target)
    if live is not None and live.comparisons.get(wanted):
        return []
    desired = desired_service(canary, role, target, selector_of(canary, target, rules))
    if live is None:
        answer = await client.create(SERVICES, canary.namespace, desired)
    else:
        patch = service_patch(canary, live, desired)
        if patch is None:
            live.comparisons.clear()
            live.comparisons[wanted] = True
            return []
        answer = await client.patch(SERVICES, canary.namespace, name, patch)
    return [written(SERVICES, answer)]


def _wanted_by(canary: Canary, role: Role, target: PodsView) -> tuple[object, ...]:
    """What a Service for that role follows from."""
    asked, used = canary.metadata, target.metadata
    return (role, asked.uid, asked.generation, used.uid, used.generation)


async def reconcile_primary(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the primary; one that exists is left as it is until the next promotion, but for
    copies of ConfigMaps and Secrets that it has lost."""
    if is_service(canary):
        return await reconcile_primary_copy(client, caches, canary)
    kind = pod_kind(canary)
    if find_primary(canary, caches) is not None:
        return await restore_copies(client, caches, canary, rules)
    # The whole target is fetched only here and on promotion: the cache knows a few of its fields.
    raw = await client.get(kind.resource, canary.namespace, canary.target_name)
    target = kind.decode(raw)
    selector = selector_of(canary, target, rules)
    sources = await _sources(client, caches, canary, target)
    copied = await reconcile_copies(client, canary, sources, rules)
    body = primary_workload(
        canary,
        _whole(raw, kind),
        selector,
        rules,
        origin_of(target.revision, checksums(sources)),
        names(sources),
        kind.resource,
    )
    made = written(kind.resource, await client.create(kind.resource, canary.namespace, body))
    return [*copied, made]


async def _sources(
    client: Client, caches: WorkloadCaches, canary: Canary, target: PodsView
) -> tuple[Source, ...]:
    """What of the target's ConfigMaps and Secrets the primary gets copies of."""
    if caches.configs is None:
        return ()
    return await fetch_sources(client, canary, target.template())


async def promote(
    client: Client,
    caches: WorkloadCaches,
    canary: Canary,
    revision: str,
    configs: Mapping[str, str] | None,
    rules: LabelRules = DEFAULT_RULES,
) -> list[Written]:
    """Bring the primary to the target, if the target still holds ``revision`` and uses
    ConfigMaps and Secrets with the checksums ``configs`` (None: whichever they are).

    All are read from the server, not from the caches: what passed the analysis is copied, or
    nothing. Copies that the primary has done without since its last promotion go; those that it
    used until now stay, because pods that are about to end still need them.
    """
    if is_service(canary):
        return await promote_service(client, caches, canary, revision)
    kind = pod_kind(canary)
    raw = await client.get(kind.resource, canary.namespace, canary.target_name)
    target = kind.decode(raw)
    if target.revision != revision:
        raise WorkloadError(
            f"{_target_name(canary)} has changed since its analysis: "
            f"it is at {target.revision}, and {revision} was to be promoted"
        )
    sources = await _sources(client, caches, canary, target)
    checked = checksums(sources)
    if configs is not None and checked != configs:
        changed = sorted(
            key for key in {*checked, *configs} if checked.get(key) != configs.get(key)
        )
        raise WorkloadError(
            f"{_target_name(canary)} has changed since its analysis: "
            f"what it uses of {', '.join(changed)} is not what was to be promoted"
        )
    primary = _whole(await client.get(kind.resource, canary.namespace, canary.primary_name), kind)
    patch = promotion(
        _whole(raw, kind),
        primary,
        selector_of(canary, target, rules),
        origin_of(revision, configs),
        names(sources),
        autoscaled=autoscaled(canary, caches),
        rules=rules,
    )
    done = await reconcile_copies(client, canary, sources, rules)
    if not patch:
        return done
    answer = await client.patch(
        kind.resource, canary.namespace, canary.primary_name, patch, PatchKind.JSON
    )
    done.append(written(kind.resource, answer))
    if caches.configs is not None:
        before = kind.decode(msgspec.json.encode(primary)).config_names
        kept = {*before, *kind.decode(answer).config_names}
        done += await release_copies(client, caches.configs, canary, kept)
    return done


async def reconcile_autoscaler(
    client: Client, caches: WorkloadCaches, canary: Canary, follow: bool
) -> list[Written]:
    """Have the primary's autoscaler where the target has one; ``follow`` also brings its spec
    to the target's.

    Between rollouts it follows too, so that an edit of the target's autoscaler does not have to
    wait for a revision of its target; not while a revision waits or has failed, whose autoscaler
    may suit that revision alone.
    """
    if is_service(canary):
        return []
    follow = follow or _settled(canary, caches)
    scaled_object = target_scaled_object(canary, caches)
    if scaled_object is not None:
        return await _reconcile_scaled_object(client, caches, canary, scaled_object, follow)
    hpa = target_hpa(canary, caches)
    if hpa is None:
        return []
    name = hpa.metadata.name + PRIMARY_SUFFIX
    live = caches.hpas.get(canary.namespace, name)
    if live is None:
        answer = await client.create(HPAS, canary.namespace, primary_hpa(canary, hpa))
    else:
        spec = primary_hpa_spec(canary, hpa)
        if not follow or msgspec.json.decode(live.spec) == spec:
            return []
        patch = [{"op": "replace", "path": "/spec", "value": spec}]
        answer = await client.patch(HPAS, canary.namespace, name, patch, PatchKind.JSON)
    return [written(HPAS, answer)]


def _settled(canary: Canary, caches: WorkloadCaches) -> bool:
    """Whether the primary is at rest with what the target holds."""
    target = find_target(canary, caches)
    return (
        target is not None
        and canary.status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED)
        and target.revision == canary.status.last_applied_spec
    )


def _parked(canary: Canary, caches: WorkloadCaches) -> bool:
    """Whether the target has no part in anything, so that its autoscaler has to stay paused."""
    target = find_target(canary, caches)
    return (
        target is not None
        and canary.status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)
        and target.revision == canary.status.last_applied_spec
    )


async def _reconcile_scaled_object(
    client: Client,
    caches: WorkloadCaches,
    canary: Canary,
    target: ScaledObjectView,
    follow: bool,
) -> list[Written]:
    """As `reconcile_autoscaler`; and pause the target's again, where a tool that applies
    manifests has taken the pause away from a parked target."""
    done: list[Written] = []
    name = target.metadata.name + PRIMARY_SUFFIX
    live = (
        None if caches.scaled_objects is None else caches.scaled_objects.get(canary.namespace, name)
    )
    if live is None:
        body = primary_scaled_object(canary, target)
        answer = await client.create(SCALEDOBJECTS, canary.namespace, body)
        done.append(written(SCALEDOBJECTS, answer))
    elif follow:
        spec = primary_scaled_object_spec(canary, target)
        if msgspec.json.decode(live.spec) != spec:
            patch = [{"op": "replace", "path": "/spec", "value": spec}]
            answer = await client.patch(
                SCALEDOBJECTS, canary.namespace, name, patch, PatchKind.JSON
            )
            done.append(written(SCALEDOBJECTS, answer))
    if _parked(canary, caches):
        done += await _pause(client, caches, canary, paused=True)
    return done


async def _pause(
    client: Client, caches: WorkloadCaches, canary: Canary, *, paused: bool
) -> list[Written]:
    scaled_object = target_scaled_object(canary, caches)
    patch = None if scaled_object is None else pause_patch(scaled_object, paused=paused)
    if scaled_object is None or patch is None:
        return []
    name = scaled_object.metadata.name
    answer = await client.patch(SCALEDOBJECTS, canary.namespace, name, patch)
    return [written(SCALEDOBJECTS, answer)]


async def scale_target_up(client: Client, caches: WorkloadCaches, canary: Canary) -> list[Written]:
    """Give the target its pods; one that has some keeps them, and one that is just losing its pods
    gets others when they are gone."""
    if is_service(canary):
        return []
    target_of(canary, caches)
    kind = pod_kind(canary)
    if kind.emptying(canary, caches):
        return []
    # An autoscaler that is still paused would take the pods away again.
    done = await _pause(client, caches, canary, paused=False)
    return [*done, *await _patch_target(client, canary, kind.waking(canary, caches))]


async def scale_target_to_zero(
    client: Client, caches: WorkloadCaches, canary: Canary
) -> list[Written]:
    """Take the target's pods away; those of a target that is gone have gone with it."""
    if is_service(canary):
        return []
    done = await _pause(client, caches, canary, paused=True)
    return [*done, *await _patch_target(client, canary, pod_kind(canary).parking(canary, caches))]


async def _patch_target(client: Client, canary: Canary, patch: Json | None) -> list[Written]:
    if patch is None:
        return []
    resource = pod_kind(canary).resource
    return [
        written(resource, await client.patch(resource, canary.namespace, canary.target_name, patch))
    ]


def _whole(raw: bytes, kind: PodKind) -> Json:
    """A whole object, with its pod template as its owner means it."""
    whole: Json = msgspec.json.decode(raw)
    spec = whole.get("spec") or {}
    if "template" in spec:
        whole["spec"] = {**spec, "template": kind.own_template(spec["template"])}
    return whole


async def give_back(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the apex lead where it would without the Canary, and outlive it.

    An apex that was there before the Canary gets the selector back that kubectl last applied, as
    far as that is known; any other selects the target's pods. A target of kind Service is its own
    apex, which nobody has changed.

    An apex that the Canary made is given to nobody: else it would go with the Canary, and with it
    the way to the target.
    """
    apex = caches.services.get(canary.namespace, canary.apex_name)
    if apex is None or is_service(canary):
        return []
    selector = None
    if not apex.metadata.owned_by(canary.metadata.uid):
        whole = await client.get(SERVICES, canary.namespace, canary.apex_name)
        selector = applied_selector(msgspec.json.decode(whole))
    if selector is None:
        selector = selector_of(canary, target_of(canary, caches), rules).target
    patch = apex_return(canary, apex, selector)
    if patch is None:
        return []
    answer = await client.patch(SERVICES, canary.namespace, canary.apex_name, patch)
    return [written(SERVICES, answer)]
