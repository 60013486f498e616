"""Every test that docs/security.md names is there: a promise without its test is none."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs/security.md"
_NAME = re.compile(r"`((?:tests/)?[\w/]*test_\w+(?:\.py)?)`")


def named() -> list[tuple[int, str]]:
    """Line and name of each file (with .py) and each test, in order."""
    lines = DOCUMENT.read_text().splitlines()
    return [(number, name) for number, line in enumerate(lines, 1) for name in _NAME.findall(line)]


def names_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_what_the_document_names_is_there() -> None:
    """A name without a folder is in `tests/faults`; a test is of the file named before it."""
    missing, files, tests = [], 0, 0
    file: Path | None = None
    for line, name in named():
        where = f"docs/security.md:{line}: {name}"
        if name.endswith(".py"):
            folder = REPOSITORY if "/" in name else REPOSITORY / "tests/faults"
            file = folder / name
            files += 1
            if not file.is_file():
                missing.append(where)
        else:
            tests += 1
            if file is None or not file.is_file() or name not in names_in(file):
                missing.append(where)
    assert missing == []
    assert files > 15 and tests > 15, "the document is read by other marks than it has"


def test_every_promise_names_a_test() -> None:
    rows = [
        (number, line)
        for number, line in enumerate(DOCUMENT.read_text().splitlines(), 1)
        if line.startswith("| ")
    ]
    untested, table = [], ""
    for number, line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "Promise":
            table = "promises"
        elif cells[0] in ("Rule", "What happens to a write"):
            table = ""
        elif table and not _NAME.search(line):
            untested.append(f"docs/security.md:{number}: {cells[0]}")
    assert untested == []
