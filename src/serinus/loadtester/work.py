"""What a task does, and how it ended."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Result:
    """How a task ended; ``error`` is empty when it ended well. ``output`` and ``errors`` are what
    a command said on stdout and stderr."""

    output: str = ""
    errors: str = ""
    error: str = ""

    @property
    def words(self) -> str:
        """Everything it said."""
        return "\n".join(part for part in (self.output.strip(), self.errors.strip()) if part)


class Work(Protocol):
    """Something that is run once, for ``timeout`` seconds at most. It never raises for what went
    wrong in it, and when it is cancelled it ends what it has started."""

    async def run(self, timeout: float) -> Result: ...
