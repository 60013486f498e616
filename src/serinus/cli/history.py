"""`serinus history`: the rollouts that a canary's events still tell of."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import (
    Context,
    Kubeconfig,
    Name,
    Namespace,
    access,
    named,
    output,
    render,
    run,
)

if TYPE_CHECKING:
    from serinus.rollout.history import Rollout


def history(
    name: Name,
    namespace: Namespace = None,
    form: Annotated[str, typer.Option("--output", "-o", help="json or yaml.")] = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List a canary's rollouts, oldest first: when each began and ended, how, and why.

    It goes back as far as the server keeps events, an hour unless told otherwise. The revision is
    known of the newest alone.

    Example: serinus history -n test podinfo
    """
    output(form, "json", "yaml")
    name = named(name)

    async def work() -> "list[Rollout]":
        from serinus.cli.canaries import fetch, told
        from serinus.rollout.history import rollouts

        async with access(kubeconfig, context, namespace) as cluster:
            canary = await fetch(cluster.client, cluster.namespace, name)
            return rollouts(canary, await told(cluster.client, canary))

    found = run(work)
    if form:
        rows = [
            {
                key: _stamp(value) if isinstance(value, datetime) else value
                for key, value in asdict(one).items()
            }
            for one in found
        ]
        typer.echo(render(rows, form))
        return
    if not found:
        typer.echo(f"No rollout of {name} is known.", err=True)
        return
    from serinus.cli.get import table

    header = ["REVISION", "BEGAN", "ENDED", "HOW", "REASON"]
    cells = [
        [
            one.revision or "-",
            _stamp(one.began),
            _stamp(one.ended),
            one.how or "-",
            one.reason or "-",
        ]
        for one in found
    ]
    typer.echo(table([header, *cells]))


def _stamp(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at is not None else "-"
