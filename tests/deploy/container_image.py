"""A built image, unpacked, and its programs run as an engine would run them."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What any process gets: an engine takes all of them away where a pod says `drop: [ALL]`.
UNPRIVILEGED = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


@dataclass(frozen=True, slots=True)
class Image:
    """An image's files and what its configuration says.

    ``borrowed`` are paths of this machine that stand in for a base image; a real image has none.
    ``layers`` are the archives that our Dockerfile adds to its base image, lowest first; there are
    none where the instructions were followed without an engine.
    """

    root: Path
    entrypoint: tuple[str, ...]
    user: str
    folder: str
    ports: frozenset[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    borrowed: tuple[str, ...] = ()
    layers: tuple[Path, ...] = ()

    def start(self, *flags: str) -> "subprocess.CompletedProcess[str]":
        return self.run(*self.entrypoint, *flags)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run words as the image's user, on a root that cannot be written, with an empty /tmp and
        no network but a loopback of its own."""
        uid, gid = self.user.split(":")
        # Real root can become the very user. Anyone else is shown as that user in a namespace,
        # where root's files then are nobody's.
        real = os.geteuid() == 0 and not self.borrowed
        become = ("setpriv", f"--reuid={uid}", f"--regid={gid}", *UNPRIVILEGED) if real else ()
        shown = () if real else ("--unshare-user", "--uid", uid, "--gid", gid)
        return bubblewrapped(
            ("--ro-bind", str(self.root), "/", *shown, "--unshare-net"),
            self.borrowed,
            {"HOME": "/", **self.environment},
            self.folder,
            (*become, *words),
        )


def bubblewrapped(
    root: tuple[str, ...],
    borrowed: tuple[str, ...],
    environment: Mapping[str, str],
    folder: str,
    words: tuple[str, ...],
) -> "subprocess.CompletedProcess[str]":
    mounts = [word for path in borrowed for word in ("--ro-bind-try", path, path)]
    variables = [word for pair in environment.items() for word in ("--setenv", *pair)]
    return subprocess.run(
        [
            *("bwrap", *root, *mounts, "--dev", "/dev", "--proc", "/proc"),
            *("--perms", "1777", "--tmpfs", "/tmp"),
            *("--unshare-pid", "--die-with-parent", "--clearenv", *variables),
            *("--chdir", folder, *words),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )
