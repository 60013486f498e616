"""The programs of a real control plane, in a directory that a person names."""

import os
from dataclasses import dataclass
from pathlib import Path


class MissingPrograms(ValueError):
    """A directory does not hold the programs; the message says which, and how to get them."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are; `find` makes sure that they can be run."""

    directory: Path

    @property
    def etcd(self) -> Path:
        return self.directory / "etcd"

    @property
    def api_server(self) -> Path:
        return self.directory / "kube-apiserver"

    @property
    def controller_manager(self) -> Path:
        return self.directory / "kube-controller-manager"


def find(directory: Path) -> Programs:
    """The programs in ``directory``; raises `MissingPrograms`."""
    programs = Programs(directory.absolute())
    wanted = (programs.etcd, programs.api_server, programs.controller_manager)
    missing = [file.name for file in wanted if not (file.is_file() and os.access(file, os.X_OK))]
    if missing:
        raise MissingPrograms(
            f"{directory} has no {' and no '.join(missing)} to run; `tests/controlplane/build` in "
            "Serinus' folder builds them into .setup/controlplane: "
            "--control-plane .setup/controlplane"
        )
    return programs
