"""What `tools/setup` says on a machine where something is missing. Nothing is installed here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "tools" / "setup"


class Machine:
    """A PATH of our choice. What is in the directories for administrators is there all the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bash", "cat", "dirname", "basename", "readlink", "env"):
            self.link(name)
        (folder / "python3").symlink_to(Path(sys.executable).resolve())

    def link(self, name: str) -> None:
        found = shutil.which(name)
        assert found is not None
        (self.folder / name).symlink_to(found)

    def program(self, name: str, text: str) -> None:
        file = self.folder / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)

    def setup(self) -> str:
        """What setup says before it gives up."""
        done = subprocess.run(
            [SETUP],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": str(self.folder), "HOME": str(self.folder)},
        )
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_ordinary_user_is_told_what_to_install(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    machine.program("apt-get", f"touch {machine.folder}/called")
    for name in ("unshare", "mount", "ps", "prometheus", "curl", "wget"):
        machine.link(name)
    said = machine.setup()
    assert "not installed: bwrap, " in said
    assert "Run: sudo apt-get update && sudo apt-get install" in said
    assert " bubblewrap " in said
    assert " prometheus" not in said
    assert not (machine.folder / "called").exists()


def test_a_system_without_apt_is_told_the_programs(machine: Machine) -> None:
    said = machine.setup()
    assert "prometheus" in said
    assert "There is no apt-get here" in said


def test_an_old_python_is_named(machine: Machine) -> None:
    machine.program("python3", '[ "$1" = --version ] && echo Python 3.9.2\nexit 1')
    assert "Python 3.11 or newer is needed; python3 is Python 3.9.2." in machine.setup()


def test_a_python_that_cannot_make_environments(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    machine.program("apt-get", "exit 1")
    machine.program("python3", '[[ "$2" == *ensurepip* ]] && exit 1\nexit 0')
    said = machine.setup()
    assert "Python's ensurepip" in said
    assert "python3-venv" in said
