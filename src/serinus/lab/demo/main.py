"""The demo as one call: a lab of its own, the story, the summary, and everything gone again."""

import asyncio
import contextlib
import logging
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console
from rich.text import Text

from serinus.cluster.client import Client
from serinus.cluster.kubeconfig import NoConnection, from_kubeconfig
from serinus.lab import world
from serinus.lab.choices import DEFAULT_KUMA
from serinus.lab.demo import manifests, summary
from serinus.lab.demo.board import Board, StoryBroken
from serinus.lab.demo.kubectl import Kubectl, KubectlError, find_kubectl
from serinus.lab.demo.pace import interval_seconds, shortened
from serinus.lab.demo.play import Chronicle, Play, Step
from serinus.lab.demo.style import BAD, PHASES, QUIET
from serinus.lab.demo.view import LiveView, PlainView
from serinus.lab.demo.watching import watching

PROMOTED, ROLLED_BACK = "6.0.1", "6.0.2"
"""The guide's two versions: one that is good, one that is made to fail."""


@dataclass(frozen=True, slots=True)
class Options:
    """``mesh_services`` is the default Mesh's mode, ``control_plane`` the folder of a real one's
    programs, ``as_written`` takes the guide's intervals, ``keep`` leaves the lab up, ``live``
    draws the picture where the console is a terminal."""

    name: str = "demo"
    kuma: str = DEFAULT_KUMA
    mesh_services: str | None = None
    control_plane: Path | None = None
    as_written: bool = False
    keep: bool = False
    live: bool = True


def run(options: Options) -> int:
    """Play; the exit code is 0 when both rollouts ended as they should and no request failed."""
    console = Console(highlight=False)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(_run(options, console))
    except (KubectlError, StoryBroken, FileNotFoundError, NoConnection, world.LabError) as error:
        told = Text(f"✗ {error}", BAD)
        if isinstance(error, KubectlError | StoryBroken) and not options.keep:
            told.append("\n  (--keep leaves the lab up for a look)", QUIET)
        Console(stderr=True, highlight=False).print(told, soft_wrap=True)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


async def _run(options: Options, console: Console) -> int:
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    canary = manifests.guide_canary().read_text()
    if not options.as_written:
        canary = shortened(canary)
    find_kubectl()
    board, chronicle = Board(doing="starting the lab"), Chronicle()
    title = f" serinus demo · Kuma {options.kuma} "
    live = options.live and console.is_terminal
    view = LiveView(console, board, chronicle, title) if live else PlainView(
        console, board, chronicle
    )  # fmt: skip
    is_up = False
    try:
        async with view.showing():
            began = time.monotonic()
            plane = options.control_plane
            lab = await asyncio.to_thread(
                world.up,
                options.name,
                options.kuma,
                control_plane=plane,
                mesh_services=options.mesh_services,
            )
            is_up = True
            command = f"serinus lab up --name {lab.name} --kuma {lab.kuma}"
            if options.mesh_services:
                command += f" --mesh-services {options.mesh_services}"
            chronicle.commands.append(command + (f" --control-plane {plane}" if plane else ""))
            chronicle.steps.append(Step("lab up", time.monotonic() - began))
            await _play(lab, board, chronicle, canary, console)
    finally:
        if is_up and not options.keep:
            began = time.monotonic()
            await asyncio.to_thread(world.down, options.name)
            chronicle.steps.append(Step("lab down", time.monotonic() - began))
    summary.show(console, board, chronicle)
    if options.keep:
        console.print(_still_there(options.name))
    return 1 if summary.verdict(board, chronicle) else 0


async def _play(
    lab: world.LabInfo, board: Board, chronicle: Chronicle, canary: str, console: Console
) -> None:
    kubectl = Kubectl(lab.paths.kubeconfig)
    play = Play(board, kubectl, chronicle, canary, interval_seconds(canary))
    connection = await from_kubeconfig(str(lab.paths.kubeconfig))
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(connection))
        await play.install()
        await stack.enter_async_context(watching(board, client, kubectl))
        await play.initialise()
        await play.promote(PROMOTED)
        console.print(_end(PROMOTED, board.phase))
        await play.roll_back(ROLLED_BACK)
        console.print(_end(ROLLED_BACK, board.phase))
        await play.look_back()


def _end(version: str, phase: str) -> Text:
    line = Text(f"   {version} ", style=QUIET)
    return line.append(phase, style=PHASES.get(phase, "default"))


def _still_there(name: str) -> Text:
    return Text(
        f"\n The lab is still up: export KUBECONFIG=$(serinus lab kubeconfig --name {name})\n"
        f" and at the end: serinus lab down --name {name}",
        style=QUIET,
    )
