"""One chat service's address, and the request that brings a notice there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from serinus.delivery.post import origin

USERNAME = "flagger"
CHANNEL = "general"
"""What Flagger writes where an AlertProvider does not say; receivers' filters may rely on it."""

SHORTEST_SECRET = 8
"""Characters: shorter parts of an address are words like "api", and may be told."""

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
        """The text (an answer of the service, say) without what is secret of this receiver: pages
        of the kind "no such path: /services/..." show the address back."""
        parts = urlsplit(self.address)
        secrets = [self.token, parts.password or "", parts.query, *parts.query.split("&")]
        secrets += [pair.partition("=")[2] for pair in parts.query.split("&")]
        secrets += parts.path.split("/")
        secrets += [unquote(secret) for secret in secrets]
        for secret in sorted(set(secrets), key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "...")
        return text


@dataclass(frozen=True, slots=True)
class Request:
    """A JSON document to POST."""

    url: str = field(repr=False)
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
