"""The name of a pod template's content.

Two templates have the same revision exactly when they are the same JSON value: neither the order
of keys nor the way a number is written counts, everything else does. Flagger's hash depends on
the Go structs of the release that computed it, so that an upgrade starts every canary anew;
canonical JSON does not.
"""

from hashlib import sha256
from typing import Any

import msgspec

VERSION = "v1"
"""Of the canonical form. A status that names another version cannot be compared with ours."""

DIGITS = 32
"""Hex digits kept: 128 bits, so no two templates of a cluster will ever share a revision."""


def revision(template: msgspec.Raw | bytes) -> str:
    """``v1:`` and the hash of a JSON text (usually of a pod template)."""
    value = _canonical(msgspec.json.decode(template))
    digest = sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
    return f"{VERSION}:{digest[:DIGITS]}"


def _canonical(value: Any) -> Any:
    """The value with each number written one way: whole numbers as integers."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
