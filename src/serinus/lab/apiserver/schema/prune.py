"""Fields that a schema does not know: found for strict decoding, dropped otherwise.

``unknown_fields`` and ``decode_json_strict`` give paths in the words of the API server's strict
decoding errors (``spec.containers[0].foo``); ``strict_decoding_message`` puts them into a message.
"""

import json
from collections.abc import Iterable
from typing import Any

from serinus.lab.apiserver.schema.schema import Schema, object_meta

_TYPE_META = Schema(type="string")


def child_schema(schema: Schema, key: str) -> Schema | None:
    """The schema of ``key`` in an object; an embedded resource knows the fields of every object."""
    found = schema.child(key)
    if found is None and schema.embedded:
        if key in ("apiVersion", "kind"):
            return _TYPE_META
        if key == "metadata":
            return object_meta()
    return found


def unknown_fields(schema: Schema, obj: Any, path: str = "") -> list[str]:
    """The paths of all fields in ``obj`` that ``schema`` neither names nor lets pass."""
    if isinstance(obj, list):
        return [
            found
            for index, item in enumerate(obj)
            if schema.items is not None
            for found in unknown_fields(schema.items, item, f"{path}[{index}]")
        ]
    if not isinstance(obj, dict) or schema.int_or_string:
        return []
    unknown: list[str] = []
    for key, value in obj.items():
        here = f"{path}.{key}" if path else key
        child = child_schema(schema, key)
        if child is not None:
            unknown += unknown_fields(child, value, here)
        elif not schema.is_open:
            unknown.append(here)
    return unknown


def prune(schema: Schema, obj: Any) -> Any:
    """A copy of ``obj`` without the fields that ``schema`` does not know.

    In a built-in type a null is the same as no value (Go's decoder has no other notion of it), so
    it goes as well; of a custom resource it stays where the schema says that a null may be there.
    """
    if isinstance(obj, list):
        return [prune(schema.items, item) for item in obj] if schema.items else obj
    if not isinstance(obj, dict) or schema.int_or_string:
        return obj
    builtin_struct = bool(schema.name) and not schema.is_open
    kept = {}
    for key, value in obj.items():
        if value is None and builtin_struct:
            continue
        child = child_schema(schema, key)
        if value is None and child is not None and child.type and not child.nullable:
            continue
        if child is not None:
            kept[key] = prune(child, value)
        elif schema.is_open:
            kept[key] = value
    return kept


def decode_json_strict(body: bytes) -> tuple[Any, list[str]]:
    """The JSON value, and the paths of fields that occur twice in one object (the last one wins).

    Raises ``ValueError`` for what is not JSON.
    """
    twice: dict[int, list[str]] = {}

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) != len(pairs):
            seen: set[str] = set()
            repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
            twice[id(built)] = list(dict.fromkeys(repeated))
        return built

    def refuse(constant: str) -> Any:
        raise ValueError(f"invalid character '{constant[0]}' looking for beginning of value")

    value = json.loads(body, object_pairs_hook=build, parse_constant=refuse)
    return value, list(_paths_of(value, twice, "")) if twice else []


def _paths_of(value: Any, keys: dict[int, list[str]], path: str) -> Iterable[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths_of(item, keys, f"{path}[{index}]")
    elif isinstance(value, dict):
        dot = f"{path}." if path else ""
        for key in keys.get(id(value), ()):
            yield dot + key
        for key, item in value.items():
            yield from _paths_of(item, keys, dot + key)


def strict_decoding_warnings(unknown: Iterable[str], duplicates: Iterable[str]) -> list[str]:
    """One warning per field, as sent in ``Warning`` headers for ``fieldValidation=Warn``."""
    return [
        *(f'duplicate field "{path}"' for path in duplicates),
        *(f'unknown field "{path}"' for path in unknown),
    ]


def strict_decoding_message(unknown: Iterable[str], duplicates: Iterable[str]) -> str:
    """The end of the 400 answer's message for ``fieldValidation=Strict``; "" if all is well."""
    found = strict_decoding_warnings(unknown, duplicates)
    return "strict decoding error: " + ", ".join(found) if found else ""
