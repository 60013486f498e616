"""A real control plane with Kuma's kinds in it, and the operator's way to it through the proxy."""

from pathlib import Path
from typing import Any, Self

from controlplane import ControlPlane
from executor.scene import Furnished
from faults.proxy import Proxy

Object = dict[str, Any]


class RealCluster(Furnished):
    """What a `Scene` plays in. Use as a context manager."""

    token = "admin-token"

    def __init__(self, root: Path, version: str = "2.14") -> None:
        self.root = root
        self.version = version
        self.plane = ControlPlane(root)

    def __enter__(self) -> Self:
        self.plane.__enter__()
        try:
            self.proxy = Proxy(self.plane.address)
            self.furnish(self.proxy)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if hasattr(self, "peers"):
            self.peers.__exit__()
        self.plane.stop()

    @property
    def address(self) -> str:
        return self.plane.address

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.plane.kubectl(*arguments, stdin=stdin, check=check)

    def apply(self, *objects: Object) -> None:
        self.plane.apply(*objects)

    def all(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        return self.plane.all(kind, namespace, selector)
