"""The table that a run of the matrix ends with."""

from collections.abc import Mapping

from kuma.stage import Act, Played

TITLES = {
    "weights": "weights, promotion",
    "rollback": "weights, rollback",
    "ab": "A/B testing",
    "mirror": "mirror",
    "affinity": "session affinity",
    "finalise": "deleted in mid-rollout",
    "tcp": "weights, by connection",
}
"""Act -> what a person reads."""

_HEAD = ["dialect", "strategy", "primary", "canary", "failed", "copies", "a second", "end"]


def rows(played: Mapping[str, Played]) -> list[str]:
    """A line for each dialect and strategy that was played; none when none was."""
    cells = [
        [one.acts[name].found.get("dialect", dialect), title, *_counts(one.acts[name])]
        for dialect, one in played.items()
        for name, title in TITLES.items()
        if name in one.acts
    ]
    if not cells:
        return []
    table = [_HEAD, *cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [_line(row, widths) for row in table]


def _counts(act: Act) -> list[str]:
    sides = [act.count(side) for side in ("primary", "canary", "failed")]
    copies, rate = act.found.get("copies", ""), act.found.get("rate")
    return [*map(str, sides), str(copies), "" if rate is None else f"{rate:.0f}", act.ended]


def _line(row: list[str], widths: list[int]) -> str:
    """Texts to the left, numbers to the right."""
    aligned = [
        cell.rjust(width) if 2 <= column <= 6 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
