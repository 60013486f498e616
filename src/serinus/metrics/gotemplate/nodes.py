"""What a template says, as a tree. ``at`` is a node's place in the text, in characters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = str | int | float | bool | Mapping[str, str] | None
"""What an expression can be. None is what the dot holds outside of ``with`` and ``range``."""


@dataclass(frozen=True, slots=True)
class Constant:
    at: int
    value: Value


@dataclass(frozen=True, slots=True)
class Dot:
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; the dollar is part of the name."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function by its name, not yet called."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """An entry of the map that ``of`` is."""

    at: int
    of: "Operand"
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A pipeline in parentheses."""

    at: int
    pipeline: "Pipeline"


Operand = Constant | Dot | Variable | Function | Field | Group


@dataclass(frozen=True, slots=True)
class Command:
    """A value alone, or a function and its arguments."""

    at: int
    first: Operand
    arguments: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Each command's value is the next one's last argument. ``variables`` get the last value;
    ``declares`` tells ``:=`` from ``=``. Two of them (key, value) are for ``range`` only."""

    at: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """A pipeline whose value is shown, unless it goes to a variable."""

    at: int
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """``if``, ``with`` (the dot becomes the value) or ``range`` (the dot becomes each entry)."""

    at: int
    kind: Literal["if", "with", "range"]
    pipeline: Pipeline
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]" = ()


Node = Text | Print | Block
