"""`serinus crds`: the custom resource definitions."""

from pathlib import Path
from typing import Annotated

import typer


def crds(
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write one file a kind into DIR instead."),
    ] = None,
) -> None:
    """Print the custom resource definitions as YAML.

    Example: serinus crds | kubectl apply --server-side -f -
    """
    from serinus.api.crd import crd_texts, crd_yaml
    from serinus.cli.errors import CommandError

    if write is None:
        typer.echo(crd_yaml(), nl=False)
        return
    try:
        write.mkdir(parents=True, exist_ok=True)
        for plural, text in crd_texts().items():
            (write / f"{plural}.yaml").write_text(text)
    except OSError as error:
        raise CommandError(f"cannot write to {write}: {error.strerror}") from None
