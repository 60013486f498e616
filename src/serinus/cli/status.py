"""`serinus status`: one canary at this moment, or followed."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import Context, Kubeconfig, Name, Namespace, access, named, run

if TYPE_CHECKING:
    from datetime import datetime

    from serinus.api.canary import Canary
    from serinus.rollout.history import Told

BAR = 40
"""Columns of the traffic's bar."""

EVENTS = 5
CLEARED = "\x1b[H\x1b[2J"
"""Cursor home, screen empty (ECMA-48), before each picture in a terminal."""


def status(
    name: Name,
    namespace: Namespace = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it anew at each change, until Ctrl-C.")
    ] = False,
    until_done: Annotated[
        bool,
        typer.Option(
            "--until-done",
            help="Follow until no rollout is under way; exit status 1 if the last failed.",
        ),
    ] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show a canary: phase, traffic, failed checks, conditions, last events.

    With --until-done a revision that the operator has not noticed yet is not waited for.

    Example: serinus status -n test podinfo --until-done
    """
    name = named(name)

    async def work() -> str:
        from datetime import UTC, datetime

        from serinus.cli.canaries import follow, told
        from serinus.rollout.explanation import rests

        phase = ""
        async with access(kubeconfig, context, namespace) as cluster:
            async for canary in follow(cluster.client, cluster.namespace, name):
                events = await told(cluster.client, canary)
                text = picture(canary, events[-EVENTS:], datetime.now(UTC))
                live = (watch or until_done) and sys.stdout.isatty()
                typer.echo(f"{CLEARED}{text}" if live else f"{text}\n")
                phase = canary.status.phase.value
                if (until_done and rests(canary)) or not (watch or until_done):
                    break
        return phase

    phase = run(work)
    if until_done and phase == "Failed":
        raise typer.Exit(1)


def picture(canary: "Canary", events: "list[Told]", now: "datetime") -> str:
    """The canary at ``now``."""
    from serinus.rollout.explanation import ago, progress

    current, analysis = canary.status, canary.spec.analysis
    full = round(BAR * current.canary_weight / 100)
    lines = [
        f"{canary.name}.{canary.namespace}  {current.phase.value or 'not taken up yet'}",
        "",
        f"traffic     {'━' * full}{'─' * (BAR - full)}  canary {current.canary_weight} %,"
        f" primary {100 - current.canary_weight} %",
        f"step        {progress(canary)}",
        f"failed      {current.failed_checks} of {analysis.threshold_or_default} checks",
    ]
    if current.conditions:
        lines += ["", "conditions"]
    for one in current.conditions:
        since = ago(one.last_update_time, now)
        lines.append(f"  {one.type:<12} {one.status:<8} {one.reason} ({since})  {one.message}")
    if events:
        lines += ["", "events"]
    lines += [f"  {one.at:%H:%M:%S}  {one.message}" for one in events]
    return "\n".join(lines)
