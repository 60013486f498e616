"""What an object of a built-in type has even when nobody has written it.

Go's structs have no absence: what is a struct and no pointer to one is always there, and a list
that is never left out is there and empty. A field set there is added to something, not with it.
"""

from functools import lru_cache
from typing import Any

from serinus.lab.apiserver.schema.data import load
from serinus.lab.apiserver.schema.schema import Schema

_NOT_ALONE = frozenset({"pointer", "repeated", "map"})


@lru_cache(maxsize=1)
def _messages() -> dict[str, frozenset[str]]:
    """By message: the fields that are structs and no pointers."""
    messages: dict[str, dict[str, list[str]]] = load("protobuf")
    return {
        name: frozenset(
            field
            for field, kind, *marks in fields.values()
            if kind in messages and not _NOT_ALONE.intersection(marks)
        )
        for name, fields in messages.items()
    }


def _message(name: str) -> str:
    """``io.k8s.api.core.v1.Pod`` in OpenAPI is ``k8s.io.api.core.v1.Pod`` in protobuf."""
    return name.replace("io.k8s.", "k8s.io.", 1).replace("-", "_")


def filled(schema: Schema, obj: Any) -> Any:
    """A copy of ``obj`` with what is always there; custom resources are as they are written."""
    if not isinstance(obj, dict) or not schema.name or schema.atomic:
        return obj
    structs = _messages().get(_message(schema.name), frozenset())
    made = dict(obj)
    for key, child in schema.properties.items():
        if key in structs and child.properties and not child.atomic:
            made[key] = filled(child, made.get(key, {}))
        elif key not in made and key in schema.required and child.type == "array":
            made[key] = []
    return made
