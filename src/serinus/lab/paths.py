"""Where a lab keeps its files."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The files of one lab below its root."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def state(self) -> Path:
        """The embedded API server's store (SQLite)."""
        return self.root / "state.db"

    @property
    def etcd(self) -> Path:
        """etcd's directory: the state of a lab with a real control plane."""
        return self.root / "etcd"

    @property
    def pki(self) -> Path:
        """Keys and certificates (`serinus.lab.pki`)."""
        return self.root / "pki"

    @property
    def tokens(self) -> Path:
        """Bearer tokens of people and components (`serinus.lab.apiserver.access.tokens`)."""
        return self.root / "tokens.json"

    @property
    def token_file(self) -> Path:
        """The same for a real API server (`serinus.lab.controlplane.files`)."""
        return self.root / "tokens.csv"

    @property
    def controllers_kubeconfig(self) -> Path:
        """How kube-controller-manager asks the API server, from inside the lab."""
        return self.root / "controllers.kubeconfig"

    @property
    def xds(self) -> Path:
        """Envoy's configuration: one directory per pod, named by the pod's uid."""
        return self.root / "xds"

    @property
    def prometheus(self) -> Path:
        return self.root / "prometheus"

    @property
    def pods(self) -> Path:
        """One directory per pod: volumes, container logs."""
        return self.root / "pods"

    @property
    def logs(self) -> Path:
        """What the lab's own processes print."""
        return self.root / "logs"


def labs_root() -> Path:
    """The directory that holds every lab of this user."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The standard wants a relative path to be ignored: each program would read it differently.
    base = state if state.is_absolute() else Path.home() / ".local" / "state"
    return base / "serinus" / "labs"


def lab_root(name: str) -> Path:
    """The root directory of the lab ``name``; a name that would leave it is a ValueError."""
    if not name or not all(c.isascii() and (c.isalnum() or c == "-") for c in name):
        raise ValueError(f"a lab's name is made of letters, digits and '-', not {name!r}")
    return labs_root() / name
