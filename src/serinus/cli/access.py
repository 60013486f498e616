"""What the commands about canaries share: which cluster and namespace, and one line for errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from serinus.cli.errors import CommandError

if TYPE_CHECKING:
    from serinus.cluster.client import Client

T = TypeVar("T")

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="The canary's namespace; the context's unless told."),
]
Context = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context; the current unless told.")
]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="Instead of $KUBECONFIG.")
]
Name = Annotated[
    str, typer.Argument(metavar="[canary/]NAME", help="The canary.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Access:
    """Whom to ask, and about which namespace. ``user`` is the kubeconfig's name for the user."""

    client: "Client"
    namespace: str
    user: str


@asynccontextmanager
async def access(
    kubeconfig: str | None, context: str | None, namespace: str | None
) -> AsyncIterator[Access]:
    """The cluster that kubectl would ask. Raises `NoConnection`."""
    from serinus.cluster.client import Client
    from serinus.cluster.kubeconfig import connect, from_kubeconfig

    if context is not None and kubeconfig is None:
        import os

        # A context is a kubeconfig's: it is never the pod's own account that is meant.
        paths = os.environ.get("KUBECONFIG") or "~/.kube/config"
        connection = await from_kubeconfig(paths, context)
    else:
        connection = await connect(kubeconfig, context)
    async with Client(connection, field_manager="serinus-cli") as client:
        yield Access(client, namespace or connection.namespace, connection.user)


def named(text: str) -> str:
    """The name in ``[canary/]NAME``; anything else is an error of usage."""
    kind, slash, name = text.rpartition("/")
    if not name or (slash and kind not in {"canary", "canaries", "canaries.flagger.app"}):
        raise typer.BadParameter(f'"{text}" is not a canary; write canary/NAME or NAME')
    return name


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work; what the cluster refuses ends it with one line."""
    from serinus.cluster.errors import ApiError, Unreachable
    from serinus.cluster.kubeconfig import NoConnection

    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (ApiError, Unreachable, NoConnection) as error:
        raise CommandError(str(error)) from None


def output(value: str, *allowed: str) -> str:
    """The format that ``-o`` names."""
    if value not in ("", *allowed):
        raise typer.BadParameter(f'"{value}" is not a format; write one of {", ".join(allowed)}')
    return value


def render(data: Any, form: str) -> str:
    """``data`` as JSON or YAML."""
    if form == "json":
        return json.dumps(data, indent=2)
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False)).rstrip()
