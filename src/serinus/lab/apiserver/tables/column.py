"""One printer column, and the cells that many kinds share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serinus.lab.apiserver.tables.age import age

Object = dict[str, Any]
Cell = Callable[[Object, datetime], Any]

NONE = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: ``cell`` gets the object and the time now; ``wide`` ones need ``-o wide``."""

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False
    format: str = ""
    description: str = ""
    priority: int = 1

    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority if self.wide else 0,
        }


def at(value: Any, *path: str) -> Any:
    """The value under ``path``, or None where a step is missing or null."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def condition(obj: Object, kind: str) -> Object:
    """The status condition of that type; {} when there is none."""
    conditions: list[Object] = at(obj, "status", "conditions") or []
    return next((c for c in conditions if c.get("type") == kind), {})


def shown(name: str, *path: str, default: Any = NONE, type: str = "string") -> Column:
    """A column that shows one field as it stands."""

    def cell(obj: Object, _now: datetime) -> Any:
        value = at(obj, *path)
        return default if value is None or value == "" else value

    return Column(name, cell, type)


def count(name: str, *path: str, type: str = "integer") -> Column:
    """A column that shows a number, or how many entries a list or a map has. (Kubernetes calls
    some of them strings, and still sends numbers.)"""

    def cell(obj: Object, _now: datetime) -> int:
        value = at(obj, *path)
        return len(value) if isinstance(value, list | dict) else int(value or 0)

    return Column(name, cell, type)


def computed(name: str, cell: Callable[[Object], Any], type: str = "string") -> Column:
    """A column whose cell does not depend on the time."""
    return Column(name, lambda obj, _now: cell(obj), type)


def wide(column: Column) -> Column:
    """The same column, shown only with ``-o wide``."""
    return Column(column.name, column.cell, column.type, True, column.format)


def joined(values: Iterable[Any]) -> str:
    return ",".join(map(str, values)) or NONE


def labels_text(labels: dict[str, str] | None) -> str:
    return joined(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def selector_text(selector: Object | None) -> str:
    """A LabelSelector as kubectl shows it: ``app=a,tier in (b,c),!d``."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or []:
        key, values = rule.get("key", ""), ",".join(sorted(rule.get("values") or []))
        match rule.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case _:
                parts.append(f"!{key}")
    return joined(sorted(parts))


def _containers(*path: str) -> tuple[Column, Column]:
    def names(key: str) -> Callable[[Object], str]:
        return lambda obj: joined(c.get(key, "") for c in at(obj, *path, "containers") or [])

    return wide(computed("Containers", names("name"))), wide(computed("Images", names("image")))


NAME = Column("Name", lambda obj, _now: at(obj, "metadata", "name") or "", format="name")
AGE = Column("Age", lambda obj, now: age(at(obj, "metadata", "creationTimestamp"), now))
CREATED_AT = Column(
    "Created At", lambda obj, _now: at(obj, "metadata", "creationTimestamp") or "", "date"
)
CONTAINERS = _containers("spec", "template", "spec")
JOB_CONTAINERS = _containers("spec", "jobTemplate", "spec", "template", "spec")
SELECTOR = wide(computed("Selector", lambda obj: selector_text(at(obj, "spec", "selector"))))
