"""A container's process: started by bubblewrap in namespaces of its own, ended, and entered.

bubblewrap stays as the first process of the container's process namespace, so orphans are
reaped, a program without a SIGTERM handler still dies of SIGTERM, and when it is killed the kernel
kills everything in the container.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from serinus.lab.kubelet.network import PodNetwork
from serinus.lab.kubelet.rootfs import Mount, mount_arguments, program_arguments, root_arguments

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "AUDIT_WRITE"),
    )
)
"""What container runtimes leave to root in a container. With more, a pod could unmount what hides
the lab's keys from it."""

# A container's own PATH decides about its programs, not about these.
NSENTER = shutil.which("nsenter") or "nsenter"
SETPRIV = shutil.which("setpriv") or "setpriv"
BWRAP = shutil.which("bwrap") or "bwrap"

POLL_SECONDS = 0.003

START_SECONDS = 10.0
"""How long bubblewrap may take to set a container up."""


class StartFailed(RuntimeError):
    """The container's process could not be started (CreateContainerError, RunContainerError)."""


class _Info(msgspec.Struct, rename="kebab"):
    child_pid: int


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a container's process is started with.

    ``environment`` is all of it; nothing is inherited. ``capabilities`` come on top of those that
    every container has.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    network: PodNetwork
    hostname: str
    workdir: str
    mounts: Sequence[Mount] = ()
    read_only_root: bool = False
    capabilities: Sequence[str] = ()
    terminal: bool = False
    """Whether standard input is a terminal that the program is to control."""

    def command(self, info_fd: int, arguments_fd: int) -> list[str]:
        """The command line; bubblewrap's many arguments come by a file, out of ``ps``' way."""
        bwrap = [BWRAP, "--args", str(arguments_fd), "--info-fd", str(info_fd)]
        return [NSENTER, f"--net={self.network.path}", *bwrap, "--", *self._program()]

    def _program(self) -> list[str]:
        return ["setsid", "--ctty", *self.argv] if self.terminal else [*self.argv]

    def arguments(self) -> list[str]:
        """What bubblewrap is to set up."""
        arguments = [*root_arguments(), *mount_arguments(self.mounts, self.workdir)]
        arguments += program_arguments()
        if self.read_only_root:
            arguments += ["--remount-ro", "/"]
        arguments += ["--unshare-pid", "--unshare-uts", "--unshare-ipc", "--cap-drop", "ALL"]
        for capability in (*CAPABILITIES, *self.capabilities):
            arguments += ["--cap-add", capability]
        arguments += ["--hostname", self.hostname, "--chdir", self.workdir]
        return [*arguments, "--new-session", "--die-with-parent"]


@dataclass(slots=True)
class Running:
    """A started container. ``inner`` is the process id of the first process in it."""

    process: asyncio.subprocess.Process
    inner: int
    environment: Mapping[str, str]
    capabilities: Sequence[str]

    @property
    def pid(self) -> int:
        """The process outside the container that ends when the container does."""
        return self.process.pid

    async def wait(self) -> int:
        """The exit status; 128 + N for a program that signal N ended."""
        status = await self.process.wait()
        return 128 - status if status < 0 else status

    def program(self) -> int | None:
        """The process id of the container's own program, or None when it has ended."""
        return next(iter(children(self.inner)), None)

    def terminate(self) -> None:
        """Ask the program to end (SIGTERM)."""
        program = self.program()
        if program is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(program, signal.SIGTERM)

    def kill(self) -> None:
        """End everything in the container, now."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.inner, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def enter(
        self,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        terminal: bool = False,
    ) -> asyncio.subprocess.Process:
        """Start another program in the container, in its working directory.

        ``terminal`` makes its standard input the program's controlling terminal. Raises
        `StartFailed`.
        """
        environment = dict(self.environment)
        if terminal:
            environment.setdefault("TERM", "xterm")
            argv = ["setsid", "--ctty", "--wait", *argv]
        enter = [NSENTER, f"--target={self.inner}", "-m", "-p", "-n", "-i", "-u", "-w", "--"]
        kept = [f"+{name.removeprefix('CAP_').lower()}" for name in self.capabilities]
        enter += [SETPRIV, f"--bounding-set={','.join(['-all', *kept])}", "--"]
        try:
            return await asyncio.create_subprocess_exec(
                *enter,
                *argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"cannot enter the container: {error}") from None


async def abandon(process: asyncio.subprocess.Process) -> None:
    """End a program that `Running.enter` started, whatever it is doing.

    nsenter waits for the program in the container; killing nsenter alone would leave it there.
    """
    for pid in [*children(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await process.wait()


def children(pid: int) -> list[int]:
    """The process ids of a process' children; none when it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


async def start(sandbox: Sandbox, streams: tuple[int, int, int]) -> Running:
    """Start a container with its standard input, output and error; raises `StartFailed`."""
    stdin, stdout, stderr = streams
    read_end, write_end = os.pipe()
    arguments = os.memfd_create("bwrap")
    os.write(arguments, b"".join(os.fsencode(word) + b"\0" for word in sandbox.arguments()))
    os.lseek(arguments, 0, os.SEEK_SET)
    try:
        process = await asyncio.create_subprocess_exec(
            *sandbox.command(write_end, arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(sandbox.environment),
            pass_fds=(write_end, arguments),
        )
    except OSError as error:
        os.close(read_end)
        raise StartFailed(f"cannot start bwrap: {error}") from None
    finally:
        os.close(write_end)
        os.close(arguments)
    info = await _read_all(read_end)
    try:
        inner = msgspec.json.decode(info, type=_Info).child_pid
    except msgspec.MsgspecError:
        status = await process.wait()
        raise StartFailed(
            f"bwrap could not set the container up (status {status}); its log says why"
        ) from None
    capabilities = (*CAPABILITIES, *sandbox.capabilities)
    running = Running(process, inner, dict(sandbox.environment), capabilities)
    # bubblewrap tells its child's id before it has mounted anything; it starts the program after
    # that. Whoever entered before would find a file system that is half made.
    while running.program() is None and process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    return running


async def _read_all(fd: int) -> bytes:
    """Everything that is written to a pipe until it is closed; closes ``fd``."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    with os.fdopen(fd, "rb", 0) as pipe:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                return await reader.read(-1)
        except TimeoutError:
            return b""
        finally:
            transport.close()
