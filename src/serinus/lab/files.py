"""The directory of all labs on this machine: locked, filled, emptied."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serinus.lab.paths import labs_root

ENOUGH_SPACE = 200 << 20
"""Bytes on disk that a lab wants: Prometheus' samples and the pods' logs are what grows."""


@contextmanager
def only_one() -> Iterator[None]:
    """Keep two commands from starting or ending labs at the same moment.

    The directory of all labs is there meanwhile, and goes when it is empty; so what is locked is
    the one around it, which stays.
    """
    root = labs_root()
    root.parent.parent.mkdir(parents=True, exist_ok=True)
    directory = os.open(root.parent.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    finally:
        for emptied in (root, root.parent):
            try:
                emptied.rmdir()
            except OSError:
                # A lab's files are there, or a person's.
                break
        os.close(directory)


def check_space() -> None:
    """Raise OSError where a lab would soon run out of disk."""
    free = shutil.disk_usage(labs_root()).free
    if free < ENOUGH_SPACE:
        words = f"only {free >> 20} MB are free, a lab wants {ENOUGH_SPACE >> 20}"
        raise OSError(errno.ENOSPC, words, str(labs_root()))


def take_away(root: Path) -> None:
    """Delete a directory, also when a pod has closed a part of it to everyone."""
    try:
        shutil.rmtree(root)
    except FileNotFoundError:
        return
    except PermissionError:
        for directory, below, _ in os.walk(root):
            for path in (Path(directory, name) for name in below):
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(root)
