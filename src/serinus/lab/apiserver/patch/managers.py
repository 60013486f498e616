"""Who owns which fields: ``metadata.managedFields``, and its upkeep for plain writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serinus.lab.apiserver.patch.comparison import compare
from serinus.lab.apiserver.patch.fieldset import FieldSet, from_fields_v1, to_fields_v1
from serinus.lab.apiserver.schema.schema import Schema

APPLY = "Apply"
UPDATE = "Update"


@dataclass(frozen=True, slots=True)
class Manager:
    """An owner. ``api_version`` is empty for who applies: it is the same one in every version."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As conflicts name it."""
        words = [f'"{self.name}"']
        if self.subresource:
            words.append(f'with subresource "{self.subresource}"')
        if self.operation == UPDATE:
            words.append(f"using {self.api_version}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, and since when (RFC 3339; empty if that is not known)."""

    fields: FieldSet
    api_version: str
    time: str


Managers = dict[Manager, Owned]


def read_managers(obj: Mapping[str, Any] | None) -> Managers:
    """The managers that an object names. Raises ``PatchError`` if they cannot be read."""
    managers: Managers = {}
    for entry in ((obj or {}).get("metadata") or {}).get("managedFields") or ():
        if not entry:
            continue
        operation = entry.get("operation", UPDATE)
        api_version = entry.get("apiVersion", "")
        manager = Manager(
            entry.get("manager", ""),
            operation,
            "" if operation == APPLY else api_version,
            entry.get("subresource", ""),
        )
        fields = from_fields_v1(entry.get("fieldsV1") or {})
        managers[manager] = Owned(fields, api_version, entry.get("time", ""))
    return managers


def write_managers(managers: Managers) -> list[dict[str, Any]]:
    """``managedFields``: who applies first, then by time."""
    entries = []
    for manager, owned in managers.items():
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.api_version,
            **({"time": owned.time} if owned.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(owned.fields),
            **({"subresource": manager.subresource} if manager.subresource else {}),
        }
        entries.append(entry)
    return sorted(
        entries, key=lambda entry: (entry["operation"], entry.get("time", ""), entry["manager"])
    )


def timestamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def without_managed_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without ``managedFields`` whose metadata may be changed."""
    metadata = {
        key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"
    }
    return {**obj, "metadata": metadata}


def track_update(
    schema: Schema,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    *,
    manager: str,
    api_version: str,
    subresource: str,
    now: datetime,
) -> list[dict[str, Any]]:
    """``managedFields`` after a create, update or patch that made ``after`` of ``before``.

    The writer owns what it added or changed, the others lose it. ``after`` may carry managedFields
    of its own (kubectl rewrites them when it turns to server-side apply); without any, those of
    ``before`` count; ``[{}]`` or an empty list means: forget them all.
    """
    given = after.get("metadata", {}).get("managedFields")
    forgets = given is not None and not any(given)
    managers = read_managers(after) or ({} if forgets else read_managers(before))
    difference = compare(
        schema,
        without_managed_fields(before) if before else {},
        without_managed_fields(after),
    )
    taken = _ownable(schema, difference.added) | difference.modified
    writer = Manager(manager, UPDATE, api_version, subresource)
    result: Managers = {}
    for other, owned in managers.items():
        left = owned.fields - difference.removed
        if other != writer:
            left -= taken
        if left:
            result[other] = Owned(left, owned.api_version, owned.time)
    old = result.get(writer)
    fields = (old.fields if old else frozenset()) | taken
    if fields and (old is None or fields != old.fields):
        result[writer] = Owned(fields, api_version, timestamp(now))
    return write_managers(result)


def _ownable(schema: Schema, fields: FieldSet) -> FieldSet:
    """Without the nodes that only hold others: a struct of a built-in type is never absent."""
    return frozenset(path for path in fields if not _is_builtin_struct(schema, path))


def _is_builtin_struct(schema: Schema, path: tuple[str, ...]) -> bool:
    node: Schema | None = schema
    for element in path:
        if node is None:
            return False
        node = node.child(element[2:]) if element.startswith("f:") else node.items
    by_name = not path or path[-1].startswith("f:")
    return node is not None and by_name and bool(node.name and node.properties) and not node.atomic
