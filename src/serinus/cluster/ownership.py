"""How an object that Serinus makes says whose it is."""

from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.kinds import CANARIES

UNMANAGED_BY_FLUX = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""Annotations that keep Flux from undoing what a rollout does to an object."""


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
