"""`serinus lab forward`: a local port that leads to a pod's."""

import asyncio
from typing import Annotated

import typer

from serinus.cli.errors import CommandError
from serinus.cli.lab import DEFAULT_NAME, Name, running


def forward(
    target: Annotated[
        str, typer.Argument(metavar="KIND/NAME", help="pod/NAME, svc/NAME or deployment/NAME.")
    ],
    ports: Annotated[
        str,
        typer.Argument(
            metavar="[LOCAL:]REMOTE",
            help="REMOTE is a number or a port's name; LOCAL the same unless told, 0 a free one.",
        ),
    ],
    name: Name = DEFAULT_NAME,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The target's namespace.")
    ] = "default",
) -> None:
    """Lead connections to 127.0.0.1:LOCAL into a pod, until interrupted.

    In a lab this is instead of `kubectl port-forward`. A target with several pods: each connection
    goes to one that is ready then.

    Example: serinus lab forward -n test svc/podinfo 8080:9898
    """
    from serinus.cli.destination import DestinationError, Target, parse_ports
    from serinus.cli.forwarding import serve
    from serinus.cluster.errors import ApiError, Unreachable
    from serinus.cluster.kubeconfig import NoConnection

    try:
        wanted = Target.parse(namespace, target)
        local, remote = parse_ports(ports)
    except DestinationError as error:
        raise typer.BadParameter(str(error)) from None
    kubeconfig = running(name).paths.kubeconfig
    try:
        asyncio.run(
            serve(str(kubeconfig), wanted, remote, local, lambda t: typer.echo(t, err=True))
        )
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except OSError as error:
        raise CommandError(f"cannot listen on 127.0.0.1:{local}: {error.strerror}") from None
    except (ApiError, Unreachable, NoConnection, DestinationError) as error:
        raise CommandError(str(error)) from None
