"""The demo's few colours, and how it writes numbers."""

from collections.abc import Mapping
from types import MappingProxyType

PRIMARY = "steel_blue1"
CANARY = "light_goldenrod2"
GOOD = "green3"
BAD = "indian_red1"
QUIET = "grey50"

PHASES: Mapping[str, str] = MappingProxyType(
    {"Succeeded": f"bold {GOOD}", "Initialized": f"bold {GOOD}", "Failed": f"bold {BAD}"}
)


def number(count: int) -> str:
    """A count with thin spaces between the thousands."""
    return f"{count:,}".replace(",", "\u2009")
