"""The page at the end: what was applied, who answered, what failed, what each part took."""

import time
from collections import Counter

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from serinus.lab.demo.board import Board
from serinus.lab.demo.counts import Failure
from serinus.lab.demo.play import ENOUGH_REQUESTS, Chronicle
from serinus.lab.demo.rollout import Rollout
from serinus.lab.demo.style import BAD, GOOD, PHASES, QUIET, number

SHOWN_FAILURES = 5


def verdict(board: Board, chronicle: Chronicle) -> list[str]:
    """What is not as it should be; empty when the demo has shown what it is to show."""
    wrong = []
    ends = [rollout.end for rollout in chronicle.rollouts]
    if ends != ["Succeeded", "Failed"]:
        wrong.append(f"the rollouts should end as Succeeded and Failed, not as {ends}")
    if board.counts.failed:
        wrong.append(f"{board.counts.failed} requests through the apex failed")
    if board.counts.requests < ENOUGH_REQUESTS:
        wrong.append(
            f"only {board.counts.requests} requests went through the apex; "
            f"{ENOUGH_REQUESTS} are needed to say anything"
        )
    return wrong


def show(console: Console, board: Board, chronicle: Chronicle) -> None:
    """Print the page."""
    sections: list[tuple[str, RenderableType]] = [
        ("Requests through http://podinfo.test:9898/", _requests(board)),
        ("What it took, in seconds", _times(chronicle)),
    ]
    console.print(Text("\n What was typed", style="bold"))
    for command in chronicle.commands:
        # Unbroken, so that it can be copied.
        console.print(Text(f"   {command}", style="grey70"), soft_wrap=True)
    console.print()
    for title, content in sections:
        console.print(Text(f" {title}", style="bold"))
        console.print(Padding(content, (0, 0, 1, 3)))
    wrong = verdict(board, chronicle)
    for complaint in wrong:
        console.print(Text(f" ✗ {complaint}", style=BAD))
    if not wrong:
        console.print(
            Text(
                " ✓ One version promoted, one rolled back, and no request failed for it.",
                style=GOOD,
            )
        )


def _requests(board: Board) -> RenderableType:
    counts = board.counts
    table = Table.grid(padding=(0, 3))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    for version, count in sorted(counts.by_version.items()):
        share = f"{100 * count / counts.requests:.1f} %"
        table.add_row(f"answered by {version}", number(count), Text(share, style=QUIET))
    style = BAD if counts.failed else GOOD
    table.add_row(Text("failed", style=style), Text(number(counts.failed), style=style))
    table.add_row(Text("in all", style=QUIET), Text(number(counts.requests), style=QUIET))
    return Group(table, *_failures(board, counts.failures))


def _failures(board: Board, failures: list[Failure]) -> list[Text]:
    by_phase = Counter(board.phase_at(failure.at) or "before the canary" for failure in failures)
    lines = [Text(f"{count} while {phase}", style=BAD) for phase, count in by_phase.items()]
    for failure in failures[:SHOWN_FAILURES]:
        stamp = time.strftime("%H:%M:%S", time.localtime(failure.at))
        lines.append(Text(f"  {stamp}  {failure.why}", style=QUIET))
    return lines


def _times(chronicle: Chronicle) -> RenderableType:
    steps = Table.grid(padding=(0, 3))
    steps.add_column()
    steps.add_column(justify="right")
    for step in chronicle.steps:
        steps.add_row(step.title, f"{step.seconds:.1f}")
    return Group(steps, Text(), _rollouts(chronicle.rollouts))


def _rollouts(rollouts: list[Rollout]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style=QUIET)
    table.add_column("rollout")
    for heading in ("noticed", "pods ready", "analysis", "promotion or rollback"):
        table.add_column(heading, justify="right")
    table.add_column("end")
    for rollout in rollouts:
        table.add_row(
            rollout.version,
            f"{rollout.noticed:.2f}",
            f"{rollout.ready:.1f}",
            f"{rollout.analysis:.1f}",
            f"{rollout.finish:.1f}",
            Text(rollout.end, style=PHASES.get(rollout.end, "default")),
        )
    return table
