"""What the demo shows while it plays: a live picture in a terminal, plain lines elsewhere."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import zip_longest

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from serinus.lab.demo.board import Board, Figures, Told
from serinus.lab.demo.play import Chronicle, Step
from serinus.lab.demo.style import BAD, CANARY, GOOD, PHASES, PRIMARY, QUIET, number

WIDTH = 92
BESIDE_BAR = 48
"""Columns that the frame and the words beside a bar take."""

EVENTS = 8
NOTHING = "-"
FRAMES_PER_SECOND = 5
ROLLING_OUT = ("Progressing", "Promoting", "Finalising")


class PlainView:
    """One line per event and per step, each with the seconds since the beginning."""

    def __init__(self, console: Console, board: Board, chronicle: Chronicle) -> None:
        self._console = console
        self._board = board
        self._chronicle = chronicle
        self._began = time.monotonic()
        self._events = self._steps = 0
        self._phase = self._said = ""

    @asynccontextmanager
    async def showing(self) -> AsyncIterator[None]:
        printer = asyncio.create_task(self._print_changes())
        try:
            yield
        finally:
            printer.cancel()
            with suppress(asyncio.CancelledError):
                await printer
            self._print_new()

    async def _print_changes(self) -> None:
        while True:
            self._print_new()
            await self._board.next_change()

    def _print_new(self) -> None:
        for told in self._board.events[self._events :]:
            if told.message != self._said:
                self._line(told.moment.clock, f"  {told.message}")
            self._said = told.message
        for step in self._chronicle.steps[self._steps :]:
            self._line(time.monotonic(), f"{step.title} ({step.seconds:.1f} s)")
        if self._board.phase != self._phase:
            self._line(time.monotonic(), f"  phase {self._board.phase}")
        self._phase = self._board.phase
        self._events, self._steps = len(self._board.events), len(self._chronicle.steps)

    def _line(self, clock: float, text: str) -> None:
        stamp = f"{clock - self._began:7.1f}  "
        self._console.print(Text(stamp + text), soft_wrap=True)


class LiveView:
    """Finished steps above, a picture of the moment below them."""

    def __init__(self, console: Console, board: Board, chronicle: Chronicle, title: str) -> None:
        self._console = console
        self._board = board
        self._chronicle = chronicle
        self._title = title
        self._steps = 0
        self._spinner = Spinner("dots", style=QUIET)

    @asynccontextmanager
    async def showing(self) -> AsyncIterator[None]:
        live = Live(
            console=self._console,
            get_renderable=self.picture,
            # Drawn by `_draw`: a thread of rich's own would read the board while it is written.
            auto_refresh=False,
            transient=True,
        )
        with live:
            printer = asyncio.create_task(self._draw(live))
            try:
                yield
            finally:
                printer.cancel()
                with suppress(asyncio.CancelledError):
                    await printer
                self._print_new()

    async def _draw(self, live: Live) -> None:
        while True:
            self._print_new()
            live.refresh()
            await asyncio.sleep(1 / FRAMES_PER_SECOND)

    def _print_new(self) -> None:
        for step in self._chronicle.steps[self._steps :]:
            self._console.print(step_line(step))
        self._steps = len(self._chronicle.steps)

    def picture(self) -> RenderableType:
        """The moment."""
        board = self._board
        if not board.phase:
            return Padding(self._waiting(), (0, 1))
        width = min(WIDTH, self._console.width)
        parts: list[RenderableType] = [
            self._waiting(),
            Text(),
            weights(board, max(10, width - BESIDE_BAR)),
            Text(),
            requests(board),
            Text(),
            *events(board.events),
        ]
        return Panel(
            Group(*parts),
            title=Text(self._title, style=QUIET),
            title_align="left",
            border_style=QUIET,
            padding=(1, 2),
            width=width,
        )

    def _waiting(self) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        phase = self._board.phase
        self._spinner.update(text=Text(self._board.doing or "…", style=QUIET))
        if phase:
            name = Text("podinfo.test", style="bold")
            line.add_row(name, Text(phase, style=PHASES.get(phase, "bold")), self._spinner)
        else:
            line.add_row(self._spinner)
        return line


def step_line(step: Step) -> Text:
    """A finished step."""
    line = Text(" ✓ ", style=GOOD)
    line.append(step.title, style="default")
    line.append(f"  {step.seconds:.1f} s", style=QUIET)
    return line


def weights(board: Board, bar_width: int) -> Table:
    """Shares of the traffic as bars, and what Prometheus says of either side."""
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "left", "right", "right", "right"):
        table.add_column(justify=justify)
    table.add_row("", "", "", *(Text(word, style=QUIET) for word in ("weight", "success", "p99")))
    candidate = board.wanted if board.phase in ROLLING_OUT else ""
    stable = bar(100 - board.weight, PRIMARY, bar_width)
    table.add_row(*_side("primary", board.stable, stable, 100 - board.weight, board.primary))
    tried = bar(board.weight, CANARY, bar_width)
    measured = board.canary if candidate else Figures()
    table.add_row(*_side("canary", candidate, tried, board.weight, measured))
    return table


def _side(name: str, version: str, share: Text, weight: int, figures: Figures) -> list[Text]:
    success = p99 = Text(NOTHING, style=QUIET)
    if figures.success_percent is not None:
        poor = figures.success_percent < 99
        success = Text(f"{figures.success_percent:.1f} %", style=BAD if poor else "default")
    if figures.p99_ms is not None:
        digits = 0 if figures.p99_ms >= 10 else 1
        slow = figures.p99_ms > 500
        p99 = Text(f"{figures.p99_ms:.{digits}f} ms", style=BAD if slow else "default")
    return [
        Text(name, style=PRIMARY if name == "primary" else CANARY),
        Text(version or NOTHING, style="default" if version else QUIET),
        share,
        Text(f"{weight} %"),
        success,
        p99,
    ]


def bar(percent: float, style: str, width: int) -> Text:
    """``percent`` of a line."""
    full = round(width * percent / 100)
    line = Text("━" * full, style=style)
    line.append("─" * (width - full), style="grey23")
    return line


def requests(board: Board) -> Text:
    """What the steady caller has counted."""
    counts = board.counts
    line = Text("requests  ", style=QUIET)
    for version, count in sorted(counts.by_version.items()):
        line.append(f"{version} ", style=QUIET)
        line.append(number(count), style="default")
        share = counts.share(version)
        line.append(f" ({share:.0f} %)   " if share else "   ", style=QUIET)
    line.append("failed ", style=QUIET)
    line.append(number(counts.failed), style=BAD if counts.failed else GOOD)
    return line


def events(told: list[Told]) -> list[Text]:
    """The newest events; the last one stands out."""
    once = [
        one
        for one, after in zip_longest(told, told[1:])
        if after is None or after.message != one.message
    ]
    newest = once[-EVENTS:]
    lines = []
    for event in newest:
        stamp = time.strftime("%H:%M:%S", time.localtime(event.moment.at))
        line = Text(f"{stamp}  ", style=QUIET, no_wrap=True, overflow="ellipsis")
        warning = event.type == "Warning" and event.message.startswith(
            ("Halt", "Rolling", "Canary")
        )
        style = "yellow" if warning else ("default" if event is newest[-1] else "grey70")
        line.append(event.message, style=style)
        lines.append(line)
    return lines + [Text()] * (EVENTS - len(lines))
