"""The reference by which an object belongs to its Canary, and is collected with it."""

from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.kinds import CANARIES


def owner_reference(canary: Canary) -> dict[str, Any]:
    """The ownerReference to a canary, as its controller."""
    return {
        "apiVersion": CANARIES.api_version,
        "kind": CANARIES.kind,
        "name": canary.name,
        "uid": canary.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
