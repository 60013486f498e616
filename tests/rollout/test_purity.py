"""Decisions do no I/O: nothing in these floors imports what could."""

import ast
import sys
from pathlib import Path

import pytest

import serinus

FORBIDDEN = {
    "asyncio", "socket", "ssl", "http", "urllib", "subprocess", "threading", "multiprocessing",
    "random", "time", "os", "pathlib", "io", "shutil", "tempfile", "select", "selectors",
    "aiohttp", "kubernetes", "structlog", "prometheus_client",
}  # fmt: skip
ROOT = Path(serinus.__file__).parent
MODULES = sorted(
    path for floor in ("api", "analysis", "rollout") for path in (ROOT / floor).rglob("*.py")
)


def imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_can_do_io(module: Path) -> None:
    source = module.read_text()
    assert not imports(source) & FORBIDDEN
    allowed = sys.stdlib_module_names | {"msgspec", "serinus", "yaml"}
    assert imports(source) <= allowed
    assert "open(" not in source


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 15
