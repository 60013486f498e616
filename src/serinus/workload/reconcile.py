"""Make the workload's objects what the rollout wants: each function one effect.

Each reads the caches, does nothing at all when they agree with it already, and else makes one
narrow write per object that differs. What was written is returned, so that the caller can wait
until the caches show it. `ApiError` and `Unreachable` pass through; `WorkloadError` says what is
missing.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.kinds import DEPLOYMENTS, HPAS, SERVICES
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
from serinus.workload.labels import DEFAULT_RULES, PRIMARY_SUFFIX, LabelRules, PodSelector
from serinus.workload.primary import primary_deployment, promotion
from serinus.workload.scaling import awake_replicas
from serinus.workload.services import Role, apex_return, desired_service, service_patch
from serinus.workload.views import DeploymentView, decode_deployment


def target_of(canary: Canary, caches: WorkloadCaches) -> DeploymentView:
    """The target, which has to exist."""
    target = caches.deployments.get(canary.namespace, canary.target_name)
    if target is None:
        raise WorkloadError(f"deployment {canary.target_name}.{canary.namespace} does not exist")
    return target


def selector_of(canary: Canary, target: DeploymentView, rules: LabelRules) -> PodSelector:
    """The label by which the target's pods are told from the primary's."""
    return rules.selector(
        f"{canary.target_name}.{canary.namespace}", target.spec.selector.match_labels
    )


async def reconcile_services(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the ``-primary`` and ``-canary`` Services."""
    return [
        *await _reconcile_service(client, caches, canary, Role.PRIMARY, rules),
        *await _reconcile_service(client, caches, canary, Role.CANARY, rules),
    ]


async def reconcile_apex(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the apex Service, selecting the primary's pods.

    When to do so is the rollout's business: before the primary is ready, an apex that was there
    already has to go on leading to the target.
    """
    return await _reconcile_service(client, caches, canary, Role.APEX, rules)


async def _reconcile_service(
    client: Client, caches: WorkloadCaches, canary: Canary, role: Role, rules: LabelRules
) -> list[Written]:
    target = caches.deployments.get(canary.namespace, canary.target_name)
    if target is None:
        # A rollback must not wait for a target that is gone; its Services stay as they are.
        return []
    desired = desired_service(canary, role, target, selector_of(canary, target, rules))
    name = role.service_name(canary)
    live = caches.services.get(canary.namespace, name)
    if live is None:
        answer = await client.create(SERVICES, canary.namespace, desired)
    else:
        patch = service_patch(canary, live, desired)
        if patch is None:
            return []
        answer = await client.patch(SERVICES, canary.namespace, name, patch)
    return [written(SERVICES, answer)]


async def reconcile_primary(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the primary; one that exists is left as it is until the next promotion, but for
    copies of ConfigMaps and Secrets that it has lost."""
    if caches.deployments.get(canary.namespace, canary.primary_name) is not None:
        return await restore_copies(client, caches, canary, rules)
    # The whole target is fetched only here and on promotion: the cache knows a few of its fields.
    raw = await client.get(DEPLOYMENTS, canary.namespace, canary.target_name)
    target = decode_deployment(raw)
    selector = selector_of(canary, target, rules)
    sources = await _sources(client, caches, canary, target)
    copied = await reconcile_copies(client, canary, sources, rules)
    body = primary_deployment(
        canary,
        _whole(raw),
        selector,
        rules,
        origin_of(target.revision, checksums(sources)),
        names(sources),
    )
    made = written(DEPLOYMENTS, await client.create(DEPLOYMENTS, canary.namespace, body))
    return [*copied, made]


async def _sources(
    client: Client, caches: WorkloadCaches, canary: Canary, target: DeploymentView
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
    raw = await client.get(DEPLOYMENTS, canary.namespace, canary.target_name)
    target = decode_deployment(raw)
    if target.revision != revision:
        raise WorkloadError(
            f"deployment {canary.target_name}.{canary.namespace} has changed since its analysis: "
            f"it is at {target.revision}, and {revision} was to be promoted"
        )
    sources = await _sources(client, caches, canary, target)
    checked = checksums(sources)
    if configs is not None and checked != configs:
        changed = sorted(
            key for key in {*checked, *configs} if checked.get(key) != configs.get(key)
        )
        raise WorkloadError(
            f"deployment {canary.target_name}.{canary.namespace} has changed since its analysis: "
            f"what it uses of {', '.join(changed)} is not what was to be promoted"
        )
    primary = _whole(await client.get(DEPLOYMENTS, canary.namespace, canary.primary_name))
    patch = promotion(
        _whole(raw),
        primary,
        selector_of(canary, target, rules),
        origin_of(revision, configs),
        names(sources),
        autoscaled=autoscaled(canary, caches),
    )
    done = await reconcile_copies(client, canary, sources, rules)
    if not patch:
        return done
    answer = await client.patch(
        DEPLOYMENTS, canary.namespace, canary.primary_name, patch, PatchKind.JSON
    )
    done.append(written(DEPLOYMENTS, answer))
    if caches.configs is not None:
        before = decode_deployment(msgspec.json.encode(primary)).config_names
        kept = {*before, *decode_deployment(answer).config_names}
        done += await release_copies(client, caches.configs, canary, kept)
    return done


async def reconcile_autoscaler(
    client: Client, caches: WorkloadCaches, canary: Canary, follow: bool
) -> list[Written]:
    """Have the primary's autoscaler where the target has one; ``follow`` also brings its spec
    to the target's."""
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


async def scale_target_up(client: Client, caches: WorkloadCaches, canary: Canary) -> list[Written]:
    """Give the target its pods; one that has some keeps them."""
    target = target_of(canary, caches)
    replicas = awake_replicas(
        target,
        caches.deployments.get(canary.namespace, canary.primary_name),
        target_hpa(canary, caches),
        autoscaled=autoscaled(canary, caches),
    )
    return await _scale_target(client, canary, target, replicas)


async def scale_target_to_zero(
    client: Client, caches: WorkloadCaches, canary: Canary
) -> list[Written]:
    """Take the target's pods away; those of a target that is gone have gone with it."""
    target = caches.deployments.get(canary.namespace, canary.target_name)
    return [] if target is None else await _scale_target(client, canary, target, 0)


async def _scale_target(
    client: Client, canary: Canary, target: DeploymentView, replicas: int
) -> list[Written]:
    if target.spec.replicas == replicas:
        return []
    answer = await client.patch(
        DEPLOYMENTS, canary.namespace, canary.target_name, {"spec": {"replicas": replicas}}
    )
    return [written(DEPLOYMENTS, answer)]


def _whole(raw: bytes) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.json.decode(raw)
    return whole


async def give_back(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules = DEFAULT_RULES
) -> list[Written]:
    """Have the apex select the target's pods, and outlive the Canary.

    An apex that the Canary made is given to nobody: else it would go with the Canary, and with it
    the way to the target.
    """
    apex = caches.services.get(canary.namespace, canary.apex_name)
    if apex is None:
        return []
    target = target_of(canary, caches)
    patch = apex_return(canary, apex, selector_of(canary, target, rules))
    if patch is None:
        return []
    answer = await client.patch(SERVICES, canary.namespace, canary.apex_name, patch)
    return [written(SERVICES, answer)]
