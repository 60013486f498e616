"""`serinus reference`: every field of the custom resources."""

import typer


def reference() -> None:
    """Print every field of the custom resources with its type, default and limits, as Markdown.

    Example: serinus reference | grep analysis.webhooks
    """
    from serinus.api.reference import reference as written

    typer.echo(written(), nl=False)
