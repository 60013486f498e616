"""One rollout as it was seen, cut into the parts that it took time for."""

from dataclasses import dataclass

from serinus.lab.demo.board import Board

DECIDED = ("Copying ", "Rolling back ")
"""How the events begin that say how an analysis ended."""

ENDS = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Rollout:
    """Seconds of each part; ``end`` is the phase that it ended in.

    ``noticed``: from the change of the image until the canary's status tells of it. ``ready``:
    until the canary's pods get their first traffic. ``analysis``: until the decision. ``finish``:
    promotion or rollback, until nothing is left to do.
    """

    version: str
    end: str
    noticed: float
    ready: float
    analysis: float
    finish: float

    @property
    def total(self) -> float:
        return self.noticed + self.ready + self.analysis + self.finish

    @classmethod
    def of(cls, board: Board, version: str) -> "Rollout":
        """The last rollout of ``version``; raises ValueError when it was not seen whole."""
        try:
            asked = next(a for a in reversed(board.asked) if a.version == version).moment.clock
            passages = [p for p in board.passages if p.moment.clock >= asked]
            noticed = next(p for p in passages if p.phase == "Progressing").moment.clock
            end = next(p for p in passages if p.phase in ENDS)
            events = [t for t in board.events if t.moment.clock >= asked]
            first = next(t for t in events if t.message.startswith("Advance ")).moment.clock
            decided = next(t for t in events if t.message.startswith(DECIDED)).moment.clock
        except StopIteration:
            raise ValueError(f"the rollout of {version} was not seen from end to end") from None
        return cls(
            version,
            end.phase,
            noticed - asked,
            first - noticed,
            decided - first,
            end.moment.clock - decided,
        )
