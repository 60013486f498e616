"""What is wrong with a resource, where, and what would be right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the Canary that keeps it from being rolled out.

    ``path`` is the field (such as ``spec.analysis.stepWeight``), ``message`` says what is wrong
    and what would be right.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
