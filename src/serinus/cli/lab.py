"""`serinus lab ...`: labs up and down, and the ways into them."""

import json
import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli.errors import CommandError

if TYPE_CHECKING:
    from serinus.lab.world import LabInfo

DEFAULT_NAME = "default"

app = typer.Typer(
    help="A Kubernetes with Kuma on this machine: real kubectl, Envoy and Prometheus, no root.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class MeshServices(StrEnum):
    """What a Mesh of Kuma 2.9 to 2.14 says in `meshServices.mode`."""

    EXCLUSIVE = "exclusive"
    DISABLED = "disabled"


class Output(StrEnum):
    """How a command answers: to a person, or to a script."""

    TEXT = "text"
    JSON = "json"


Name = Annotated[str, typer.Option("--name", help="The lab's name; several may run side by side.")]
AnswerAs = Annotated[Output, typer.Option("--output", "-o", help="How to answer.")]


def running(name: str) -> "LabInfo":
    """The lab of that name, which has to run; `CommandError` says how to get it."""
    from serinus.lab import world

    try:
        info = world.status(name)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if info is None or not info.running:
        state = "there is no lab" if info is None else "not running: the lab"
        raise CommandError(f"{state} {name}; start it with `serinus lab up{_flag(name)}`")
    return info


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    kuma: Annotated[
        str | None,
        typer.Option(
            "--kuma", metavar="VERSION", help="Kuma to play: 1.8, 2.7, 2.14 (the default) or 3.0."
        ),
    ] = None,
    mesh_services: Annotated[
        MeshServices | None,
        typer.Option("--mesh-services", help="The default Mesh's MeshServices, with Kuma 2.14."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="FILE", help="YAML file of images of yours to run."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            help="API server's port on 127.0.0.1; a free one unless told.",
        ),
    ] = None,
    control_plane: Annotated[
        Path | None,
        typer.Option(
            "--control-plane",
            metavar="DIR",
            help="Stand on a real control plane: DIR holds etcd, kube-apiserver and "
            "kube-controller-manager.",
        ),
    ] = None,
    output: AnswerAs = Output.TEXT,
) -> None:
    """Start a lab and wait until it is ready.

    Example: serinus lab up --name a --kuma 1.8
    """
    from serinus.lab import world
    from serinus.lab.mesh import versions

    try:
        if kuma is not None:
            versions.played(kuma, mesh_services)
        info = world.up(
            name,
            kuma,
            port=port,
            images=images,
            control_plane=control_plane,
            mesh_services=mesh_services,
        )
    except (world.LabError, ValueError) as error:
        raise CommandError(str(error)) from None
    if output is Output.JSON:
        typer.echo(json.dumps(_described(info)))
        return
    where = f", control plane of {info.control_plane}" if info.control_plane else ""
    typer.echo(f"The lab {name} is up: Kuma {_kuma(info)}{where}, {info.server}")
    typer.echo(f"  export KUBECONFIG={info.paths.kubeconfig}")
    typer.echo(f"or `serinus lab shell{_flag(name)}`")


@app.command()
def upgrade(
    kuma: Annotated[
        str, typer.Option("--kuma", metavar="VERSION", help="Kuma to play from now on.")
    ],
    name: Name = DEFAULT_NAME,
) -> None:
    """End a lab and start it again with another version of Kuma; its objects stay.

    Objects of kinds that the other version does not have are deleted, and so are fields. Pods
    start anew, with the other version's sidecars.

    Example: serinus lab upgrade --kuma 3.0
    """
    from serinus.lab import world

    try:
        info = world.upgrade(name, kuma)
    except world.LabError as error:
        raise CommandError(str(error)) from None
    typer.echo(f"The lab {name} is up: Kuma {_kuma(info)}, {info.server}")


@app.command()
def down(name: Name = DEFAULT_NAME) -> None:
    """End a lab and take away everything that is left of it. No lab of that name is no error.

    Example: serinus lab down --name a
    """
    from serinus.lab import world

    try:
        existed = world.down(name)
    except world.LabError as error:
        raise CommandError(str(error)) from None
    typer.echo(f"The lab {name} is gone." if existed else f"There was no lab {name}.")


@app.command()
def status(
    name: Annotated[str | None, typer.Option("--name", help="Only the lab of this name.")] = None,
    output: AnswerAs = Output.TEXT,
) -> None:
    """List the labs; with --name, exit with 1 when that lab does not run.

    Example: serinus lab status --output json
    """
    from serinus.lab import world

    labs = world.list_labs() if name is None else [running(name)]
    if output is Output.JSON:
        found = [_described(info) for info in labs]
        typer.echo(json.dumps(found if name is None else found[0]))
        return
    if not labs:
        typer.echo("There is no lab; start one with `serinus lab up`.")
        return
    rows = [("NAME", "STATE", "KUMA", "CONTROL PLANE", "SERVER", "STARTED")]
    for info in labs:
        state = "running" if info.running else "stopped"
        plane = info.control_plane or "embedded"
        rows.append((info.name, state, _kuma(info), plane, info.server, info.started))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("   ".join(cells).rstrip())


@app.command()
def kubeconfig(name: Name = DEFAULT_NAME) -> None:
    """Print the path of a lab's kubeconfig.

    Example: kubectl --kubeconfig "$(serinus lab kubeconfig --name a)" get pods -A
    """
    typer.echo(running(name).paths.kubeconfig)


@app.command()
def logs(
    name: Name = DEFAULT_NAME,
    lines: Annotated[int, typer.Option("--lines", min=0, help="How many, from the end.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Print what the lab's own processes say (pods have `kubectl logs`).

    Example: serinus lab logs --follow
    """
    from serinus.lab.paths import LabPaths, lab_root
    from serinus.lab.world import log_file

    try:
        file = log_file(LabPaths(lab_root(name)))
    except ValueError as error:
        raise CommandError(str(error)) from None
    if not file.exists():
        raise CommandError(f"there is no lab {name}, so it has no log")
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(file)]
    os.execvp(command[0], command)


@app.command()
def shell(name: Name = DEFAULT_NAME) -> None:
    """Open a shell in which kubectl talks to the lab; its exit status is this command's.

    Example: echo 'kubectl get canaries -A' | serinus lab shell
    """
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "KUBECONFIG": str(running(name).paths.kubeconfig),
        "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
        "SERINUS_LAB": name,
    }
    chosen = os.environ.get("SHELL") or "/bin/sh"
    if sys.stdin.isatty():
        typer.echo(f"KUBECONFIG is that of the lab {name}; leave with `exit`.", err=True)
    try:
        raise typer.Exit(subprocess.run([chosen], env=environment, check=False).returncode)
    except OSError as error:
        raise CommandError(f"cannot start {chosen} ($SHELL): {error.strerror}") from None


@app.command()
def play(
    example: Annotated[
        str, typer.Argument(help="Name of a file in examples/ (ab-testing), or a path.")
    ],
    name: Name = DEFAULT_NAME,
    as_written: Annotated[
        bool, typer.Option("--as-written", help="Take the example's own intervals.")
    ] = False,
) -> None:
    """Play an example: apply it to the guide's podinfo and release a new version of that.

    A lab of that name is started where none runs, and stays. Exits with 0 when the new version was
    promoted.

    Example: serinus lab play blue-green
    """
    import asyncio

    from serinus.lab import world
    from serinus.lab.demo.example import Example, ExampleBroken, find
    from serinus.lab.demo.kubectl import Kubectl, KubectlError
    from serinus.lab.demo.pace import quickened

    try:
        manifest = find(example).read_text()
        info = world.status(name)
        if info is None or not info.running:
            typer.echo(f"starting the lab {name}")
            info = world.up(name, None)
        for line in manifest.splitlines():
            if not line.startswith("#"):
                break
            typer.echo(line)
        playing = Example(Kubectl(info.paths.kubeconfig), typer.echo)
        promoted = asyncio.run(playing.play(manifest if as_written else quickened(manifest)))
    except (ExampleBroken, KubectlError, OSError, ValueError, world.LabError) as error:
        raise CommandError(str(error)) from None
    raise typer.Exit(0 if promoted else 1)


def _described(info: "LabInfo") -> dict[str, Any]:
    return {
        "name": info.name,
        "running": info.running,
        "kuma": info.kuma,
        "meshServices": info.mesh_services,
        "controlPlane": info.control_plane,
        "server": info.server,
        "port": info.port,
        "started": info.started,
        "kubeconfig": str(info.paths.kubeconfig),
    }


def _kuma(info: "LabInfo") -> str:
    if info.mesh_services is None:
        return info.kuma
    return f"{info.kuma} (MeshServices {info.mesh_services})"


def _flag(name: str) -> str:
    return "" if name == DEFAULT_NAME else f" --name {name}"
