"""What a container sees as its file system."""

import sys
from pathlib import Path

import pytest

from serinus.lab.kubelet.rootfs import Mount, mount_arguments, program_arguments


def test_a_checkout_in_tmp_is_seen_by_pods_that_mount_a_volume_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = "/tmp/checkout/.venv"
    monkeypatch.setattr(sys, "prefix", interpreter)
    volume = Mount(tmp_path, "/tmp", read_only=False)
    arguments = [*mount_arguments([volume], "/tmp"), *program_arguments()]
    shown = arguments.index(interpreter)
    assert arguments[shown - 1 : shown + 2] == ["--ro-bind", interpreter, interpreter]
    assert arguments.index("--bind") < shown
