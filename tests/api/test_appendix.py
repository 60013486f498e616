"""Every field of Flagger's three kinds has its line, and every line its test."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api.api_samples import decoded, guide, places
from api.appendix import ANOTHER, DIFFERENT, IMPLEMENTED, NOT_YET, SCHEMA, table, tops
from serinus.api.canary import CanarySpec
from serinus.api.problem import Problem
from serinus.api.schema import schema_of
from serinus.api.support import REFUSED, SUPPORTED, unsupported

ROOT = Path(__file__).parents[2]
LINES = list(table())
COMPATIBILITY = (ROOT / "docs" / "flagger-compatibility.md").read_text()
PLACES = dict(places(schema_of(CanarySpec), "spec"))
ASKED_FOR: dict[str, Any] = {"boolean": True, "string": "x", "number": 1, "integer": 1}


@cache
def functions_in(path: Path) -> frozenset[str]:
    """The names of a file's test functions."""
    tree = ast.parse(path.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


@pytest.mark.parametrize("plural", SCHEMA)
def test_every_path_has_exactly_one_line(plural: str) -> None:
    counted = Counter(line.path for line in LINES if line.plural == plural)
    assert counted == dict.fromkeys(SCHEMA[plural], 1)


@pytest.mark.parametrize("test", sorted({line.why for line in LINES}))
def test_the_tests_that_are_named_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in functions_in(ROOT / path)


def test_what_is_obeyed_and_what_is_refused_is_what_the_operator_says() -> None:
    for line in LINES:
        if line.plural == "canaries" and line.path.startswith("spec."):
            obeyed = line.state in (IMPLEMENTED, DIFFERENT) or line.path.startswith(
                "spec.analysis.match[].sourceLabels"
            )
            assert (line.path in SUPPORTED) is obeyed, line
    assert set(REFUSED) == {*tops(ANOTHER), *tops(NOT_YET)}


@pytest.mark.parametrize("path", sorted({*tops(ANOTHER), *tops(NOT_YET)}))
def test_what_is_refused_is_refused_by_its_path(path: str) -> None:
    (problem,) = _problems(path)
    assert problem.path == path.replace("[]", "[0]")
    assert problem.message.startswith("not supported by this release of Serinus; ")


@pytest.mark.parametrize("provider", SCHEMA["canaries"]["spec.provider"]["enum"])
def test_another_meshs_provider_is_refused_when_it_is_asked_for(provider: str) -> None:
    document = guide()
    document["spec"]["provider"] = provider
    found = [str(problem) for problem in unsupported(decoded(document), "kuma")]
    if provider in ("kuma", "kubernetes", "gatewayapi:v1", "gatewayapi:v1beta1"):
        assert found == []
    else:
        assert found == [
            f'spec.provider: "{provider}" is not supported by this release of Serinus; '
            'use "kuma" or "kubernetes" or "gatewayapi:v1" or "gatewayapi:v1beta1"'
        ]


@pytest.mark.parametrize("test", sorted({line.why for line in LINES if line.state == DIFFERENT}))
def test_each_difference_is_written_down_with_its_test(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"`{name}` ({path})" in COMPATIBILITY


def _problems(path: str) -> tuple[Problem, ...]:
    document = guide()
    *parents, last = path.split(".")
    place: Any = document
    for key in parents:
        name = key.removesuffix("[]")
        place = place.setdefault(name, {} if name == key else [{}])
        place = place if name == key else place[0]
    place[last] = _some(PLACES[path])
    return unsupported(decoded(document), "kuma")


def _some(schema: dict[str, Any]) -> Any:
    """A value that the schema allows, with everything in it set."""
    if "enum" in schema:
        return schema["enum"][-1]
    match schema["type"]:
        case "array":
            return [_some(schema["items"])]
        case "object" if "properties" in schema:
            return {name: _some(inner) for name, inner in schema["properties"].items()}
        case "object":
            return {"x": _some(schema["additionalProperties"])}
        case kind:
            return ASKED_FOR[kind]
