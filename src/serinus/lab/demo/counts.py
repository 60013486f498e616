"""What the traffic pod has counted, added up from the lines that it prints."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec


class Failure(msgspec.Struct, frozen=True):
    """One request that was not answered with a 200; ``at`` is when it was sent (Unix time)."""

    at: float
    why: str


class Report(msgspec.Struct, frozen=True):
    """One second, as `serinus.lab.demo.traffic` prints it."""

    number: int
    at: float
    answers: dict[str, dict[str, int]]
    p99_ms: dict[str, float]
    failed: int
    failures: list[Failure]

    @property
    def by_version(self) -> dict[str, int]:
        """Good answers of that second."""
        return {
            version: statuses["200"]
            for version, statuses in self.answers.items()
            if "200" in statuses
        }


@dataclass(slots=True)
class Counts:
    """Everything since the traffic began."""

    by_version: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    last: Report | None = None
    recent: list[Report] = field(default_factory=list)
    """The last seconds, for shares of the traffic as it is now."""

    @property
    def requests(self) -> int:
        """All requests that have had their end, good or bad."""
        return sum(self.by_version.values()) + self.failed

    def add(self, line: bytes, window: int = 3) -> bool:
        """Take a line in; whether it was a new report. Others (a log read again) are passed by."""
        try:
            report = msgspec.json.decode(line, type=Report)
        except msgspec.DecodeError:
            return False
        if self.last is not None and report.number <= self.last.number:
            return False
        self.last = report
        self.by_version.update(report.by_version)
        self.failed += report.failed
        self.failures += report.failures
        self.recent = [*self.recent, report][-window:]
        return True

    def share(self, version: str) -> float | None:
        """Percent of the latest good answers that came from ``version``; None without any."""
        latest: Counter[str] = Counter()
        for report in self.recent:
            latest.update(report.by_version)
        total = sum(latest.values())
        return 100.0 * latest[version] / total if total else None
