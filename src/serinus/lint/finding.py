"""What is wrong in a file, and where."""

import enum
from dataclasses import dataclass


class Level(enum.Enum):
    """An ERROR keeps the canary from being rolled out as its manifest says; a WARNING may not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """``line`` and ``column`` count from 1 and are those of the field at ``path``, or of what is
    nearest to it where the field is missing. ``subject`` is the object: Kind/name."""

    rule: str
    level: Level
    file: str
    line: int
    column: int
    subject: str
    path: str
    reason: str
    fix: str

    def __str__(self) -> str:
        told = f"{self.path}: {self.reason}" if self.path else self.reason
        fixed = f"{told}; {self.fix}" if self.fix else told
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where} {self.level.value} {self.subject} {fixed} [{self.rule}]"
