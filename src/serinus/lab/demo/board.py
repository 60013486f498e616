"""All that the demo knows at one moment: what the view shows, and what the story waits for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from serinus.lab.demo.counts import Counts


class StoryBroken(Exception):
    """The story does not go on, or goes another way; the message says what was waited for."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, by two clocks: Unix time and the demo's own seconds."""

    at: float
    clock: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(time.time(), time.monotonic())


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the canary, when it was (last) told."""

    moment: Moment
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What Prometheus says of one Service's pods; None where it says nothing."""

    success_percent: float | None = None
    p99_ms: float | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """The canary entered a phase."""

    moment: Moment
    phase: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The target's template came to name another version."""

    moment: Moment
    version: str


@dataclass(slots=True)
class Board:
    """Written by the watchers, read by everybody else. `changed` wakes who waits."""

    phase: str = ""
    weight: int = 0
    failed_checks: int = 0
    refusal: str = ""
    """Why the canary is not obeyed, if it is not."""
    stable: str = ""
    """The version that the primary's template names."""
    wanted: str = ""
    """The version that the target's template names."""
    asked: list[Asked] = field(default_factory=list)
    doing: str = "starting"
    """What the story waits for, for people."""
    events: list[Told] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    primary: Figures = Figures()
    canary: Figures = Figures()
    _waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self) -> None:
        """Have everybody who waits look again."""
        self._waiting.set()
        self._waiting = asyncio.Event()

    def enter(self, phase: str, weight: int, failed_checks: int, refusal: str) -> None:
        """The canary's status, as the watch just showed it."""
        if phase != self.phase:
            self.passages.append(Passage(Moment.now(), phase))
        self.phase, self.weight = phase, weight
        self.failed_checks, self.refusal = failed_checks, refusal
        self.changed()

    def ask(self, version: str) -> None:
        """The target's template names ``version``, as the watch just showed."""
        if version != self.wanted:
            self.wanted = version
            self.asked.append(Asked(Moment.now(), version))
            self.changed()

    def tell(self, type_: str, message: str) -> None:
        """An event of the canary was told, or told again."""
        self.events.append(Told(Moment.now(), type_, message))
        self.changed()

    async def next_change(self) -> None:
        """Return once anything is different."""
        await self._waiting.wait()

    async def until(
        self,
        holds: Callable[[], bool],
        seconds: float,
        what: str,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait until ``holds``; for at most ``seconds``, while not ``lost``.

        Raises:
            StoryBroken: naming ``what`` was waited for.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    if lost():
                        raise StoryBroken(self._complaint(time.monotonic() - began, what))
                    await self._waiting.wait()
        except TimeoutError:
            raise StoryBroken(self._complaint(seconds, what)) from None

    def _complaint(self, seconds: float, what: str) -> str:
        lines = [f"waited {seconds:.0f}s for {what}; the canary is {self.phase or 'not there'}"]
        if self.refusal:
            lines.append(f"it is not obeyed: {self.refusal}")
        lines += [f"{told.type}: {told.message}" for told in self.events[-5:]]
        return "\n  ".join(lines)

    def phase_at(self, at: float) -> str:
        """The phase that the canary was in at a Unix time."""
        found = ""
        for passage in self.passages:
            if passage.moment.at <= at:
                found = passage.phase
        return found
