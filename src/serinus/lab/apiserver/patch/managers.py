"""Who owns which fields: ``metadata.managedFields``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.fieldset import FieldSet, from_fields_v1, to_fields_v1

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
        if not isinstance(entry, dict):
            raise PatchError("metadata.managedFields must be a list of objects")
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
