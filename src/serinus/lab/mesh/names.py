"""The names that Kuma gives to services and to what it makes in Envoy.

Until 2.14 most of them say what they are in their own ways ("legacy naming"); from 3.0 on all are
resource identifiers, or `self_` and what it is of the proxy itself ("unified naming").

Queries and dashboards match these names, so they are facts, not choices.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from serinus.lab.mesh.versions import ZONE

_SERVICE_TAG = re.compile(r"^(?P<name>.+)_(?P<namespace>.+)_svc_(?P<port>\d+)$")


def service_tag(name: str, namespace: str, port: int) -> str:
    """``kuma.io/service`` of a Service's port (the Service's port, not the container's)."""
    return f"{name}_{namespace}_svc_{port}"


def serviceless_tag(name: str, namespace: str) -> str:
    """``kuma.io/service`` of a pod that no Service selects."""
    return f"{name}_{namespace}_svc"


def is_service_tag(text: str) -> bool:
    """Whether a reference's name is a service tag and not the name of a MeshService."""
    return _SERVICE_TAG.match(text) is not None


def mesh_service_cluster(mesh: str, name: str, namespace: str, port: int) -> str:
    """The caller's cluster for one port of a MeshService."""
    return f"{mesh}_{name}_{namespace}_{ZONE}_msvc_{port}"


def self_inbound(port: str) -> str:
    """Unified: everything of the way in by a port, called as the container calls it."""
    return f"self_inbound_dp_{port}"


def subset_cluster(tag: str, extra: Mapping[str, str]) -> str:
    """The caller's cluster for the endpoints of a service that carry ``extra`` tags too."""
    if not extra:
        return tag
    text = "&".join(f"{key}={value}" for key, value in sorted(extra.items()))
    return f"{tag}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def kri(short: str, mesh: str, namespace: str, name: str, section: str = "") -> str:
    """Kuma's resource identifier; empty fields keep their underscore."""
    return f"kri_{short}_{mesh}_{ZONE}_{namespace}_{name}_{section}"


def matches_hash(matches: Sequence[Mapping[str, Any]]) -> str:
    """The name of a route that stands for no single policy: its matches, hashed.

    The hash of the bare ``/`` is the one that real control planes give; for richer matches the
    order of fields inside Kuma is not known, and the name differs.
    """
    ordered = []
    for match in matches:
        entry = dict(match)
        if path := entry.pop("path", None):
            entry = {"path": {"value": path["value"], "type": path["type"]}, **entry}
        ordered.append(entry)
    text = json.dumps(ordered, separators=(",", ":"))
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
