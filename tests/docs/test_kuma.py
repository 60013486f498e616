"""docs/kuma.md and its neighbours against what they speak of: the objects that are written, the
texts that people read, what Kuma takes, and each other.

After a change of the golden files that is meant, put them into the document anew by
``SERINUS_GOLDEN=write python -m pytest tests/docs/test_kuma.py``.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from serinus.lint.check import check
from serinus.lint.kuma import groups
from serinus.routing.kuma.dialect import WORDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = DOCS / "kuma.md"
DOCUMENTS = [GUIDE, DOCS / "upgrading-kuma.md", DOCS / "migrating-from-flagger.md"]
GOLDEN = ROOT / "tests" / "kuma" / "golden"
BLOCK = re.compile(
    r"^<!-- (\w+)(?:: ([^\n]*?))? -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
ROW = re.compile(r"^\| `(.+?)` \| ", re.MULTILINE)
GAP = "\0"


def blocks(kind: str) -> list[tuple[str, str]]:
    """What is said of each YAML block of the guide of this kind, and the block."""
    return [(said, text) for found, said, text in BLOCK.findall(GUIDE.read_text()) if found == kind]


def test_every_manifest_is_of_a_kind_that_is_checked() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        assert text.count("```yaml") == len(BLOCK.findall(text)), document
    assert {kind for kind, _, _ in BLOCK.findall(GUIDE.read_text())} == {
        "golden",
        "lint",
        "prometheus",
    }


def test_the_objects_are_those_that_are_written() -> None:
    if os.environ.get("SERINUS_GOLDEN") == "write":
        GUIDE.write_text(BLOCK.sub(_anew, GUIDE.read_text()))
    found = blocks("golden")
    assert {said.split("/")[0] for said, _ in found} == {one.name for one in GOLDEN.iterdir()}
    for said, text in found:
        assert text == (GOLDEN / f"{said}.yaml").read_text(), said


def _anew(block: re.Match[str]) -> str:
    kind, said, _ = block.groups()
    if kind != "golden":
        return block[0]
    return f"<!-- golden: {said} -->\n```yaml\n{(GOLDEN / f'{said}.yaml').read_text()}```"


def test_what_has_to_be_there_is_taken_by_every_kuma_that_it_names() -> None:
    for versions, text in blocks("lint"):
        assert len(versions.split()) >= 3
        for version in versions.split():
            assert check([("kuma.md", text, True)], groups([version], "")) == ()


def test_the_scrape_configuration_sets_the_labels_that_series_are_known_by() -> None:
    ((_, text),) = blocks("prometheus")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert {"namespace", "pod"} <= {one.get("target_label") for one in job["relabel_configs"]}


def test_every_dialect_is_in_the_table() -> None:
    rows = re.findall(r"^\| .+ \| .+ \| `([a-z-]+)` \| ", GUIDE.read_text(), re.MULTILINE)
    assert set(rows) == set(WORDS)


def texts() -> Iterator[str]:
    """Every text in the sources; what is put in at run time is a gap."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else GAP
                    for part in node.values
                )


def quoted() -> list[str]:
    """The texts that the guide's part on troubleshooting says are seen."""
    _, _, part = GUIDE.read_text().partition("## Troubleshooting")
    events = re.findall(r"`([^`]*…[^`]*)`", part.replace("`…` stands for", ""))
    return sorted({*ROW.findall(part), *events})


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in text.split("…")), re.DOTALL)


def test_the_texts_that_are_quoted_are_said() -> None:
    said = list(texts())
    assert len(quoted()) > 30
    assert [text for text in quoted() if not any(pattern(text).search(one) for one in said)] == []


def test_no_quotation_is_too_short_to_be_wrong() -> None:
    assert [text for text in quoted() if len(text.replace("…", "").split()) < 3] == []


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    plain = re.sub(r"[`*]|\[([^]]*)]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    return {slug(line) for line in re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)}


PAGES = [
    page
    for folder in (ROOT, ROOT / "docs", ROOT / "examples", ROOT / "bench", ROOT / "tests")
    for page in sorted(folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for link in re.findall(r"]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)
    assert lost == []
