"""Every difference from Flagger names tests that there are."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "flagger-compatibility.md"
CITED = re.compile(r"((?:`test_\w+`(?:, )?)+) \((tests/[\w/]+\.py)\)")


def test_every_row_of_a_difference_names_its_test() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| Flagger 1.44 |")]
    assert len(rows) > 30
    assert [row for row in rows if not CITED.search(row.rsplit(" | ", 1)[1])] == []


def test_the_tests_that_are_named_exist() -> None:
    text = DOCUMENT.read_text()
    missing = []
    for names, path in CITED.findall(text):
        tree = ast.parse((ROOT / path).read_text())
        there = {getattr(node, "name", "") for node in tree.body}
        missing += [name for name in re.findall(r"test_\w+", names) if name not in there]
    assert missing == []
    cited = sum(len(re.findall(r"`test_\w+`", names)) for names, _ in CITED.findall(text))
    assert cited == len(re.findall(r"`test_\w+`", text)), "a test is named without its file"
