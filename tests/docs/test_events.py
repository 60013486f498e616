"""docs/reference/events.md against the texts themselves: none is missing, none is made up."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec

from rollout.model import made
from serinus.analysis.threshold import OutOfBounds
from serinus.analysis.verdict import NoData, Unavailable
from serinus.api.canary import Canary, Metric
from serinus.api.problem import Problem
from serinus.rollout import gates, messages

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
ROW = re.compile(
    r"^\| `(?P<text>.+?)`(?: °)? \| (?P<type>\w+) \| (?P<when>.+) \| (?P<whose>.+) \|$"
)

CANARY: Canary = made({"threshold": 3, "stepWeight": 20})
HOOKS = ("pre-rollout", "confirm-rollout", "rollback")

SAMPLES: dict[str, tuple[Any, ...]] = {
    "canary": (CANARY,),
    "problems": ((Problem("spec.x", "is wrong"),),),
    "mirrored": (True, False),
    "metric": tuple(
        msgspec.convert(metric, Metric)
        for metric in (
            {"name": "request-success-rate"},
            {"name": "request-duration"},
            {"name": "errors", "query": "up"},
        )
    ),
    "verdict": (OutOfBounds(9.0, 10.0, "<"), OutOfBounds(11.0, 10.0, ">")),
    "kind": HOOKS,
    "what": ("Something", *(gate.what for gate in (gates.ROLLOUT, gates.TRAFFIC, gates.PROMOTION))),
}
"""What the texts are made of, by parameter; other parameters are words or numbers by their type."""


def texts() -> Iterator[tuple[str, str]]:
    """Each function of messages.py with each text that it makes of the samples."""
    for name, function in vars(messages).items():
        if not isinstance(function, FunctionType) or function.__module__ != messages.__name__:
            continue
        if name.startswith("_"):
            continue
        made_with: list[dict[str, Any]] = [{}]
        for parameter in inspect.signature(function).parameters.values():
            made_with = [
                {**given, parameter.name: value}
                for given in made_with
                for value in _values(name, parameter)
            ]
        for given in made_with:
            yield name, function(**given)


def _values(function: str, parameter: inspect.Parameter) -> tuple[Any, ...]:
    match parameter.name:
        case "outcome":
            return (NoData("why") if function == "no_values" else Unavailable("why"),)
        case "what" if function != "waiting_for_approval":
            return SAMPLES["what"][:1]
        case "what":
            return SAMPLES["what"][1:]
        case name if name in SAMPLES:
            return SAMPLES[name]
        case _:
            return (7,) if parameter.annotation is int else ("word",)


def rows() -> list[str]:
    return [
        found["text"]
        for line in DOCUMENT.read_text().splitlines()
        if (found := ROW.match(line)) is not None
    ]


def pattern(row: str) -> re.Pattern[str]:
    row = re.sub(r" [<>] (?=<)", " \0 ", row)
    escaped = re.sub(r"<[a-z]+>", "\1", row)
    return re.compile(re.escape(escaped).replace("\1", ".+").replace("\0", "[<>]"))


def test_every_row_is_read() -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert len(rows()) == len(lines)


def test_every_text_is_in_the_table() -> None:
    patterns = [pattern(row) for row in rows()]
    missing = [
        (name, text) for name, text in texts() if not any(one.fullmatch(text) for one in patterns)
    ]
    assert missing == []


def test_every_row_is_a_text() -> None:
    said = [text for _, text in texts()]
    assert [row for row in rows() if not any(pattern(row).fullmatch(text) for text in said)] == []


def test_nothing_is_told_but_what_messages_hold() -> None:
    """No module of the rollout makes up a text of its own beside them."""
    source = Path(inspect.getfile(messages)).parent
    told = re.compile(r"Record\(\s*\"(?:Normal|Warning)\",\s*(?:f?[\"'])")
    assert [path.name for path in source.glob("*.py") if told.search(path.read_text())] == []


def test_types_are_those_that_are_recorded() -> None:
    told: dict[str, set[str]] = {}
    for path in Path(inspect.getfile(messages)).parent.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for name, kind in _recorded(function):
                    told.setdefault(name, set()).add(kind)
    assert len(told) > 30
    kinds = [
        (pattern(found["text"]), found["type"])
        for line in DOCUMENT.read_text().splitlines()
        if (found := ROW.match(line)) is not None
    ]
    for name, text in texts():
        if name in told:
            assert told[name] & {known for one, known in kinds if one.fullmatch(text)}, text


def _recorded(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Which texts a function of the rollout records itself, and as what."""
    named: dict[str, list[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named.setdefault(node.targets[0].id, []).extend(_text(node.value))
    for node in ast.walk(function):
        match node:
            case ast.Call(
                func=ast.Name("Record"), args=[ast.Constant(str() as kind), ast.Name(variable), *_]
            ) if len(named.get(variable, ())) == 1:
                yield named[variable][0], kind
            case ast.Call(func=ast.Name("Record"), args=[ast.Constant(str() as kind), said, *_]):
                yield from ((name, kind) for name in _text(said))


def _text(expression: ast.expr) -> list[str]:
    match expression:
        case ast.Call(func=ast.Attribute(ast.Name("messages"), name)):
            return [name]
    return []
