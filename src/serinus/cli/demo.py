"""`serinus demo`: the guide, played from beginning to end."""

from pathlib import Path
from typing import Annotated

import typer

from serinus.cli.lab import MeshServices

DEFAULT_NAME = "demo"


def demo(
    as_written: Annotated[
        bool,
        typer.Option(
            "--as-written", help="Take the guide's own intervals (a quarter of an hour in all)."
        ),
    ] = False,
    kuma: Annotated[
        str, typer.Option("--kuma", metavar="VERSION", help="Kuma to play: 1.8, 2.7, 2.14 or 3.0.")
    ] = "2.14",
    mesh_services: Annotated[
        MeshServices | None,
        typer.Option("--mesh-services", help="The default Mesh's MeshServices, with Kuma 2.14."),
    ] = None,
    control_plane: Annotated[
        Path | None,
        typer.Option(
            "--control-plane", metavar="DIR", help="Play it on a real control plane (see lab up)."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the lab that is made for it.")
    ] = DEFAULT_NAME,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the lab up at the end, for a look.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Draw a live picture, in a terminal.")
    ] = True,
) -> None:
    """Play the whole story: one version is promoted, one is rolled back, no request fails.

    Exits with 0 when it went like that.

    Example: serinus demo --kuma 1.8 --keep
    """
    from serinus.lab.demo.main import Options, run

    raise typer.Exit(run(Options(name, kuma, mesh_services, control_plane, as_written, keep, live)))
