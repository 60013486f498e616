"""`serinus lint`, as a person and a pipeline run it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lint.manifests import CANARY, NAMESPACE, edited
from serinus.lint.check import check, declared
from serinus.lint.finding import Level
from serinus.lint.kuma import groups

REPOSITORY = Path(__file__).parents[2]
SERINUS = Path(sys.executable).parent / "serinus"
BROKEN = edited(CANARY, ("stepWeight: 10", "stepWeight: 101"))
DOUBTFUL = edited(CANARY, ("interval: 30s", "interval: 5s"))


def run(*words: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERINUS, "lint", *words],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_what_is_well_says_nothing() -> None:
    done = run("-", "--kuma", "2.14", stdin=CANARY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_names_file_line_field_reason_fix_and_rule(tmp_path: Path) -> None:
    (tmp_path / "canary.yaml").write_text(BROKEN)
    done = run("canary.yaml", "--kuma", "2.14", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == (
        "canary.yaml:18:5 error Canary/podinfo spec.analysis.stepWeight: is 101; use the"
        " percentage that each step adds, from 1 to 100 [canary/sense]\n"
    )


def test_warnings_alone_are_no_failure() -> None:
    done = run("-", "--kuma", "2.14", stdin=DOUBTFUL)
    assert done.returncode == 0
    assert done.stdout.startswith("stdin:15:5 warning Canary/podinfo spec.analysis.interval: ")


def test_findings_as_data() -> None:
    done = run("-", "--kuma", "2.14", "-o", "json", stdin=BROKEN)
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)
    assert found == {
        "file": "stdin",
        "line": 18,
        "column": 5,
        "level": "error",
        "rule": "canary/sense",
        "object": "Canary/podinfo",
        "path": "spec.analysis.stepWeight",
        "reason": "is 101",
        "fix": "use the percentage that each step adds, from 1 to 100",
    }


def test_findings_as_annotations_of_a_pipeline() -> None:
    done = run("-", "--kuma", "2.14", "-o", "github", stdin=BROKEN)
    assert done.stdout.startswith("::error file=stdin,line=18,col=5,title=canary/sense::spec.")


def test_a_directory_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text(BROKEN)
    (tmp_path / "base" / "canary.yml").write_text(CANARY)
    (tmp_path / "values.yaml").write_text("replicas: 2\n")
    (tmp_path / "README.md").write_text("kind: [")
    (tmp_path / "test.yaml").write_text(edited(NAMESPACE, ("labels", "annotations")))
    done = run(".", "--kuma", "2.14", cwd=tmp_path)
    rules = sorted(line.rpartition("[")[2].rstrip("]") for line in done.stdout.splitlines())
    assert rules == ["kuma/injection-annotation", "kuma/injection-label"]


def test_objects_without_a_namespace_are_of_the_one_that_is_told() -> None:
    bare = CANARY.replace("  namespace: test\n", "")
    place = NAMESPACE.replace("name: test", "name: play").replace("enabled", "disabled")
    both = f"{bare}---\n{place}"
    assert run("-", "--kuma", "2.14", stdin=both).returncode == 0
    assert run("-", "--kuma", "2.14", "-n", "play", stdin=both).returncode == 1


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ([], 2, "Missing argument"),
        (["-", "--kuma", "1.0"], 2, "use 1.8 or 2.7 or 2.14 or 3.0"),
        (["-", "--mesh-services", "x"], 2, "use exclusive or disabled"),
        (["-", "-o", "xml"], 2, "write one of text, json, github"),
        (["nowhere.yaml"], 2, "cannot read nowhere.yaml: No such file or directory"),
    ],
    ids=str,
)
def test_errors_of_usage(words: list[str], status: int, text: str, tmp_path: Path) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kuma", ["2.7", "2.14", "3.0"])
def test_what_is_shipped_is_well(kuma: str) -> None:
    for file in sorted((REPOSITORY / "examples").rglob("*.yaml")):
        found = check([(str(file), file.read_text(), True)], groups([kuma], ""))
        assert [str(one) for one in found if one.level is Level.ERROR] == []


def test_every_rule_is_documented() -> None:
    text = (REPOSITORY / "docs" / "lint.md").read_text()
    rules = text.partition("## The rules")[2]
    listed = [line for line in rules.splitlines() if line.startswith("| `")]
    assert listed == [f"| `{rule.name}` | {rule.says} |" for rule in declared()]


def test_the_traps_are_held_by_rules_that_there_are() -> None:
    text = (REPOSITORY / "docs" / "lint.md").read_text()
    traps = text.partition("## The traps of Kuma")[2].partition("## The rules")[0]
    named = set(re.findall(r"`([a-z-]+/[a-z-]+)`", traps))
    assert len(named) > 30
    assert named <= {rule.name for rule in declared()}
