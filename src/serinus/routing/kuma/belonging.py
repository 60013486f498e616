"""Whose an object of Kuma's is, where objects may be owned by a canary.

Kuma makes the Mesh an owner of them beside the canary. So the garbage collector leaves them there
for as long as the Mesh exists, and Serinus has to take them away.
"""

from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.cluster.kinds import CANARIES
from serinus.cluster.ownership import owner_reference

Json = dict[str, Any]

CANARY = "flagger.app/canary"
"""Annotation: ``namespace/name`` of the canary that the object is made for."""

MESH_LABEL = "kuma.io/mesh"


def mark(canary: Canary) -> dict[str, str]:
    """The annotation that says which canary an object is made for."""
    return {CANARY: f"{canary.namespace}/{canary.name}"}


def belongs(canary: Canary, meta: ObjectMeta) -> bool:
    """Whether an object is this canary's: owned by it, or marked for one of its name (as after a
    restore from a backup, where the canary has a new uid)."""
    return any(owner.uid == canary.metadata.uid for owner in meta.owner_references) or (
        meta.annotations.items() >= mark(canary).items()
    )


def owners_with(canary: Canary, meta: ObjectMeta) -> list[Json] | None:
    """The ownerReferences with ours beside those of others, or None when ours is there."""
    if any(owner.uid == canary.metadata.uid for owner in meta.owner_references):
        return None
    others = [
        msgspec.to_builtins(owner)
        for owner in meta.owner_references
        if (owner.kind, owner.name) != (CANARIES.kind, canary.name)
    ]
    ours = owner_reference(canary)
    if any(owner.get("controller") for owner in others):
        # An object may have one controller only.
        ours["controller"] = False
    return [*others, ours]
