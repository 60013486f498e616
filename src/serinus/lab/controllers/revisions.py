"""A Deployment's history: which ReplicaSet is which revision, and the annotations that say so.

``kubectl rollout history`` and ``undo`` read nothing else.
"""

import hashlib
from typing import Any

import msgspec

from serinus.lab.controllers.view import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_NOT_INHERITED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
}
# Kubernetes' alphabet for generated names: no vowels and no 0 1 3, so that no word comes out.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object, collisions: int = 0) -> str:
    """Ten characters that stand for a pod template; ``collisions`` makes others of the same."""
    digest = hashlib.sha256(msgspec.json.encode([template, collisions], order="deterministic"))
    number = int.from_bytes(digest.digest()[:8], "big")
    characters = []
    for _ in range(10):
        number, position = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[position])
    return "".join(characters)


def without_hash(template: Object) -> Object:
    """A ReplicaSet's template as the Deployment has it."""
    metadata = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (metadata.pop("labels", None) or {}).items() if k != HASH_LABEL}
    metadata = {key: value for key, value in metadata.items() if value}
    return {**template, "metadata": {**metadata, "labels": labels}}


def with_label(template: Object, label: str, value: str) -> Object:
    """The template with one more label on its pods."""
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), label: value}
    return {**template, "metadata": {**metadata, "labels": labels}}


def of_template(deployment: Object, replicasets: list[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's current template; the oldest, should there be two."""
    template = without_hash(deployment["spec"]["template"])
    return next(
        (rs for rs in replicasets if without_hash(rs["spec"]["template"]) == template), None
    )


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision(obj: Object) -> int:
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def replica_annotations(replicas: int, most: int) -> dict[str, str]:
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(most)}


def inherited(deployment: Object) -> dict[str, str]:
    """The Deployment's annotations that its newest ReplicaSet carries (such as change-cause)."""
    return {k: v for k, v in annotations_of(deployment).items() if k not in _NOT_INHERITED}


def new_annotations(deployment: Object, new: Object | None, old: list[Object]) -> dict[str, Any]:
    """The annotations that the new ReplicaSet should carry.

    It becomes the highest revision; a revision that it was before goes to its history.
    """
    annotations = {**(annotations_of(new) if new else {}), **inherited(deployment)}
    highest = max(map(revision, old), default=0) + 1
    current = revision(new) if new else 0
    if current < highest:
        if current:
            history = annotations.get(REVISION_HISTORY)
            annotations[REVISION_HISTORY] = f"{history},{current}" if history else str(current)
        annotations[REVISION] = str(highest)
    return annotations
