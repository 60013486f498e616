"""One chat service's address, and the request that brings a notice there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serinus.delivery.address import origin, redacted

USERNAME = "flagger"
CHANNEL = "general"
"""What Flagger writes where an AlertProvider does not say; receivers' filters may rely on it."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go, and under which name. Empty ``username`` and ``channel`` leave it to the
    service. The address is a secret: whoever has it can post."""

    type: str
    address: str = field(repr=False)
    token: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)
    username: str = USERNAME
    channel: str = CHANNEL

    @property
    def shown(self) -> str:
        """The address as far as it may be told."""
        return origin(self.address)

    def redacted(self, text: str) -> str:
        """The text, such as an answer of the service, without what is secret of this receiver."""
        return redacted(text, self.address, self.token)


@dataclass(frozen=True, slots=True)
class Request:
    """A JSON document to POST."""

    url: str = field(repr=False)
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
