"""Which fields were added, changed or removed between two versions of an object."""

from dataclasses import dataclass
from typing import Any, Final

from serinus.lab.apiserver.patch.fieldset import (
    STRIPPED,
    FieldSet,
    Path,
    children,
    every_node,
    is_leaf,
)
from serinus.lab.apiserver.schema.schema import Schema

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    added: FieldSet
    modified: FieldSet
    removed: FieldSet


def compare(schema: Schema, before: Any, after: Any) -> Comparison:
    """What ``after`` did to ``before``. Fields that nobody can own are left out."""
    walk = _Walk()
    walk.visit(schema, before, after, ())
    return Comparison(
        frozenset(walk.added - STRIPPED),
        frozenset(walk.modified - STRIPPED),
        frozenset(walk.removed - STRIPPED),
    )


class _Walk:
    def __init__(self) -> None:
        self.added: set[Path] = set()
        self.modified: set[Path] = set()
        self.removed: set[Path] = set()

    def visit(self, schema: Schema | None, before: Any, after: Any, path: Path) -> None:
        if before is _ABSENT:
            self.added.update(every_node(schema, after, path))
        elif after is _ABSENT:
            self.removed.update(every_node(schema, before, path))
        elif type(before) is type(after) and not is_leaf(schema, after):
            old = {element: (node, part) for element, node, part in children(schema, before)}
            new = {element: (node, part) for element, node, part in children(schema, after)}
            for element in {**old, **new}:
                node, _ = new.get(element) or old[element]
                was = old[element][1] if element in old else _ABSENT
                now = new[element][1] if element in new else _ABSENT
                self.visit(node, was, now, (*path, element))
        elif before != after:
            self.modified.add(path)
