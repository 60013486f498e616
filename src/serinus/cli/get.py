"""`serinus get`: canaries in a table."""

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import Context, Kubeconfig, Namespace, access, named, output, render, run

if TYPE_CHECKING:
    from datetime import datetime

    from serinus.api.canary import Canary

COLUMNS = ("NAME", "STATUS", "WEIGHT", "STRATEGY", "STEP", "FAILED", "WAITING-FOR", "SINCE", "AGE")
WIDE = ("TARGET", "MESSAGE")


def get(
    name: Annotated[
        str, typer.Argument(metavar="[[canary/]NAME]", help="One canary alone.", show_default=False)
    ] = "",
    namespace: Namespace = None,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The canaries of every namespace.")
    ] = False,
    form: Annotated[str, typer.Option("--output", "-o", help="json, yaml or wide.")] = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List canaries: how far each is, and what it waits for.

    SINCE is how long it has been so: that it waits for that, or else that it has that status.

    Example: serinus get -A
    """
    output(form, "json", "yaml", "wide")
    wanted = named(name) if name else ""
    if wanted and everywhere:
        raise typer.BadParameter("a canary is named in one namespace; leave out -A")

    async def work() -> list[bytes]:
        from serinus.cli.canaries import fetch_all
        from serinus.cluster.kinds import CANARIES

        async with access(kubeconfig, context, namespace) as cluster:
            if wanted:
                return [await cluster.client.get(CANARIES, cluster.namespace, wanted)]
            return await fetch_all(cluster.client, None if everywhere else cluster.namespace)

    items = run(work)
    if form in ("json", "yaml"):
        import json

        objects = [json.loads(item) for item in items]
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        typer.echo(render(objects[0] if wanted else listed, form))
        return
    _print_table(items, everywhere=everywhere, wide=form == "wide")


def _print_table(items: list[bytes], *, everywhere: bool, wide: bool) -> None:
    from datetime import UTC, datetime

    from serinus.api.decode import Malformed, decode_canary

    if not items:
        typer.echo("There are no canaries here.", err=True)
        return
    now = datetime.now(UTC)
    rows = [[*(("NAMESPACE",) if everywhere else ()), *COLUMNS, *(WIDE if wide else ())]]
    for item in items:
        canary = decode_canary(item)
        if isinstance(canary, Malformed):
            # One that cannot be read hides none of the others.
            cells = [canary.name, "Malformed", *"-----", "-", "-"]
            more = ["-", str(canary.problem)]
        else:
            cells, more = _cells(canary, now), [canary.target_name, _message(canary)]
        place = [canary.namespace] if everywhere else []
        rows.append([*place, *cells, *(more if wide else [])])
    typer.echo(table(rows))


def table(rows: list[list[str]]) -> str:
    """Columns as kubectl aligns them."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = (
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _cells(canary: "Canary", now: "datetime") -> list[str]:
    from serinus.rollout.conditions import PROMOTED, STALLED, condition
    from serinus.rollout.explanation import ago, progress, waiting_for
    from serinus.rollout.strategy import strategy_of

    status, waits = canary.status, waiting_for(canary)
    found = condition(status, STALLED if waits else PROMOTED)
    return [
        canary.name,
        status.phase.value or "-",
        str(status.canary_weight),
        strategy_of(canary).value,
        progress(canary),
        f"{status.failed_checks}/{canary.spec.analysis.threshold_or_default}",
        waits or "-",
        ago(found.last_update_time if found else None, now),
        ago(canary.metadata.creation_timestamp, now),
    ]


def _message(canary: "Canary") -> str:
    from serinus.rollout.conditions import PROMOTED, STALLED, condition
    from serinus.rollout.explanation import waiting_for

    found = condition(canary.status, STALLED if waiting_for(canary) else PROMOTED)
    return found.message if found else "-"
