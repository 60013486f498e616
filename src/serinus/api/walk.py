"""A walk over the fields that a resource sets, each with its path and its declaration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from serinus.api.schema import Schema, unwrap


@dataclass(frozen=True, slots=True)
class Visit:
    """A field that is set to something other than its default.

    ``path`` leads to the value (`spec.analysis.webhooks[0].metadata[cmd]`), ``pattern`` to its
    place in the schema (`spec.analysis.webhooks[].metadata{}`), ``schema`` is what the
    declaration says beyond the type.
    """

    path: str
    pattern: str
    value: Any
    schema: Schema


def walk(struct: msgspec.Struct, path: str) -> Iterator[Visit]:
    """Visit what ``struct``, found at ``path``, sets: a value before what is inside of it."""
    yield from _struct(struct, path, path)


def _struct(struct: msgspec.Struct, path: str, pattern: str) -> Iterator[Visit]:
    for attribute, name, declared, default in _declared(type(struct)):
        value = getattr(struct, attribute)
        if value is not None and value != default:
            yield from _value(value, declared, f"{path}.{name}", f"{pattern}.{name}")


def _value(value: Any, declared: inspect.Type, path: str, pattern: str) -> Iterator[Visit]:
    kind, schema = unwrap(declared)
    yield Visit(path, pattern, value, schema)
    if isinstance(value, msgspec.Struct):
        yield from _struct(value, path, pattern)
    elif isinstance(kind, inspect.DictType) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _value(item, kind.value_type, f"{path}[{key}]", f"{pattern}{{}}")
    elif isinstance(kind, inspect.VarTupleType):
        for index, item in enumerate(value):
            yield from _value(item, kind.item_type, f"{path}[{index}]", f"{pattern}[]")


@cache
def _declared(
    struct: type[msgspec.Struct],
) -> tuple[tuple[str, str, inspect.Type, object], ...]:
    """Per field: attribute, name on the wire, declared type, default."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return tuple(
        (field.name, field.encode_name, field.type, _default(field)) for field in info.fields
    )


def _default(field: inspect.Field) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
