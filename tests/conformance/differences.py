"""Where the lab's API server knowingly answers otherwise than the real one, and why."""

from conformance.comparison import Difference

KNOWN: tuple[Difference, ...] = ()
