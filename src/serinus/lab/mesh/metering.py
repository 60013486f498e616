"""Which of its metrics a sidecar shows: MeshMetric, and before it the Mesh's own metrics backend.

Kuma's data plane filters what it shows; here Envoy shows everything and Prometheus leaves out what
it would not have been shown, which comes to the same in every query.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serinus.lab.mesh.model import Obj, Proxy, World
from serinus.lab.mesh.policies import reaching


@dataclass(frozen=True, slots=True, order=True)
class Exposure:
    """Two regular expressions of whole names: those that match ``dropped`` and do not match
    ``kept`` are not shown. Empty, they match none."""

    dropped: str = ""
    kept: str = ""


def exposure(world: World, proxy: Proxy) -> Exposure | None:
    """What the sidecar shows; None when it shows nothing to Prometheus at all."""
    if proxy.mesh in world.metered:
        return Exposure()
    said: dict[str, Any] = {}
    for policy in reaching(world.version, world.metrics, proxy):
        said = _merged(said, policy["spec"].get("default") or {})
    if not any(backend.get("type") == "Prometheus" for backend in said.get("backends") or ()):
        return None
    profiles = (said.get("sidecar") or {}).get("profiles") or {}
    names = [profile["name"] for profile in profiles.get("appendProfiles") or ()]
    dropped = [_pattern(one) for one in profiles.get("exclude") or ()]
    if names and set(names) == {"None"}:
        dropped = [".*"]
    kept = [_pattern(one) for one in profiles.get("include") or ()]
    return Exposure("|".join(dropped), "|".join(kept))


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The two as a JSON merge patch: objects are merged, all else is replaced."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(before, value)
        else:
            result[key] = value
    return result


def _pattern(selector: Obj) -> str:
    match, kind = str(selector.get("match", "")), selector.get("type")
    literal = re.escape(match)
    patterns = {"Exact": literal, "Prefix": f"{literal}.*", "Contains": f".*{literal}.*"}
    return patterns.get(str(kind), match)
