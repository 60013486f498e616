"""Where the control plane's programs are, once `build` has made them."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

DIRECTORY = REPOSITORY / ".setup" / "controlplane"

# The programs need little here: a test's cluster is small, and tests run side by side.
FRUGAL = {"GOGC": "30", "GOMEMLIMIT": "400MiB"}


class Missing(Exception):
    """A program has not been built."""


def program(name: str) -> Path:
    """``etcd``, ``kube-apiserver``, ``kube-controller-manager`` or ``helm``; raises `Missing`."""
    found = DIRECTORY / name
    if not os.access(found, os.X_OK):
        raise Missing(f"{name} has not been built: run `make test-cluster`, or {BUILD} alone")
    return found


BUILD = "tests/controlplane/build"
