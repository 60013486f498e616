"""What a person is told on a machine that lacks something: the machine is made to lack it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serinus.lab.requirements import COMMANDS, lacking, search_path

SETUP = Path(__file__).parents[3] / "tools" / "setup"

needs_namespaces = pytest.mark.skipif(
    bool(lacking()), reason=f"this machine lacks {[str(x) for x in lacking()]}"
)


HIDE = """hide() {
  for program do mount --bind /dev/null "$(readlink -f "$(command -v "$program")")"; done
}
"""
"""Covers programs' files with one that cannot be run, wherever links lead."""


def up(state: Path, *, lacks: str) -> tuple[int, str]:
    """``serinus lab up`` after a shell script, in a user namespace of its own."""
    serinus = [str(Path(sys.executable).parent / "serinus"), "lab", "up", "--name", "lacking"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-ec", f'{HIDE}{lacks}; exec "$@"', "sh", *serinus],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(state), "PATH": search_path()},
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@needs_namespaces
@pytest.mark.lab
@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ("hide bwrap", ["not installed: bwrap", "install", "bubblewrap"]),
        ("hide prometheus", ["not installed: prometheus"]),
        ("hide iptables-restore", ["not installed: iptables-restore", "iptables"]),
        ("hide unshare", ["not installed: unshare", "util-linux"]),
        ("hide hey wget", ["not installed: hey, wget"]),
        (
            "echo 0 >/proc/sys/user/max_user_namespaces",
            ["user namespaces cannot be made", "sudo sysctl user.max_user_namespaces=10000"],
        ),
        (
            "echo 0 >/proc/sys/user/max_net_namespaces",
            ["user namespaces cannot be made", "sudo sysctl user.max_net_namespaces=10000"],
        ),
        (
            "echo 9 >/proc/sys/user/max_inotify_instances",
            ["9 more inotify instances", "sudo sysctl fs.inotify.max_user_instances="],
        ),
        ('mount -t tmpfs -o size=1m t "$XDG_STATE_HOME"', ["only 1 MB are free", "XDG_STATE_HOME"]),
        ('mount -t tmpfs -o ro t "$XDG_STATE_HOME"', ["Read-only file system", "XDG_STATE_HOME"]),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0],
)
def test_what_is_missing_is_named_with_its_remedy(
    tmp_path: Path, lacks: str, words: list[str]
) -> None:
    status, said = up(tmp_path, lacks=lacks)
    assert status == 1, said
    assert said.startswith("serinus: ")
    for word in words:
        assert word in said
    assert list(tmp_path.iterdir()) == []


@needs_namespaces
@pytest.mark.lab
def test_without_apt_get_nobody_is_told_to_use_it(tmp_path: Path) -> None:
    lacks = "hide bwrap; ! command -v apt-get >/dev/null || hide apt-get"
    status, said = up(tmp_path, lacks=lacks)
    assert status == 1
    assert "apt-get" not in said
    assert "this system's own means" in said


def test_setup_installs_what_a_lab_asks_for() -> None:
    table = SETUP.read_text().split('programs="\n')[1].split('"\n')[0]
    listed = dict(line.split() for line in table.splitlines())
    assert set(COMMANDS.values()) <= set(listed.values())
    assert all(listed[name] == COMMANDS[name] for name in listed.keys() & COMMANDS.keys())
