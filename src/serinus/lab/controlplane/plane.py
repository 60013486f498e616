"""What the node asks of a control plane, whichever it is."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

Part = Callable[[], Awaitable[None]]
"""Runs until cancelled."""


class ControlPlane(Protocol):
    """Parts of a lab, by name."""

    def servers(self) -> Mapping[str, Part]:
        """What answers requests: people's on 127.0.0.1, the lab's at the node's address."""

    def controllers(self) -> Mapping[str, Part]:
        """What acts on objects; to be started once the API server answers."""
