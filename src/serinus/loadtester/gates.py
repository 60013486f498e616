"""Gates: what a person opens to let a canary go on, by the name under which each is kept."""

import re
from typing import Protocol

from serinus.loadtester.payload import Payload, PayloadError

LONGEST_KEY = 253
"""Characters that a ConfigMap's key may have."""

OPEN = "open"
"""What is kept for an open gate. A gate that is not there, or of which anything else is kept, is
closed."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class GatesUnavailable(Exception):
    """Where the gates are kept cannot be read or written now; the text says where and why."""


class GateStore(Protocol):
    """Where gates are kept. Both methods raise `GatesUnavailable`."""

    @property
    def place(self) -> str:
        """For people: where they are kept."""
        ...

    async def opened(self) -> frozenset[str]:
        """The keys of all open gates, as they are now."""
        ...

    async def put(self, key: str, is_open: bool) -> None:
        """Open or close a gate; whoever asks afterwards, wherever, is told so."""
        ...

    async def close(self) -> None:
        """Give back what the store holds; gates stay as they are."""
        ...


class MemoryGates:
    """Gates of this process alone, all closed when it starts, as Flagger's are."""

    place = "memory, until this load tester ends"

    def __init__(self) -> None:
        self._opened: set[str] = set()

    async def opened(self) -> frozenset[str]:
        return frozenset(self._opened)

    async def put(self, key: str, is_open: bool) -> None:
        if is_open:
            self._opened.add(key)
        else:
            self._opened.discard(key)

    async def close(self) -> None:
        return


def gate_key(payload: Payload, *, rollback: bool) -> str:
    """The name under which a canary's gate is kept; raises `PayloadError`.

    `NAME.NAMESPACE` for the gate of all its hooks, `NAME.NAMESPACE_GATE` for the one that
    `metadata.gate` names, and `rollback_` before either for a rollback's. No name in Kubernetes
    holds an underscore, so no two gates share a key. (A dot, as in Flagger, would make a canary
    called `rollback.podinfo` open podinfo's rollback.)
    """
    if not (_SUBDOMAIN.fullmatch(payload.name) and _LABEL.fullmatch(payload.namespace)):
        raise PayloadError(
            "whose gate? name and namespace must be a canary's:"
            ' write for example {"name":"podinfo","namespace":"test"}'
        )
    gate = (payload.metadata or {}).get("gate", "")
    if gate and not _LABEL.fullmatch(gate):
        raise PayloadError(
            "metadata.gate must be lower case letters, digits and dashes, at most 63 of them,"
            f' for example "confirm-promotion", not {gate[:100]!r}'
        )
    key = f"{'rollback_' if rollback else ''}{payload.canary}{'_' if gate else ''}{gate}"
    if len(key) > LONGEST_KEY:
        raise PayloadError(f"the names of canary and gate are longer than {LONGEST_KEY} together")
    return key
