"""The primary's copies of the ConfigMaps and Secrets that its target uses.

A copy belongs to every canary whose primary uses it, and is collected with the last of them. It
changes only when one of them is promoted. Data is fetched here and nowhere else, and never kept.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from serinus.api.canary import Canary, Phase
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CANARIES, CONFIGMAPS, SECRETS
from serinus.cluster.ownership import owner_reference
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written, written
from serinus.workload.caches import ConfigCaches, WorkloadCaches
from serinus.workload.config_view import decode_configmap, decode_secret
from serinus.workload.configs import ConfigName, config_key, uses
from serinus.workload.errors import WorkloadError
from serinus.workload.kinds import find_primary, find_target
from serinus.workload.labels import PRIMARY_SUFFIX, LabelRules
from serinus.workload.tracking import missing, tracked

Json = dict[str, Any]

CONTENT = ("data", "binaryData")
_RESOURCES: Mapping[str, Resource] = {CONFIGMAPS.kind: CONFIGMAPS, SECRETS.kind: SECRETS}
_VOUCHED = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED})
_CANARY_GROUP = CANARIES.api_version.split("/", maxsplit=1)[0] + "/"


@dataclass(frozen=True, slots=True)
class Source:
    """A tracked ConfigMap or Secret of a target, whole, as the server had it a moment ago."""

    kind: str
    name: str
    checksum: str
    whole: Json


def names(sources: Iterable[Source]) -> frozenset[ConfigName]:
    """Kinds and names: what is renamed in a primary."""
    return frozenset((source.kind, source.name) for source in sources)


def checksums(sources: Iterable[Source]) -> dict[str, str]:
    """What `serinus.workload.tracking.tracked` says of the same content."""
    return {config_key(source.kind, source.name): source.checksum for source in sources}


async def fetch_sources(client: Client, canary: Canary, template: Json) -> tuple[Source, ...]:
    """What of the template's ConfigMaps and Secrets is tracked; `WorkloadError` where one that
    its pods cannot start without is missing."""
    found = []
    for use in uses(template):
        try:
            raw = await client.get(_RESOURCES[use.kind], canary.namespace, use.name)
        except NotFound as error:
            if use.optional:
                continue
            raise WorkloadError(missing(canary, use.kind, use.name, use.path)) from error
        view = decode_configmap(raw) if use.kind == CONFIGMAPS.kind else decode_secret(raw)
        if view.tracked:
            found.append(Source(use.kind, use.name, view.checksum, msgspec.json.decode(raw)))
    return tuple(found)


async def reconcile_copies(
    client: Client, canary: Canary, sources: Iterable[Source], rules: LabelRules
) -> list[Written]:
    """Have a copy of each, with its content, owned by this canary among others."""
    changed = [await _reconcile_copy(client, canary, source, rules) for source in sources]
    return [change for change in changed if change is not None]


async def restore_copies(
    client: Client, caches: WorkloadCaches, canary: Canary, rules: LabelRules
) -> list[Written]:
    """Make those copies again that somebody deleted, else no new pod of the primary could start.

    Only where the status vouches for what was in them: at rest, with nothing refused.
    """
    target, primary = find_target(canary, caches), find_primary(canary, caches)
    known = canary.status.tracked_configs or {}
    if canary.status.phase not in _VOUCHED or target is None or primary is None:
        return []
    now = tracked(canary, target, caches)
    lost = {
        config_key(kind, name)
        for kind, name in target.config_names
        if (kind, name + PRIMARY_SUFFIX) in primary.config_names
        and caches.configs is not None
        and caches.configs.kind(kind).get(canary.namespace, name + PRIMARY_SUFFIX) is None
    }
    lost = {key for key in lost if key in known and known[key] == now.get(key)}
    if not lost:
        return []
    sources = await fetch_sources(client, canary, target.template())
    trusted = [
        source
        for source in sources
        if (key := config_key(source.kind, source.name)) in lost and source.checksum == known[key]
    ]
    return await reconcile_copies(client, canary, trusted, rules)


async def _reconcile_copy(
    client: Client, canary: Canary, source: Source, rules: LabelRules
) -> Written | None:
    resource, name = _RESOURCES[source.kind], source.name + PRIMARY_SUFFIX
    wanted = copy_of(canary, source, rules)
    try:
        live: Json = msgspec.json.decode(await client.get(resource, canary.namespace, name))
    except NotFound:
        return written(resource, await client.create(resource, canary.namespace, wanted))
    owners = _owners(canary, live)
    if not any(_is_canary(owner) for owner in live["metadata"].get("ownerReferences") or ()):
        raise WorkloadError(
            f"{source.kind.lower()} {name}.{canary.namespace} belongs to no canary, and the "
            f"primary's copy of {source.name} has to have that name; rename one of the two, "
            f"or delete {name}"
        )
    if _is_fixed(live, wanted):
        # Whoever has mounted it keeps the old content, as with any change of an immutable one.
        wanted["metadata"]["ownerReferences"] = owners
        uid = live["metadata"]["uid"]
        await client.delete(resource, canary.namespace, name, uid=uid)
        return written(resource, await client.create(resource, canary.namespace, wanted))
    patch = _patch(live, wanted, owners)
    if not patch:
        return None
    patch.setdefault("metadata", {})["resourceVersion"] = live["metadata"]["resourceVersion"]
    return written(resource, await client.patch(resource, canary.namespace, name, patch))


def copy_of(canary: Canary, source: Source, rules: LabelRules) -> Json:
    """The copy to create for a canary's primary."""
    resource, whole = _RESOURCES[source.kind], source.whole
    made: Json = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": source.name + PRIMARY_SUFFIX,
            "namespace": canary.namespace,
            "labels": rules.copied(whole["metadata"].get("labels") or {}),
            "ownerReferences": [_shared(owner_reference(canary))],
        },
    }
    for field in (*CONTENT, "immutable", "type"):
        if whole.get(field):
            made[field] = whole[field]
    return made


def _is_fixed(live: Json, wanted: Json) -> bool:
    """Whether the difference is one that the server lets nobody write."""
    if live.get("type") != wanted.get("type"):
        return True
    fixed = (*CONTENT, "immutable") if live.get("immutable") else ()
    return any((live.get(field) or None) != wanted.get(field) for field in fixed)


def _patch(live: Json, wanted: Json, owners: list[Json]) -> Json:
    """The merge patch that makes the one the other; labels of others' stay."""
    patch: Json = {}
    for field in CONTENT:
        before, after = live.get(field) or {}, wanted.get(field) or {}
        if before != after:
            patch[field] = {**{key: None for key in before if key not in after}, **after}
    if wanted.get("immutable") and not live.get("immutable"):
        patch["immutable"] = True
    metadata: Json = {}
    before, after = live["metadata"].get("labels") or {}, wanted["metadata"]["labels"]
    labels = {key: value for key, value in after.items() if before.get(key) != value}
    if labels:
        metadata["labels"] = labels
    if owners != live["metadata"].get("ownerReferences"):
        metadata["ownerReferences"] = owners
    if metadata:
        patch["metadata"] = metadata
    return patch


def _owners(canary: Canary, live: Json) -> list[Json]:
    """The owners with this canary among them: several canaries can only own it as equals."""
    found = live["metadata"].get("ownerReferences") or []
    others = [owner for owner in found if owner.get("uid") != canary.metadata.uid]
    merged = [_shared(owner) if _is_canary(owner) else owner for owner in others]
    return [*merged, _shared(owner_reference(canary))]


def _shared(owner: Json) -> Json:
    return {**owner, "controller": False}


def _is_canary(owner: Json) -> bool:
    return owner.get("kind") == CANARIES.kind and str(owner.get("apiVersion", "")).startswith(
        _CANARY_GROUP
    )


async def release_copies(
    client: Client, caches: ConfigCaches, canary: Canary, kept: Collection[ConfigName]
) -> list[Written]:
    """Let go of this canary's copies, but for those whose names (the copies' own) are ``kept``:
    they are deleted, or left to the other canaries that own them."""
    done = []
    for resource in _RESOURCES.values():
        for view in caches.kind(resource.kind).values():
            meta = view.metadata
            if (
                meta.namespace != canary.namespace
                or not meta.name.endswith(PRIMARY_SUFFIX)
                or (resource.kind, meta.name) in kept
                or not meta.owned_by(canary.metadata.uid)
            ):
                continue
            others = [owner for owner in meta.owner_references if owner.uid != canary.metadata.uid]
            if others:
                metadata = {
                    "resourceVersion": meta.resource_version,
                    "ownerReferences": msgspec.to_builtins(others),
                }
                answer = await client.patch(
                    resource, canary.namespace, meta.name, {"metadata": metadata}
                )
                done.append(written(resource, answer))
            else:
                try:
                    await client.delete(resource, canary.namespace, meta.name, uid=meta.uid)
                except NotFound:
                    continue
    return done
