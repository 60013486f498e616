"""Who hands out the cookies of session affinity: MeshProxyPatches in the canary's namespace.

A route of Kuma cannot mark the answers of one backend only. But each side's own sidecars can: they
add the side's cookie to all that leaves their pods, whatever the weights are. In the namespace of
an application such a patch is the workload owner's: it reaches the pods of that namespace alone.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import yaml

from serinus.api.analysis import SessionAffinity
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import MESHPROXYPATCHES
from serinus.cluster.ownership import UNMANAGED_BY_FLUX, owner_reference
from serinus.cluster.written import Written
from serinus.routing.kuma.belonging import MESH_LABEL, belongs, mark, owners_with
from serinus.routing.kuma.cookies import set_cookie
from serinus.routing.kuma.rules import NARROWING
from serinus.routing.kuma.views import MeshProxyPatchView, decode_mesh_proxy_patch
from serinus.routing.kuma.writing import Json, bring_about, collect, metadata_change, paths

Wanted = Mapping[str, Json]
"""The specs of the patches to have, by name."""


def names(canary: Canary) -> tuple[str, str]:
    """The patches of the canary's pods and of the primary's."""
    return f"{canary.canary_service}-affinity", f"{canary.primary_service}-affinity"


def desired_patch(canary: Canary, name: str, spec: Json) -> Json:
    """The MeshProxyPatch to create."""
    labels, annotations = _metadata(canary)
    return {
        "apiVersion": MESHPROXYPATCHES.api_version,
        "kind": MESHPROXYPATCHES.kind,
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": spec,
    }


def patch_spec(pods: Mapping[str, str], cookie: str, attributes: SessionAffinity) -> Json:
    """Hand ``cookie`` out with every answer of these pods."""
    # Envoy reads a percent sign as the start of a variable, and two as one.
    header = set_cookie(cookie, attributes).replace("%", "%%")
    value = {
        "responseHeadersToAdd": [
            {
                "header": {"key": "set-cookie", "value": header},
                "appendAction": "APPEND_IF_EXISTS_OR_ADD",
            }
        ]
    }
    virtual_host = {
        "operation": "Patch",
        "match": {"origin": "inbound"},
        "value": yaml.safe_dump(value, sort_keys=False, width=2**16),
    }
    return {
        "targetRef": {"kind": "Dataplane", "labels": dict(pods)},
        "default": {"appendModifications": [{"virtualHost": virtual_host}]},
    }


def patch_change(canary: Canary, live: MeshProxyPatchView, spec: Json) -> Json:
    """The merge patch that makes ``live`` say what ``spec`` does; empty when it does."""
    found = msgspec.json.decode(live.spec)
    change: Json = {}
    ref, wanted = found.get("targetRef") or {}, spec["targetRef"]
    labels = ref.get("labels") or {}
    narrowed = {key: None for key in NARROWING if key in ref and key not in wanted}
    if narrowed or labels != wanted["labels"] or ref.get("kind") != wanted["kind"]:
        stray = {key: None for key in labels if key not in wanted["labels"]}
        change["targetRef"] = {**wanted, **narrowed, "labels": {**wanted["labels"], **stray}}
    if not covers(found.get("default"), spec["default"]):
        change["default"] = spec["default"]
    metadata = metadata_change(live.metadata, *_metadata(canary))
    owners = owners_with(canary, live.metadata)
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {key: value for key, value in (("metadata", metadata), ("spec", change)) if value}


class CookiePatches:
    """The patches of each canary's two sides."""

    def __init__(self, client: Client, patches: Cache[MeshProxyPatchView]) -> None:
        self._client = client
        self._patches = patches

    def problems(self, canary: Canary) -> Iterator[Problem]:
        """Patches of our names that are somebody else's."""
        for name in names(canary):
            live = self._live(canary, name)
            if live is not None and not belongs(canary, live.metadata):
                yield Problem(
                    "spec.analysis.sessionAffinity",
                    f"MeshProxyPatch {name}.{canary.namespace} belongs to somebody else; delete "
                    "or rename it",
                )

    def drift(self, canary: Canary, wanted: Wanted) -> Iterator[str]:
        """Fields of the patches that are there and are not as wanted."""
        for name, spec in wanted.items():
            live = self._live(canary, name)
            if live is not None:
                for path in paths(patch_change(canary, live, spec)):
                    yield f"{path} of MeshProxyPatch {name}"

    async def reconcile(self, canary: Canary, wanted: Wanted) -> list[Written]:
        """Have the wanted patches."""
        wrote: list[Written] = []
        for name, spec in wanted.items():
            wrote += await bring_about(
                self._client,
                MESHPROXYPATCHES,
                canary.namespace,
                name,
                self._live(canary, name),
                decode=decode_mesh_proxy_patch,
                body=partial(desired_patch, canary, name, spec),
                change=partial(patch_change, canary, spec=spec),
            )
        return wrote

    async def remove(self, canary: Canary, kept: Wanted) -> None:
        """Delete the canary's patches but for the ``kept``."""
        for name in names(canary):
            live = self._live(canary, name)
            if name in kept or live is None or not belongs(canary, live.metadata):
                continue
            with contextlib.suppress(NotFound):
                await self._client.delete(
                    MESHPROXYPATCHES, canary.namespace, name, uid=live.metadata.uid or None
                )

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Delete those of canaries that do not exist."""
        await collect(self._client, MESHPROXYPATCHES, self._patches.values(), exists)

    def _live(self, canary: Canary, name: str) -> MeshProxyPatchView | None:
        return self._patches.get(canary.namespace, name)


def _metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    return {MESH_LABEL: canary.mesh}, {**UNMANAGED_BY_FLUX, **mark(canary)}


def covers(found: Any, wanted: Any) -> bool:
    """Whether ``found`` says all that ``wanted`` does; a newer Kuma's defaults may say more."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(covers, found, wanted))
        )
    return bool(found == wanted)
