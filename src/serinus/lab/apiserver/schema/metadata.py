"""What holds for the metadata of every object."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema import names
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.registry import Kind

ANNOTATIONS_LIMIT: Final = 256 * 1024
"""Bytes of all annotations of an object together."""

_NAME_CHECKS: Final[Mapping[tuple[str, str], names.Check]] = {
    ("", "Namespace"): names.dns_label,
    ("", "Service"): names.dns_label,
    **{
        ("rbac.authorization.k8s.io", kind): names.path_segment
        for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    },
}


def check_metadata(
    kind: Kind, metadata: Any, old: Mapping[str, Any] | None
) -> Iterator[FieldError]:
    """``old`` is the metadata that the object has now, for an update."""
    if not isinstance(metadata, dict):
        yield error.required("metadata")
        return
    yield from _check_name(kind, metadata)
    namespace = metadata.get("namespace")
    if kind.namespaced:
        if not namespace:
            yield error.required("metadata.namespace")
        else:
            for message in names.dns_label(str(namespace)):
                yield error.invalid("metadata.namespace", namespace, message)
    elif namespace:
        yield error.forbidden("metadata.namespace", "not allowed on this type")
    yield from check_labels(metadata.get("labels"), "metadata.labels")
    yield from _check_annotations(metadata.get("annotations"))
    yield from _check_owners(metadata.get("ownerReferences") or ())
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        for message in _check_finalizer(kind, str(finalizer)):
            yield error.invalid(f"metadata.finalizers[{index}]", finalizer, message)
    if old is not None:
        yield from _check_update(metadata, old)


def _check_name(kind: Kind, metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    check = _NAME_CHECKS.get((kind.group, kind.kind), names.dns_subdomain)
    prefix = metadata.get("generateName")
    if prefix:
        # The server puts characters behind it, so a dash or dot at its end is well.
        for message in check(str(prefix).rstrip("-.") or "x"):
            yield error.invalid("metadata.generateName", prefix, message)
    name = metadata.get("name")
    if not name:
        # A review is asked and answered, never stored: it needs no name.
        if "get" in kind.verbs and not prefix:
            yield error.required("metadata.name", "name or generateName is required")
        return
    for message in check(str(name)):
        yield error.invalid("metadata.name", name, message)


def check_labels(labels: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(labels, dict):
        return
    for key, value in labels.items():
        for message in names.qualified_name(key):
            yield error.invalid(path, key, message)
        if isinstance(value, str):
            for message in names.label_value(value):
                yield error.invalid(path, value, message)


def _check_annotations(annotations: Any) -> Iterator[FieldError]:
    if not isinstance(annotations, dict):
        return
    size = 0
    for key, value in annotations.items():
        for message in names.qualified_name(key.lower()):
            yield error.invalid("metadata.annotations", key, message)
        size += len(key.encode()) + len(str(value).encode())
    if size > ANNOTATIONS_LIMIT:
        yield error.too_long("metadata.annotations", ANNOTATIONS_LIMIT)


def _check_owners(owners: Any) -> Iterator[FieldError]:
    controller = None
    for owner in owners:
        if not isinstance(owner, dict):
            continue
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                what = "version " if field == "apiVersion" else ""
                path = f"metadata.ownerReferences.{field}"
                yield error.invalid(path, owner.get(field, ""), f"{what}must not be empty")
        if owner.get("controller"):
            if controller is not None:
                yield error.invalid(
                    "metadata.ownerReferences",
                    owners,
                    "Only one reference can have Controller set to true. Found "
                    f'"true" in references for {controller} and {_named(owner)}',
                )
            controller = _named(owner)


def _named(owner: Mapping[str, Any]) -> str:
    return f"{owner.get('kind')}/{owner.get('name')}"


_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def _check_finalizer(kind: Kind, finalizer: str) -> Iterator[str]:
    yield from names.qualified_name(finalizer)
    if kind.is_custom or kind.group == "apiextensions.k8s.io":
        return
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        yield "name is neither a standard finalizer name nor is it fully qualified"


def _check_update(metadata: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[FieldError]:
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        if metadata.get(field) and old.get(field) and metadata[field] != old[field]:
            yield error.immutable(f"metadata.{field}", metadata[field])
    if old.get("deletionTimestamp"):
        added = [
            finalizer
            for finalizer in metadata.get("finalizers") or ()
            if finalizer not in (old.get("finalizers") or ())
        ]
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            yield error.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )
