"""The lab's first process: ``python -m serinus.lab.node``, PID 1 of the lab's namespaces.

It sets the node's network up, keeps the API server running (a process of its own), and runs all
the rest in one event loop: kubelet, DNS, controllers, mesh. When it ends, the kernel ends every
process of the lab.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from serinus.cluster.errors import ApiError, Unreachable
from serinus.lab import components, pki
from serinus.lab.addresses import DNS_PORT, KUBELET_PORT, NODE_IP
from serinus.lab.controlplane.embedded import Embedded
from serinus.lab.controlplane.plane import ControlPlane
from serinus.lab.images.table import ImageTable
from serinus.lab.kubelet import dns, network
from serinus.lab.kubelet.kubelet import Kubelet
from serinus.lab.kubelet.sandbox import children
from serinus.lab.kubelet.server import KubeletServer, tls_context
from serinus.lab.paths import LabPaths

REAP_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""How long the lab waits for what the API server must be able to answer."""

STOP_SECONDS = 2.0
POLL_SECONDS = 0.03

DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """``fd`` is the listening socket for people outside, ``ready_fd`` where to say "ready";
    ``control_plane`` holds the programs of a real control plane, None for the embedded one."""

    root: Path
    fd: int
    ready_fd: int | None
    kuma: str
    mesh_services: str | None
    images: Path | None
    control_plane: Path | None


def parse(argv: list[str]) -> Settings:
    """The command line."""
    parser = argparse.ArgumentParser(prog="serinus.lab.node", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the lab's directory")
    parser.add_argument("--fd", type=int, required=True, help="the API's listening socket")
    parser.add_argument("--ready-fd", type=int, help="a pipe that is told when the node is ready")
    parser.add_argument("--kuma", default="2.14", help="the version of Kuma to play")
    parser.add_argument("--mesh-services", help="the default Mesh's: exclusive or disabled")
    parser.add_argument("--images", type=Path, help="a YAML file with further images")
    parser.add_argument("--control-plane", type=Path, help="the folder of a real one's programs")
    return Settings(**vars(parser.parse_args(argv)))


def configure_logs() -> None:
    """One line per event on standard error, which is the lab's log file."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], bool_as_flag=False
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def prepare_mounts() -> None:
    """Give the lab a /run of its own: the machine's is not ours, and pods' networks go there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run"], check=True)
    Path(network.NETNS_DIR).mkdir()


def control_plane(settings: Settings) -> ControlPlane:
    """The one that was chosen."""
    paths = LabPaths(settings.root)
    if settings.control_plane is None:
        return Embedded(paths, settings.fd)
    from serinus.lab.controlplane.programs import Programs
    from serinus.lab.controlplane.real import Real

    return Real(Programs(settings.control_plane), paths, settings.fd)


async def answered(path: str, paths: LabPaths) -> None:
    """Return when the API server has an answer to that; raises TimeoutError."""
    deadline = time.monotonic() + ANSWER_SECONDS
    async with components.client_for(components.KUBELET, paths) as client:
        while True:
            try:
                await client.request("GET", path)
                return
            except (ApiError, Unreachable) as error:
                if time.monotonic() > deadline:
                    words = f"the API server has no answer to {path}: {error}"
                    raise TimeoutError(words) from None
                await asyncio.sleep(POLL_SECONDS)


async def keep(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part of the lab for ever: a bug in one must not end the others."""
    while True:
        try:
            await part()
            log.error("a part of the lab ended and is started again", part=name)
        except Exception:
            log.exception("a part of the lab failed and is started again", part=name)
        await asyncio.sleep(1.0)


async def reap() -> None:
    """As PID 1, bury orphans. Children of our own are waited for elsewhere, at once; so what is
    found dead twice is an orphan."""
    before: set[int] = set()
    while True:
        await asyncio.sleep(REAP_SECONDS)
        dead = set(_dead_children())
        for pid in dead & before:
            _bury(pid)
        before = dead


def _bury(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _dead_children() -> Iterator[int]:
    for pid in children(os.getpid()):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                yield pid


async def _all_set(*events: asyncio.Event) -> None:
    for event in events:
        await event.wait()


class NodeProcess:
    """The parts of the node, started in their order and ended in the reverse one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = LabPaths(settings.root)
        self._tasks: list[asyncio.Task[None]] = []
        self._mesh_ready = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        images = ImageTable.load(self._settings.images)
        await network.set_up_node()
        self._start("reaper", reap)
        plane = control_plane(self._settings)
        for name, part in plane.servers().items():
            self._start(name, part)
        await answered("/readyz", self._paths)
        kubelet = Kubelet(
            components.client_for(components.KUBELET, self._paths), self._paths, images
        )
        self._start("kubelet", kubelet.run)
        for name, part in plane.controllers().items():
            self._start(name, part)
        self._start("mesh", self._mesh)
        names = await dns.serve(kubelet.zone, str(NODE_IP), DNS_PORT)
        tls = tls_context(pki.Pki(self._paths.pki))
        server = await KubeletServer(kubelet).start(str(NODE_IP), KUBELET_PORT, tls)
        ready = asyncio.create_task(self._ready(kubelet))
        end = asyncio.create_task(_all_set(ended))
        await asyncio.wait({ready, end}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
            self._say_ready()
        ready.cancel()
        await end
        log.info("the lab ends")
        await kubelet.end_pods(STOP_SECONDS)
        names.close()
        await server.cleanup()
        # One after the other: a part may need those before it for a clean end.
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ready(self, kubelet: Kubelet) -> None:
        # A pod made before the mesh's webhooks are there would have no sidecar; one made before
        # its ServiceAccount is refused.
        await _all_set(kubelet.ready, self._mesh_ready)
        await answered(DEFAULT_ACCOUNT, self._paths)

    def _start(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(keep(name, part), name=name))

    def _say_ready(self) -> None:
        log.info("the lab is ready")
        if self._settings.ready_fd is not None:
            os.write(self._settings.ready_fd, b"ready\n")
            os.close(self._settings.ready_fd)

    async def _mesh(self) -> None:
        from serinus.lab.mesh.control_plane import run_mesh
        from serinus.lab.mesh.versions import played

        version = played(self._settings.kuma, self._settings.mesh_services)
        async with components.client_for(components.MESH, self._paths) as client:
            await run_mesh(client, self._paths, version, self._mesh_ready)


def main() -> None:
    """Run the node."""
    configure_logs()
    settings = parse(sys.argv[1:])
    os.set_inheritable(settings.fd, False)
    prepare_mounts()
    if sys.version_info < (3, 12):
        # Later versions of Python choose it themselves; the older default is a thread per child.
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(NodeProcess(settings).run())


if __name__ == "__main__":
    main()
