"""Sets of fields, as ``managedFields`` writes them (FieldsV1).

A path is a tuple of elements in FieldsV1's own spelling: ``f:NAME`` a field or a map's key,
``k:{"name":"x"}`` an item of a list by its keys, ``v:"x"`` a value in a set. A set of fields is a
frozenset of paths. What counts as one field depends on the schema: an atomic list or object is one
field as a whole; of a struct only the leaves count; items of lists and entries of maps count
themselves too.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from serinus.lab.apiserver.patch.errors import DuplicateItem, PatchError
from serinus.lab.apiserver.schema.prune import child_schema
from serinus.lab.apiserver.schema.schema import UNSET, Schema

Path = tuple[str, ...]
FieldSet = frozenset[Path]

STRIPPED: FieldSet = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                *("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation"),
                *("managedFields", "resourceVersion", "deletionTimestamp"),
                "deletionGracePeriodSeconds",
            )
        ),
    }
)
"""Fields that identify an object, or that the server writes: nobody owns them."""


def is_leaf(schema: Schema | None, value: Any) -> bool:
    """Whether the value is one field as a whole."""
    if isinstance(value, dict):
        return schema is not None and schema.atomic
    if isinstance(value, list):
        return schema is None or schema.list_type not in ("set", "map")
    return True


def children(schema: Schema | None, value: Any) -> Iterator[tuple[str, Schema | None, Any]]:
    """The parts of an object or list that is not a leaf: path element, schema, value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"f:{key}", child_schema(schema, key) if schema else None, part
    elif isinstance(value, list) and schema is not None:
        for item in value:
            yield item_element(schema, item), schema.items, item


def item_element(schema: Schema, item: Any) -> str:
    """The path element of an item in a list of type ``set`` or ``map``. Raises ``PatchError``."""
    if schema.list_type == "set":
        return "v:" + _compact(item)
    if not isinstance(item, dict):
        raise PatchError(f"associative list without keys has an element that's {item!r}", code=422)
    keys = {}
    for key in schema.map_keys:
        if key in item:
            keys[key] = item[key]
            continue
        known = schema.items.child(key) if schema.items else None
        if known is None or known.default is UNSET:
            raise PatchError(
                "associative list with keys has an element that omits key field"
                f' "{key}" (and doesn\'t have default value)',
                code=422,
            )
        keys[key] = known.default
    return "k:" + _compact(keys)


def applied_fields(schema: Schema | None, value: Any, path: Path = ()) -> FieldSet:
    """The fields that someone claims who applies ``value``."""
    found: set[Path] = set()
    _collect_applied(schema, value, path, found)
    return frozenset(found - STRIPPED)


def _collect_applied(schema: Schema | None, value: Any, path: Path, found: set[Path]) -> None:
    if is_leaf(schema, value):
        found.add(path)
        return
    seen: set[str] = set()
    for element, part_schema, part in children(schema, value):
        here = (*path, element)
        if element in seen:
            raise DuplicateItem(f"{printed(path)}: duplicate entries for key {printed((element,))}")
        seen.add(element)
        _collect_applied(part_schema, part, here, found)
        in_struct = element.startswith("f:") and (
            schema is not None and element[2:] in schema.properties
        )
        if part == {} or not in_struct:
            found.add(here)


def every_node(schema: Schema | None, value: Any, path: Path) -> Iterator[Path]:
    """The path itself and those of all parts below it."""
    yield path
    if not is_leaf(schema, value):
        for element, part_schema, part in children(schema, value):
            yield from every_node(part_schema, part, (*path, element))


def with_parents(fields: Iterable[Path]) -> set[Path]:
    """The fields and the named fields that they lie in (items of lists are not *named*)."""
    found: set[Path] = set()
    for path in fields:
        found.add(path)
        found.update(
            path[:length] for length in range(1, len(path)) if path[length - 1].startswith("f:")
        )
    return found


# -- spelling ------------------------------------------------------------------


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """The set as ``fieldsV1``; ``.`` marks a member that has members below it."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    _tidy(tree)
    return tree


def _tidy(tree: dict[str, Any]) -> None:
    for key, child in tree.items():
        if key == ".":
            continue
        if child.keys() == {"."}:
            child.clear()
        else:
            _tidy(child)


def from_fields_v1(tree: Any, path: Path = ()) -> FieldSet:
    """The set that ``fieldsV1`` spells. Raises ``PatchError`` if it is none."""
    if not isinstance(tree, dict):
        raise PatchError(f"invalid fieldsV1: expected an object, found {tree!r}")
    if not tree:
        return frozenset({path} if path else ())
    found: set[Path] = set()
    for element, below in tree.items():
        if element == ".":
            found.add(path)
        elif element[:2] in ("f:", "k:", "v:", "i:"):
            found |= from_fields_v1(below, (*path, element))
        else:
            raise PatchError(f"invalid fieldsV1: path element {element!r} is not known")
    return frozenset(found)


def printed(path: Path) -> str:
    """The path for people: ``.spec.containers[name="app"].image``."""
    words = []
    for element in path:
        kind, rest = element[:2], element[2:]
        if kind == "f:":
            words.append(f".{rest}")
        elif kind == "k:":
            keys = ",".join(f"{key}={_compact(value)}" for key, value in json.loads(rest).items())
            words.append(f"[{keys}]")
        else:
            words.append(f"[={rest}]" if kind == "v:" else f"[{rest}]")
    return "".join(words)


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
