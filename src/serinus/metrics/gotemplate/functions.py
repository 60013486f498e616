"""The functions that Go gives every template, as far as Flagger's need them.

Each raises ValueError, in words, for arguments that it cannot be called with. Where Go would print
a complaint into the result (``%!d(string=x)``), that is an error too: no query is meant so.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serinus.metrics.gotemplate.formatting import sprintf
from serinus.metrics.gotemplate.nodes import Value

Function = Callable[[Sequence[Value]], Value]

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def truth(value: Value) -> bool:
    """Go's notion: false, 0, nothing, and what is empty are not true."""
    return bool(value)


def kind(value: Value) -> str:
    """What the value is, for a person."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a bool"
        case int():
            return "an integer"
        case float():
            return "a float"
        case str():
            return "a string"
    return "a map"


def _count(name: str, arguments: Sequence[Value], wanted: int) -> None:
    if len(arguments) != wanted:
        raise ValueError(f"{name} wants {wanted} arguments, not {len(arguments)}")


def _comparable(name: str, one: Value, other: Value) -> None:
    if kind(one) != kind(other) or not isinstance(one, str | int | float):
        raise ValueError(f"{name} cannot compare {kind(one)} and {kind(other)}")


def _eq(arguments: Sequence[Value]) -> Value:
    if len(arguments) < 2:
        raise ValueError(f"eq wants 2 arguments or more, not {len(arguments)}")
    first, *others = arguments
    for other in others:
        _comparable("eq", first, other)
        if first == other:
            return True
    return False


def _ne(arguments: Sequence[Value]) -> Value:
    _count("ne", arguments, 2)
    _comparable("ne", arguments[0], arguments[1])
    return arguments[0] != arguments[1]


def _ordering(name: str, holds: Callable[[Any, Any], bool]) -> Function:
    def compare(arguments: Sequence[Value]) -> Value:
        _count(name, arguments, 2)
        one, other = arguments
        _comparable(name, one, other)
        if isinstance(one, bool):
            raise ValueError(f"{name} cannot compare bools")
        if isinstance(one, str) and isinstance(other, str):
            # Go compares strings by their bytes, which is by code points too.
            return holds(one.encode(errors="replace"), other.encode(errors="replace"))
        return holds(one, other)

    return compare


def _not(arguments: Sequence[Value]) -> Value:
    _count("not", arguments, 1)
    return not truth(arguments[0])


def _len(arguments: Sequence[Value]) -> Value:
    _count("len", arguments, 1)
    match arguments[0]:
        case str() as text:
            return len(text.encode(errors="replace"))
        case Mapping() as entries:
            return len(entries)
    raise ValueError(f"{kind(arguments[0])} has no length")


def _index(arguments: Sequence[Value]) -> Value:
    """An entry of a map, empty when it is not there: the way to a variable that may be missing."""
    if not arguments:
        raise ValueError("index wants a map and a key")
    entries, *keys = arguments
    if not isinstance(entries, Mapping):
        raise ValueError(f"index cannot look into {kind(entries)}")
    if not keys:
        return entries
    if len(keys) > 1:
        raise ValueError("index wants one key: there are no maps in maps")
    if not isinstance(keys[0], str):
        raise ValueError(f"index wants a string as the key, not {kind(keys[0])}")
    return entries.get(keys[0], "")


def _printf(arguments: Sequence[Value]) -> Value:
    if not arguments or not isinstance(arguments[0], str):
        raise ValueError("printf wants a format, which is a string")
    return sprintf(arguments[0], arguments[1:])


FUNCTIONS: Mapping[str, Function] = {
    "eq": _eq,
    "index": _index,
    "len": _len,
    "ne": _ne,
    "not": _not,
    "printf": _printf,
    **{name: _ordering(name, holds) for name, holds in _ORDER.items()},
}

LAZY: Mapping[str, bool] = {"and": False, "or": True}
"""The functions that stop at the first argument whose truth is this, and give it."""
