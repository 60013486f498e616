"""`serinus explain`: what a canary is about, in sentences."""

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import Context, Kubeconfig, Namespace, access, named, run

if TYPE_CHECKING:
    from serinus.rollout.explanation import Explanation

HEADINGS = {
    "doing": "What it does",
    "coming": "What comes next",
    "failing": "What would roll it back",
    "verbs": "What you can do",
}


def explain(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[canary] NAME", help="The canary.", show_default=False),
    ],
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what a canary does or waits for, since when, what comes next, and what would fail it.

    Example: serinus explain -n test canary podinfo
    """
    name = named("/".join(words))

    async def work() -> "Explanation":
        from datetime import UTC, datetime

        from serinus.cli.canaries import fetch, pods, told
        from serinus.rollout.explanation import Facts, explain

        async with access(kubeconfig, context, namespace) as cluster:
            client = cluster.client
            canary = await fetch(client, cluster.namespace, name)
            target = await pods(client, cluster.namespace, canary.target_name)
            primary = await pods(client, cluster.namespace, canary.primary_name)
            events = await told(client, canary)
            last = events[-1].message if events else ""
            return explain(canary, Facts(datetime.now(UTC), target, primary, last))

    explanation = run(work)
    paragraphs = []
    for part, heading in HEADINGS.items():
        sentences: tuple[str, ...] = getattr(explanation, part)
        if sentences:
            paragraphs.append("\n".join([f"{heading}:", *(f"  {one}" for one in sentences)]))
    typer.echo("\n\n".join(paragraphs))
