"""The part of Kubernetes' JSONPath that printer columns use.

Fields (``.status.phase``, ``['a.b']``, ``.labels.app\\.kubernetes\\.io/name``), list indices
(negative ones too), wildcards, and filters (``[?(@.type=="Ready")]``, also ``!= < <= > >=`` and
mere existence). No recursion (``..``), slices or unions.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_FIELD = re.compile(r"\.((?:\\.|[^.\[\]\\])+)")
_QUOTED = re.compile(r"""\[\s*(?:'((?:\\.|[^'])*)'|"((?:\\.|[^"])*)")\s*\]""")
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
_ANY = re.compile(r"\[\s*\*\s*\]|\.\*")
_FILTER = re.compile(
    r"""\[\?\(\s*@(?P<path>(?:[^=!<>)'"]|'[^']*'\])*?)\s*"""
    r"""(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>'[^']*'|"[^"]*"|[^)]+?)\s*)?\)\]"""
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def find(path: str, document: object) -> list[Any]:
    """Everything that ``path`` selects in ``document``, in document order; [] if nothing does.

    Raises ValueError, naming the part that is not understood, for a path beyond the subset.
    """
    found: list[Any] = [document]
    for step in parse(path):
        found = [value for parent in found for value in step(parent)]
    return found


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of ``path``, which may stand in braces and may start with ``$``."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$")
    if text and text[0] not in ".[":
        text = f".{text}"
    steps: list[Step] = []
    position = 0
    while position < len(text) and text[position:] != ".":
        step, position = _step(path, text, position)
        steps.append(step)
    return tuple(steps)


def _step(path: str, text: str, position: int) -> tuple[Step, int]:
    if match := _ANY.match(text, position):
        return _children, match.end()
    if match := _FIELD.match(text, position):
        return _field(_unescape(match[1])), match.end()
    if match := _QUOTED.match(text, position):
        return _field(_unescape(match[1] if match[1] is not None else match[2])), match.end()
    if match := _INDEX.match(text, position):
        return _item(int(match[1])), match.end()
    if match := _FILTER.match(text, position):
        return _filter(match), match.end()
    raise ValueError(f"JSONPath {path!r}: cannot read {text[position:]!r}")


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _children(parent: Any) -> Iterable[Any]:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()


def _field(name: str) -> Step:
    def step(parent: Any) -> Iterable[Any]:
        return (parent[name],) if isinstance(parent, dict) and name in parent else ()

    return step


def _item(index: int) -> Step:
    def step(parent: Any) -> Iterable[Any]:
        inside = isinstance(parent, list) and -len(parent) <= index < len(parent)
        return (parent[index],) if inside else ()

    return step


def _filter(match: re.Match[str]) -> Step:
    path, operator = match["path"], match["op"]
    wanted = _literal(match["value"]) if operator else None

    def holds(element: Any) -> bool:
        values = find(path, element)
        if not operator:
            return bool(values)
        return any(_compare(operator, value, wanted) for value in values)

    def step(parent: Any) -> Iterable[Any]:
        return [element for element in _children(parent) if holds(element)]

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _compare(operator: str, left: Any, right: Any) -> bool:
    try:
        return bool(_OPERATORS[operator](left, right))
    except TypeError:
        return False
