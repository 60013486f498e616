"""What a run tells at its end."""

from dataclasses import dataclass, field

from conformance.differences import KNOWN

SERVERS = {"lab": "the lab's API server", "real": "kube-apiserver"}
CONTROLLERS = {"lab": "the lab's controllers", "real": "kube-controller-manager"}


@dataclass
class Report:
    """Counts are by server, ``lab`` or ``real``."""

    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """At which of the known places the lab has differed."""

    def lines(self) -> list[str]:
        told = [
            f"{count} {what} on {names[which]} {self.versions[which]}"
            for counts, names, what in (
                (self.cases, SERVERS, "cases"),
                (self.lives, CONTROLLERS, "lives"),
            )
            for which, count in sorted(counts.items())
        ]
        told.append("known differences of the lab, and in how many places:")
        return told + [f"  {len(one.places):2} {one.reason}" for one in KNOWN]


REPORT = Report()
"""This run's."""
