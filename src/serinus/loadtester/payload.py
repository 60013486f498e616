"""What a webhook's body says."""

from collections.abc import Mapping

import msgspec


class PayloadError(ValueError):
    """A request that makes no sense; the text is the answer's body."""


class Payload(msgspec.Struct, frozen=True):
    """A webhook's body. ``metadata`` is the canary's `webhooks[].metadata`."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    checksum: str = ""
    metadata: Mapping[str, str] | None = None

    @property
    def canary(self) -> str:
        return f"{self.name}.{self.namespace}"


def decode(body: bytes) -> Payload:
    """Read a request's body; raises `PayloadError`."""
    try:
        return msgspec.json.decode(body, type=Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PayloadError(f"the body is not a webhook's payload in JSON: {error}") from None
