"""Labs from the outside: started, found, ended.

A lab is the process tree below one ``unshare`` process: killing that one ends all. Its id is
written down with the moment it started, so that a process which got the same id later is never
taken for it.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from serinus.lab import components, pki
from serinus.lab.choices import ChoiceError, Choices
from serinus.lab.files import check_space, only_one, take_away
from serinus.lab.paths import LabPaths, lab_root, labs_root
from serinus.lab.requirements import lacking, search_path

START_SECONDS = 90.0
"""How long a lab may take to be ready."""

TERM_SECONDS = 8.0
"""How long a lab has to end by itself."""

LOG_LINES = 20


class LabError(RuntimeError):
    """A lab cannot be started or ended; the message says why and what to do."""


class LabInfo(msgspec.Struct, frozen=True):
    """What ``lab.json`` says of a lab. ``pid`` is the process whose end ends the lab,
    ``pid_started`` its start in clock ticks since the machine's (proc(5), field 22)."""

    name: str
    pid: int
    pid_started: int
    port: int
    kuma: str
    started: str
    control_plane: str | None = None
    """The directory of a real control plane's programs; None for the embedded one."""
    mesh_services: str | None = None
    """`exclusive` or `disabled` where it was chosen; None for what the version has."""
    images: str | None = None
    """The file of further images."""

    @property
    def server(self) -> str:
        """The API server's address for people."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def choices(self) -> Choices:
        """What was chosen for it."""
        return Choices(
            self.kuma,
            self.mesh_services,
            Path(self.images) if self.images else None,
            Path(self.control_plane) if self.control_plane else None,
        )

    @property
    def running(self) -> bool:
        """Whether the lab is up."""
        return _started(self.pid) == self.pid_started

    @property
    def paths(self) -> LabPaths:
        """The lab's files."""
        return LabPaths(lab_root(self.name))

    @property
    def node_pid(self) -> int | None:
        """The node's process (PID 1 inside), to enter its namespaces; None when it is not up."""
        return _child(self.pid) if self.running else None


def log_file(paths: LabPaths) -> Path:
    """What the lab's own processes print."""
    return paths.logs / "lab.log"


def list_labs() -> list[LabInfo]:
    """All labs of this user, also those that do not run."""
    root = labs_root()
    names = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else []
    found = (status(name) for name in names)
    return [info for info in found if info is not None]


def status(name: str) -> LabInfo | None:
    """The lab of that name, or None when there is none; raises ValueError for a bad name."""
    try:
        return msgspec.json.decode((lab_root(name) / "lab.json").read_bytes(), type=LabInfo)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def up(
    name: str,
    kuma_version: str | None = None,
    *,
    port: int | None = None,
    images: Path | None = None,
    control_plane: Path | None = None,
    mesh_services: str | None = None,
) -> LabInfo:
    """Start a lab and wait until it is ready. ``port`` is its API server's on 127.0.0.1; the rest
    is told in `Choices`.

    The state of a lab of that name that is not running any more is taken up again. Raises
    `LabError`, and then nothing new is left.
    """
    paths = LabPaths(_root(name))
    asked = Choices(kuma_version, mesh_services, images, control_plane)
    _check_machine()
    with _writing(), only_one():
        check_space()
        old = status(name)
        if old is not None and old.running:
            raise LabError(
                f"the lab {name} is up already ({old.server}); "
                f"end it with `serinus lab down --name {name}`"
            )
        chosen = _settled(asked, old)
        is_new = not (paths.state.exists() or paths.etcd.exists())
        process = None
        with _listen(port) as listener:
            try:
                _prepare(paths, name, listener.getsockname()[1])
                process, ready = _spawn(paths, listener, chosen)
                info = LabInfo(
                    name=name,
                    pid=process.pid,
                    pid_started=_started(process.pid) or 0,
                    port=listener.getsockname()[1],
                    kuma=chosen.version,
                    started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    control_plane=_text(chosen.control_plane),
                    mesh_services=chosen.mesh_services,
                    images=_text(chosen.images),
                )
                _write(paths.root / "lab.json", msgspec.json.encode(info))
            except BaseException:
                if process is not None:
                    process.kill()
                    process.wait()
                if is_new:
                    take_away(paths.root)
                raise
    try:
        _await_ready(process, ready)
    except BaseException as error:
        words = _last_words(log_file(paths))
        _end(info)
        process.wait()
        if is_new:
            with only_one():
                take_away(paths.root)
        if isinstance(error, LabError):
            raise LabError(f"{error}. The end of its log:\n{words}") from None
        raise
    return info


def upgrade(name: str, kuma: str) -> LabInfo:
    """End a lab, keep its state, and start it again on the same port with another Kuma.

    What the other Kuma does not have is deleted; pods get its sidecars. Raises `LabError`; a lab
    that does not come up again is still there, and `up` tries once more.
    """
    root = _root(name)
    _settled(Choices(kuma), None)
    with _writing(), only_one():
        info = status(name)
        if info is None:
            raise LabError(f"there is no lab {name}; start it with `serinus lab up --name {name}`")
        _end(info)
        mode = info.choices.upgraded(kuma).mesh_services
        changed = msgspec.structs.replace(info, kuma=kuma, mesh_services=mode)
        _write(root / "lab.json", msgspec.json.encode(changed))
    return up(name, port=info.port)


def down(name: str) -> bool:
    """End a lab and take its files away; whether there was one. Works whatever is left of it."""
    root = _root(name)
    if not labs_root().is_dir():
        return False
    with _writing(), only_one():
        info = status(name)
        if info is not None:
            _end(info)
        existed = root.exists()
        take_away(root)
    return existed


def _root(name: str) -> Path:
    try:
        return lab_root(name)
    except ValueError as error:
        raise LabError(str(error)) from None


def _check_machine() -> None:
    lacks = lacking()
    if lacks:
        listed = "\n".join(str(lack) for lack in lacks)
        raise LabError(f"this machine cannot run a lab yet:\n{listed}")


def _settled(asked: Choices, old: LabInfo | None) -> Choices:
    """What a lab starts with, given the one of that name that does not run any more."""
    try:
        return (asked.after(old.choices, old.name) if old else asked).checked()
    except ChoiceError as error:
        raise LabError(str(error)) from None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def _writing() -> Iterator[None]:
    """Say where a lab's files are when they cannot be written."""
    try:
        yield
    except OSError as error:
        raise LabError(
            f"{error.filename or labs_root()}: {error.strerror}. A lab's files are in "
            f"{labs_root()}; set XDG_STATE_HOME to have them elsewhere"
        ) from None


def _listen(port: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port or 0))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise LabError(
            f"port {port} of 127.0.0.1 cannot be had: {error.strerror}; "
            "choose another with --port, or none to get a free one"
        ) from None
    return listener


def _prepare(paths: LabPaths, name: str, port: int) -> None:
    """The files that a lab starts with; what pods left is taken away."""
    for directory in (paths.pods, paths.xds):
        take_away(directory)
    for directory in (paths.root, paths.pods, paths.xds, paths.logs):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = pki.ensure(paths.pki)
    components.ensure_tokens(paths.tokens)
    token = components.token_of(paths.tokens, components.ADMIN)
    pki.write_kubeconfig(paths.kubeconfig, name, f"https://127.0.0.1:{port}", keys.ca.cert, token)


def _spawn(
    paths: LabPaths, listener: socket.socket, chosen: Choices
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the lab's processes; the second value is the pipe that says when they are ready."""
    ready, tell = os.pipe()
    command = ["unshare", "-Urnmp", "--fork", "--kill-child", "--mount-proc", sys.executable]
    command += ["-m", "serinus.lab.node", "--root", str(paths.root), *chosen.arguments()]
    command += ["--fd", str(listener.fileno()), "--ready-fd", str(tell)]
    environment = {
        **os.environ,
        "PATH": search_path(),
        # The directory that holds this very package, which may not be installed.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "MALLOC_ARENA_MAX": "2",
    }
    with log_file(paths).open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(), tell),
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    os.close(tell)
    return process, ready


def _await_ready(process: subprocess.Popen[bytes], ready: int) -> None:
    try:
        readable, _, _ = select.select([ready], [], [], START_SECONDS)
        if not readable:
            raise LabError(f"the lab was not ready within {START_SECONDS:g}s")
        if os.read(ready, 16) != b"ready\n":
            raise LabError(f"the lab ended while it started (status {process.wait()})")
    finally:
        os.close(ready)


def _end(info: LabInfo) -> None:
    """End the lab's processes: politely, then by force."""
    inner = _child(info.pid)
    if info.running and inner is not None:
        _signal(inner, signal.SIGTERM)
        _wait_for_end(info, TERM_SECONDS)
    if info.running:
        _signal(info.pid, signal.SIGKILL)
        _wait_for_end(info, TERM_SECONDS)
    if info.running:
        raise LabError(f"process {info.pid} of the lab {info.name} cannot be ended")


def _wait_for_end(info: LabInfo, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while info.running and time.monotonic() < deadline:
        time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _started(pid: int) -> int | None:
    """When a process started; None when there is none, or it only waits to be buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _child(pid: int) -> int | None:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(words[0]) if words else None


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_LINES:])


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)
