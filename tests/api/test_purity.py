"""Importing the API does no I/O: it reaches for none of the modules that could."""

import ast
from pathlib import Path

import pytest

import serinus.api

MODULES = sorted(Path(serinus.api.__file__).parent.glob("*.py"))
ALLOWED = {"collections", "dataclasses", "datetime", "enum", "functools", "re", "typing"}
ALLOWED |= {"msgspec", "yaml", "serinus"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_api_imports_nothing_that_does_io(module: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= ALLOWED
    serinus_parts = {name for name in imported if name.startswith("serinus")}
    assert all(name.startswith("serinus.api") for name in serinus_parts)
