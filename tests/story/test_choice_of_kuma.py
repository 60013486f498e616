"""`make story KUMA=...`: what it would run, and what it refuses."""

import os
import subprocess
from pathlib import Path

import pytest

from serinus.lab.mesh.versions import PLAYED

ROOT = Path(__file__).parents[2]
ITS_OWN = ("MAKEFLAGS", "KUMA", "CONTROL_PLANE")


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """``make story`` without running anything of it."""
    command = ["make", "--dry-run", "--no-print-directory", "story", *words]
    # The make that runs these tests says nothing about this one.
    environment = {name: value for name, value in os.environ.items() if name not in ITS_OWN}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kuma", PLAYED)
def test_each_kuma_that_the_lab_plays_can_be_chosen(kuma: str) -> None:
    for plane in ([], ["CONTROL_PLANE=real"]):
        done = make(f"KUMA={kuma}", *plane)
        assert done.returncode == 0, done.stderr
        assert f'SERINUS_STORY_KUMA="{kuma}"' in done.stdout
        assert ("SERINUS_STORY_CONTROL_PLANE=" in done.stdout) == bool(plane)


def test_without_a_choice_every_story_is_played() -> None:
    assert make().stdout.rstrip().endswith("pytest tests/story")


@pytest.mark.parametrize("kuma", ["2.9", "3", "2.14 3.1"])
def test_any_other_is_refused_with_the_list(kuma: str) -> None:
    done = make(f"KUMA={kuma}")
    assert done.returncode != 0
    assert f"KUMA is one of {' '.join(PLAYED)} or not set at all, not `{kuma}`" in done.stderr
    assert "pytest" not in done.stdout
