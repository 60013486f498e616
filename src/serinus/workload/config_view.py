"""What the caches hold of ConfigMaps and Secrets: whose they are and a checksum, never the data.

The checksum is the one that Flagger writes to `status.trackedConfigs`, so a status of Flagger's
goes on being true: the first 8 bytes, in hex, of the SHA-256 of ``data`` as Go writes JSON.
Flagger overlooks ``binaryData``; here it counts where there is any, because a primary without it
does not run what was judged.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, field

from serinus.workload.views import ObjectMeta

OPT_OUT = "flagger.app/config-tracking"
"""Annotation of a ConfigMap or Secret that begins with ``disable`` where it is not to be tracked:
both sides then use the same object."""

TRACKED_TYPES = frozenset(
    {"Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"}
)
"""Types of Secrets that hold what users write. Others belong to a machinery that renews them."""

WITHOUT_RELEASES = "type!=helm.sh/release.v1"
"""Field selector for the cache of Secrets: Helm keeps a big one per release, which no pod uses."""

_ESCAPED_BY_GO = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in ("<", ">", "&", "\u2028", "\u2029")}
)


class ConfigView(Struct, frozen=True, gc=False):
    """A ConfigMap or Secret. ``tracked`` says whether copies of it are made."""

    metadata: ObjectMeta
    tracked: bool
    checksum: str


class _Config(Struct):
    metadata: ObjectMeta
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = field(default=None, name="binaryData")
    type: str = ""


_configs = msgspec.json.Decoder(_Config)


def decode_configmap(raw: bytes) -> ConfigView:
    """The view of one v1 ConfigMap. Raises msgspec.ValidationError on another shape."""
    found = _configs.decode(raw)
    return _view(found, tracked=True)


def decode_secret(raw: bytes) -> ConfigView:
    """The view of one v1 Secret. Raises msgspec.ValidationError on another shape."""
    found = _configs.decode(raw)
    return _view(found, tracked=(found.type or "Opaque") in TRACKED_TYPES)


def _view(found: _Config, *, tracked: bool) -> ConfigView:
    tracked = tracked and not found.metadata.annotations.get(OPT_OUT, "").startswith("disable")
    # A hash of a short secret can be guessed backwards, so none is kept without need.
    digest = checksum(found.data, found.binary_data) if tracked else ""
    return ConfigView(found.metadata, tracked, digest)


def checksum(data: Mapping[str, str] | None, binary_data: Mapping[str, str] | None = None) -> str:
    """16 hex digits for the content of a ConfigMap or Secret."""
    text = _as_go(data)
    if binary_data:
        text += _as_go(binary_data)
    return sha256(text.encode()).digest()[:8].hex()


def _as_go(data: Mapping[str, Any] | None) -> str:
    """JSON as Go's encoding/json writes a map of strings; an empty one is absent, so null."""
    if not data:
        return "null"
    text = json.dumps(dict(data), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.translate(_ESCAPED_BY_GO)
