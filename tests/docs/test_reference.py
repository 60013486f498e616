"""The reference of the fields: generated, committed, complete."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from serinus.api.alertprovider import AlertProvider
from serinus.api.canary import Canary
from serinus.api.metrictemplate import MetricTemplate
from serinus.api.reference import entries, reference

ROOT = Path(__file__).parents[2]
FLAGGER = json.loads((ROOT / "tests" / "api" / "flagger_schema.json").read_text())
KINDS = {
    "canaries": (Canary, ("spec", "status")),
    "metrictemplates": (MetricTemplate, ("spec",)),
    "alertproviders": (AlertProvider, ("spec",)),
}


def test_the_committed_reference_is_the_generated_one() -> None:
    committed = (ROOT / "docs" / "reference" / "canary.md").read_text()
    assert committed == reference(), "write docs/reference/canary.md anew: serinus reference"


def test_the_command_prints_it() -> None:
    command = [str(Path(sys.executable).parent / "serinus"), "reference"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (reference(), "")


@pytest.mark.parametrize("plural", KINDS)
def test_every_path_of_flagger_has_its_entry_in_the_text(plural: str) -> None:
    resource, parts = KINDS[plural]
    written = {entry.path for part in parts for entry in entries(resource, part)}
    assert set(FLAGGER[plural]) - {"spec", "status"} <= written
    text = reference()
    section = text.partition(f"## {resource.__name__}: ")[2]
    for path in written:
        assert f"| `{path}` |" in section


def test_every_entry_is_whole() -> None:
    for resource, parts in KINDS.values():
        for part in parts:
            for entry in entries(resource, part):
                assert entry.sentence.endswith("."), entry.path
                assert entry.type, entry.path
