"""docs/reference/events.md against the texts themselves: none is missing, none is made up."""

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
