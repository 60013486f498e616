"""What a container sees as its file system.

The root is a fresh tmpfs, so a container may create what it likes and nothing of it stays. The
machine's own directories are in it read-only, because an image is a way to run a program of this
machine (`serinus.lab.images`). What is not there: the machine's /etc (but for the few files that
programs need), /run, /tmp, and the directory of all labs, which holds keys and tokens.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import serinus
from serinus.lab.paths import labs_root

_OWN = frozenset({"/proc", "/dev", "/tmp", "/run", "/etc", "/lost+found", "/boot"})
"""Top-level directories that are not the machine's in a container."""

_ETC = (
    "alternatives",
    "ca-certificates",
    "group",
    "inputrc",
    "ld.so.cache",
    "localtime",
    "login.defs",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "profile",
    "protocols",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
)


@dataclass(frozen=True, slots=True)
class Mount:
    """``source`` of the machine at ``target`` of the container."""

    source: Path
    target: str
    read_only: bool = True


def root_arguments() -> list[str]:
    """bwrap's arguments for the part that is the same in every container."""
    arguments = ["--tmpfs", "/"]
    for entry in sorted(Path("/").iterdir()):
        if str(entry) not in _OWN:
            arguments += _shown(entry)
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]
    arguments += ["--perms", "1777", "--tmpfs", "/tmp", "--dir", "/run", "--dir", "/etc"]
    for name in _ETC:
        entry = Path("/etc") / name
        if entry.exists():
            arguments += _shown(entry)
    hidden = labs_root()
    if hidden.is_dir():
        arguments += ["--tmpfs", str(hidden)]
    return arguments


def program_arguments() -> list[str]:
    """bwrap's arguments that show the interpreter and this package where they would be hidden.

    They come after a container's own mounts: a checkout may lie in /tmp, and many a pod mounts a
    volume there.
    """
    arguments = []
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(serinus.__file__).parent.parent}
    for path in sorted(places):
        if any(path.is_relative_to(own) for own in _OWN):
            arguments += _shown(path)
    return arguments


def mount_arguments(mounts: Iterable[Mount], workdir: str) -> list[str]:
    """bwrap's arguments for a container's own mounts, outer directories first.

    ``workdir`` is made when it is not there, as a container runtime does.
    """
    opened: set[Path] = set()
    place = _place(workdir)
    arguments = [] if place.is_dir() else [*_opened(place, opened), "--dir", str(place)]
    for mount in sorted(mounts, key=lambda mount: len(PurePosixPath(mount.target).parts)):
        target = _place(mount.target)
        arguments += _opened(target, opened)
        kind = "--ro-bind" if mount.read_only else "--bind"
        arguments += [kind, str(mount.source), str(target)]
    return arguments


def _top(path: Path) -> str:
    return str(Path("/", *path.parts[1:2]))


def _place(target: str) -> Path:
    """Where a path leads in the container: the machine's symbolic links (/var/run) count."""
    path = Path(target)
    return path if _top(path) in _OWN else path.resolve()


def _shown(entry: Path) -> list[str]:
    if entry.is_symlink():
        return ["--symlink", str(entry.readlink()), str(entry)]
    return ["--ro-bind", str(entry), str(entry)]


def _opened(target: Path, opened: set[Path]) -> list[str]:
    """Arguments that let a mount point be made inside one of the machine's directories.

    Those are read-only here, so where the mount point does not exist, the nearest directory
    above it becomes a tmpfs that shows the same entries again.
    """
    if target.exists() or _top(target) in _OWN or not Path(_top(target)).exists():
        return []
    parent = target.parent
    while not parent.is_dir():
        parent = parent.parent
    if parent == Path("/") or parent in opened:
        return []
    opened.add(parent)
    arguments = ["--tmpfs", str(parent)]
    for entry in sorted(parent.iterdir()):
        arguments += _shown(entry)
    return arguments


def script_mounts(directory: Path, workdir: str, names: Sequence[str]) -> list[Mount]:
    """The mounts that put an image's tools, files in ``directory``, into its ``workdir``."""
    return [Mount(directory / name, f"{workdir.rstrip('/')}/{name}") for name in names]
