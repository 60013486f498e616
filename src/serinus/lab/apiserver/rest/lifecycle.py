"""What the server itself writes into metadata, from creation to removal."""

import copy
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.schema.registry import Kind

_RANDOM: Final = "bcdfghjklmnpqrstvwxz2456789"
_PREFIX_LIMIT: Final = 58

_GENERATION_GROUPS = frozenset(
    {
        "apps",
        "batch",
        "networking.k8s.io",
        "policy",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
    }
)
_CORE_GENERATION = frozenset({"pods", "replicationcontrollers"})

CRD_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
"""It keeps a CustomResourceDefinition until the last object of its kind is gone."""


def now() -> str:
    """The time as Kubernetes writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_suffix() -> str:
    return "".join(secrets.choice(_RANDOM) for _ in range(5))


def generated_name(prefix: str) -> str:
    return prefix[:_PREFIX_LIMIT] + random_suffix()


def has_generation(kind: Kind) -> bool:
    if kind.is_custom or kind.group in _GENERATION_GROUPS:
        return True
    return kind.group == "" and kind.plural in _CORE_GENERATION


def born(kind: Kind, obj: Obj) -> None:
    """Metadata of a new object; what the client wrote there is replaced."""
    metadata = obj["metadata"]
    for name in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(name, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if has_generation(kind):
        metadata["generation"] = 1


_SYSTEM_OWNED = (
    *("uid", "creationTimestamp", "generation", "selfLink", "generateName"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"),
)


def keep_system_fields(live: Obj, new: Obj) -> None:
    """Metadata that no client may change is as it was; the namespace and name are the path's."""
    metadata = new["metadata"]
    for name in _SYSTEM_OWNED:
        if name in live["metadata"]:
            metadata[name] = live["metadata"][name]
        else:
            metadata.pop(name, None)


def _desired(kind: Kind, obj: Obj) -> dict[str, Any]:
    ignored = {"apiVersion", "kind", "metadata"}
    if not kind.is_custom or "status" in kind.subresources:
        ignored.add("status")
    return {name: value for name, value in obj.items() if name not in ignored}


def bump_generation(kind: Kind, live: Obj, new: Obj) -> None:
    """One more when what is desired has changed; for writes of the object itself."""
    if not has_generation(kind):
        return
    changed = _desired(kind, live) != _desired(kind, new)
    if (kind.group, kind.plural) == ("apps", "deployments"):
        # Alone among all kinds: its controller copies its annotations.
        old = live["metadata"].get("annotations")
        changed = changed or old != new["metadata"].get("annotations")
    if changed:
        new["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1


def without_times(obj: Obj) -> Obj:
    """``obj`` without what differs between two equal writes: when they happened."""
    fields = obj["metadata"].get("managedFields")
    if not fields:
        return obj
    metadata = dict(obj["metadata"])
    metadata["managedFields"] = [
        {name: value for name, value in field.items() if name != "time"} for field in fields
    ]
    return obj | {"metadata": metadata}


def mark_deleted(obj: Obj, grace: int) -> None:
    """The deletion's time is when the grace period ends."""
    metadata = obj["metadata"]
    end = datetime.now(UTC).timestamp() + grace
    metadata["deletionTimestamp"] = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if obj.get("kind") != "Namespace":
        metadata["deletionGracePeriodSeconds"] = grace
    if "generation" in metadata:
        metadata["generation"] += 1


def is_gone(kind: Kind, obj: Obj) -> bool:
    """Whether nothing holds an object that is being deleted any more."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind.group == "" and kind.plural == "namespaces":
        return not (obj.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def duplicate(obj: Obj) -> Obj:
    return copy.deepcopy(obj)
