"""Strategic merge patch: a merge patch that knows which lists are maps in disguise.

Lists of objects with a merge key merge item by item, lists of plain values marked ``merge`` merge
as sets, all others are replaced. Directives in the patch say what a merge alone cannot:

- ``$patch: replace | delete | merge`` in an object or in an item of a list;
- ``$deleteFromPrimitiveList/FIELD``: values to take out of a list of plain values;
- ``$setElementOrder/FIELD``: the order that the items shall have;
- ``$retainKeys``: the only fields of an object that shall stay (for unions).
"""

import json
from typing import Any

from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.ordering import in_order
from serinus.lab.apiserver.schema.schema import Schema

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_VALUES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(schema: Schema, live: dict[str, Any], patch: Any) -> dict[str, Any]:
    """``live`` with ``patch`` laid over it; neither is changed. Raises ``PatchError``."""
    if not isinstance(patch, dict):
        raise PatchError("error decoding patch: a strategic merge patch must be an object")
    return _merge_object(schema, live, patch)


def _merge_object(
    schema: Schema | None, live: dict[str, Any], patch: dict[str, Any]
) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unrecognized patch directive: {directive}")
    merged = dict(live)
    if _RETAIN in patch:
        _retain(merged, patch)
    _delete_values(merged, patch)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif not key.startswith("$"):
            child = schema.child(key) if schema else None
            merged[key] = _merge_value(key, child, merged.get(key), value)
    for key, order in _orders(schema, patch).items():
        name = key.removeprefix(_ORDER)
        if isinstance(merged.get(name), list):
            child = schema.child(name) if schema else None
            merged[name] = _in_order(name, child, live.get(name) or [], merged[name], order)
    return merged


def _orders(schema: Schema | None, patch: dict[str, Any]) -> dict[str, Any]:
    """By field, the order that its items shall have; without one, that of the patch."""
    orders = {key: order for key, order in patch.items() if key.startswith(_ORDER)}
    for key, value in patch.items():
        child = schema.child(key) if schema else None
        if child is None or "merge" not in child.patch_strategy or not isinstance(value, list):
            continue
        kept = [item for item in value if not isinstance(item, dict) or _PATCH not in item]
        replaces = any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in value)
        if not replaces:
            orders.setdefault(_ORDER + key, kept)
    return orders


def _delete_values(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, values in patch.items():
        name = key.removeprefix(_DELETE_VALUES)
        if name != key and isinstance(merged.get(name), list) and isinstance(values, list):
            merged[name] = [value for value in merged[name] if value not in values]


def _retain(merged: dict[str, Any], patch: dict[str, Any]) -> None:
    keep = patch[_RETAIN]
    if not isinstance(keep, list):
        raise PatchError("$retainKeys must be a list")
    strange = [
        key
        for key, value in patch.items()
        if not key.startswith("$") and value is not None and key not in keep
    ]
    if strange:
        raise PatchError(f"$retainKeys {keep} doesn't list the patch's own fields {strange}")
    for key in [key for key in merged if key not in keep]:
        del merged[key]


def _merge_value(key: str, schema: Schema | None, live: Any, patch: Any) -> Any:
    replaces = schema is not None and "replace" in schema.patch_strategy
    if isinstance(patch, dict):
        mergeable = isinstance(live, dict) and not replaces
        return _merge_object(schema, live if mergeable else {}, patch)
    if isinstance(patch, list) and schema is not None and "merge" in schema.patch_strategy:
        old = live if isinstance(live, list) else []
        if schema.patch_merge_key:
            return _merge_items(key, schema, old, patch)
        return [*old, *(value for value in patch if value not in old)]
    return patch


def _merge_items(key: str, schema: Schema, live: list[Any], patch: list[Any]) -> list[Any]:
    merge_key = schema.patch_merge_key
    for item in (*live, *patch):
        if not isinstance(item, dict):
            raise PatchError(f"{key}: expected a list of objects, found {item!r}")
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [item for item in patch if item.get(_PATCH) != "replace"]
    merged = list(live)
    for item in patch:
        if merge_key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {merge_key}")
        place = next(
            (i for i, old in enumerate(merged) if old.get(merge_key) == item[merge_key]), None
        )
        if item.get(_PATCH) == "delete":
            merged = [old for old in merged if old.get(merge_key) != item[merge_key]]
        elif place is None:
            merged.append(_merge_object(schema.items, {}, item))
        else:
            merged[place] = _merge_object(schema.items, merged[place], item)
    return merged


def _in_order(
    key: str, schema: Schema | None, live: list[Any], merged: list[Any], order: Any
) -> list[Any]:
    """The items named in ``order`` in that order, the others where they stood among them."""
    if not isinstance(order, list):
        raise PatchError(f"{_ORDER}{key} must be a list")
    merge_key = schema.patch_merge_key if schema else ""

    def identity(item: Any) -> str:
        chosen = item.get(merge_key) if merge_key and isinstance(item, dict) else item
        return json.dumps(chosen, sort_keys=True)

    return in_order(merged, [*map(identity, order)], [*map(identity, live)], identity)
