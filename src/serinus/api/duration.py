"""Durations as Go writes them: "30s", "1m30s", "500ms", "1.5h"."""

import re
from functools import lru_cache

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


@lru_cache(1024)
def seconds(text: str) -> float:
    """The duration in seconds. Raises ValueError, with what would be right, for anything else."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    total, end = 0.0, 0
    for part in _PART.finditer(rest):
        if part.start() != end:
            break
        total += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    if not rest or end != len(rest):
        raise ValueError(f'"{text}" is not a duration; write for example "30s", "1m30s" or "500ms"')
    return sign * total
