"""Server-side apply: each manager states what it wants, and the server keeps who wants what.

The applied fields are merged into the live object; fields that the manager applied before and no
longer does are removed, unless someone else owns them; a field that someone else owns with another
value is a conflict.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from serinus.lab.apiserver.patch.comparison import compare
from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.fieldset import (
    STRIPPED,
    FieldSet,
    Path,
    applied_fields,
    children,
    is_leaf,
    item_element,
    printed,
    with_parents,
)
from serinus.lab.apiserver.patch.managers import (
    APPLY,
    UPDATE,
    Manager,
    Managers,
    Owned,
    read_managers,
    timestamp,
    without_managed_fields,
    write_managers,
)
from serinus.lab.apiserver.patch.presence import filled
from serinus.lab.apiserver.schema.prune import child_schema
from serinus.lab.apiserver.schema.schema import Schema

BEFORE_FIRST_APPLY = "before-first-apply"
"""Owns all fields of an object that nobody kept the books of."""


class ApplyConflict(Exception):
    """Others own fields with other values (HTTP 409, reason Conflict)."""

    def __init__(self, conflicts: Sequence[tuple[Manager, Path]]) -> None:
        self.conflicts = [(str(manager), printed(path)) for manager, path in conflicts]
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The Status' message."""
        if len(self.conflicts) == 1:
            manager, path = self.conflicts[0]
            return f"Apply failed with 1 conflict: conflict with {manager}: {path}"
        lines = []
        for manager in sorted({manager for manager, _ in self.conflicts}):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for owner, path in self.conflicts if owner == manager]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)

    @property
    def causes(self) -> list[dict[str, str]]:
        """The Status' ``details.causes``."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
            for manager, path in self.conflicts
        ]


def server_side_apply(
    schema: Schema,
    live: Mapping[str, Any] | None,
    applied: Mapping[str, Any],
    *,
    manager: str,
    force: bool,
    api_version: str,
    now: datetime,
    subresource: str = "",
) -> dict[str, Any]:
    """The object after ``manager`` applied ``applied``, with its ``managedFields``.

    ``applied`` must hold no fields that this request may not write (the status, for one that goes
    to the object itself). Defaults are the caller's to set afterwards. If nothing changes, the
    result equals ``live``. Raises ``ApplyConflict``, and ``PatchError`` for managedFields in
    ``applied`` and for list items that lack their keys.
    """
    if (applied.get("metadata") or {}).get("managedFields"):
        raise PatchError("metadata.managedFields must be nil")
    managers = _known_managers(schema, live, api_version)
    base = without_managed_fields(live) if live else {}
    applier = Manager(manager, APPLY, subresource=subresource)
    fields = applied_fields(schema, applied)
    last = managers.get(applier)

    merged: dict[str, Any] = _merge(schema, base, dict(applied))
    everyone = {other: owned for other, owned in managers.items() if other != applier}
    if last is not None:
        kept = with_parents(fields.union(*(owned.fields for owned in everyone.values())))
        merged = _without(schema, merged, with_parents(last.fields) - kept - STRIPPED)

    difference = compare(schema, base, merged)
    changed = difference.added | difference.modified
    conflicts = [
        (other, path) for other, owned in everyone.items() for path in owned.fields & changed
    ]
    if conflicts and not force:
        conflicts.sort(key=lambda conflict: (str(conflict[0]), conflict[1]))
        raise ApplyConflict(conflicts)

    result: Managers = {}
    for other, owned in everyone.items():
        left = owned.fields - changed - difference.removed
        if left:
            result[other] = Owned(left, owned.api_version, owned.time)
    same = last is not None and last.fields == fields and last.api_version == api_version
    if live is not None and last is not None and same and merged == base:
        result[applier] = last
    elif fields:
        result[applier] = Owned(fields, api_version, timestamp(now))
    merged["metadata"] = {**merged.get("metadata", {}), "managedFields": write_managers(result)}
    return merged


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
    of its own (kubectl rewrites them when it turns to server-side apply); without any, or if they
    cannot be read, those of ``before`` count; ``[{}]`` or an empty list means: forget them all.
    """
    managers = _given_managers(before, after)
    difference = compare(
        schema,
        filled(schema, without_managed_fields(before) if before else {}),
        filled(schema, without_managed_fields(after)),
    )
    taken = difference.added | difference.modified
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


def _given_managers(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Managers:
    given = (after.get("metadata") or {}).get("managedFields")
    if isinstance(given, list) and not any(given):
        return {}
    try:
        return read_managers(after) or read_managers(before)
    except PatchError:
        return read_managers(before)


def _known_managers(schema: Schema, live: Mapping[str, Any] | None, api_version: str) -> Managers:
    managers = read_managers(live)
    if managers or live is None:
        return managers
    fields: FieldSet = applied_fields(schema, without_managed_fields(live))
    return {Manager(BEFORE_FIRST_APPLY, UPDATE, api_version): Owned(fields, api_version, "")}


def _merge(schema: Schema | None, live: Any, applied: Any) -> Any:
    if is_leaf(schema, applied) or type(live) is not type(applied):
        return applied
    if isinstance(applied, dict):
        merged = dict(live)
        for key, value in applied.items():
            child = child_schema(schema, key) if schema else None
            merged[key] = _merge(child, live[key], value) if key in live else value
        return merged
    assert schema is not None, "without a schema every list is a leaf"

    def identity(item: Any) -> str:
        return item_element(schema, item)

    items = {identity(item): item for item in live}
    for item in applied:
        element = identity(item)
        old = items.get(element)
        items[element] = item if old is None else _merge(schema.items, old, item)
    wanted = [*map(identity, applied)]
    return [items[element] for element in _interleaved([*map(identity, live)], wanted)]


def _interleaved(live: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The items of both: those of ``wanted`` in that order, and the others of ``live`` ahead of
    the item that they have stood ahead of."""
    named = set(wanted)
    order: list[str] = []
    rest = list(live)
    for element in wanted:
        while rest and (rest[0] not in named or rest[0] in order):
            if rest[0] not in named:
                order.append(rest[0])
            rest.pop(0)
        if element not in order:
            order.append(element)
    return [*order, *(element for element in rest if element not in named)]


def _without(schema: Schema | None, value: Any, gone: set[Path]) -> Any:
    """A copy of ``value`` without the fields ``gone``, and all that lies in them."""
    below: dict[str, set[Path]] = {}
    for path in gone:
        if path:
            below.setdefault(path[0], set()).add(path[1:])
    if not below or is_leaf(schema, value):
        return value
    kept = [
        (element, _without(part_schema, part, below.get(element, set())))
        for element, part_schema, part in children(schema, value)
        if () not in below.get(element, ())
    ]
    if isinstance(value, dict):
        return {element[2:]: part for element, part in kept}
    return [part for _, part in kept]
