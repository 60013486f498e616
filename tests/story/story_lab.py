"""A lab to play stories in, and what a person does at its keyboard."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serinus.lab import world
from serinus.lab.demo import manifests
from serinus.lab.demo.kubectl import find_kubectl

FOLDERS = {
    "github.com/fluxcd/flagger//kustomize/kuma": "kuma",
    "https://github.com/fluxcd/flagger//kustomize/tester?ref=main": "tester",
    "https://github.com/fluxcd/flagger//kustomize/podinfo?ref=main": "podinfo",
}
"""The guide's remote folders -> ours, the one change that its commands get."""

CONTROL_PLANE = os.environ.get("SERINUS_STORY_CONTROL_PLANE")
"""The folder of a real control plane's programs, to play on those (`make story
CONTROL_PLANE=real`); the embedded one unless told."""

KUMAS = os.environ.get("SERINUS_STORY_KUMA", "").split()
"""The versions of Kuma to play with (`make story KUMA=3.0`); each test has its own unless told."""

POLL = 0.25


class StoryLab:
    """A running lab. Commands are run by bash, as the guide writes them."""

    def __init__(self, info: world.LabInfo) -> None:
        self.info = info
        path = f"{Path(find_kubectl()).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {
            **os.environ,
            "PATH": path,
            "KUBECONFIG": str(info.paths.kubeconfig),
            "TERM": "xterm",
        }

    def sh(self, command: str, *, ok: bool = True, stdin: str | None = None) -> str:
        """What a command printed; with ``ok`` false also what it complained, and it must fail."""
        for remote, ours in FOLDERS.items():
            command = command.replace(remote, str(manifests.kustomization(ours)))
        done = subprocess.run(
            ["bash", "-c", command],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        if ok:
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            return done.stdout
        assert done.returncode != 0, f"{command} should fail\n{done.stdout}"
        return done.stdout + done.stderr

    def get(self, what: str) -> Any:
        """An object or a list of them."""
        return json.loads(self.sh(f"kubectl get {what} -o json"))

    def canary(self, name: str = "podinfo") -> dict[str, Any]:
        """The status of a canary."""
        status: dict[str, Any] = self.get(f"-n test canary/{name}").get("status") or {}
        return status

    def until(self, holds: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait until ``holds``; what the canary says is in the failure."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                told = self.sh("kubectl -n test describe canary/podinfo; kubectl get pods -A")
                raise AssertionError(f"not within {seconds:g}s: {what}\n{told}")
            time.sleep(POLL)

    def until_phase(self, phase: str, seconds: float = 120) -> None:
        self.until(lambda: self.canary().get("phase") == phase, seconds, phase)

    def until_weight(self, weight: int, seconds: float = 120) -> None:
        """Wait until a rollout is under way and its canary has at least that weight."""

        def there() -> bool:
            status = self.canary()
            return status["phase"] == "Progressing" and status["canaryWeight"] >= weight

        self.until(there, seconds, f"weight {weight}")

    def set_image(self, version: str) -> None:
        """As the guide writes it, line break included."""
        self.sh(
            "kubectl -n test set image deployment/podinfo \\\n"
            f"podinfod=ghcr.io/stefanprodan/podinfo:{version}"
        )

    def prepare(self, canary: str) -> None:
        """The guide from its start to an initialised canary, whose manifest is given."""
        self.sh("kubectl apply -k github.com/fluxcd/flagger//kustomize/kuma")
        self.sh("kubectl create ns test")
        self.sh("kubectl annotate namespace test kuma.io/sidecar-injection=enabled")
        self.sh("kubectl apply -k https://github.com/fluxcd/flagger//kustomize/tester?ref=main")
        self.sh("kubectl apply -k https://github.com/fluxcd/flagger//kustomize/podinfo?ref=main")
        for where in ("-n kong-mesh-system deployment/flagger",
                      "-n test deployment/flagger-loadtester",
                      "-n test deployment/podinfo"):  # fmt: skip
            self.sh(f"kubectl rollout status {where} --timeout=120s")
        directory = self.info.paths.root / "story"
        directory.mkdir(exist_ok=True)
        (directory / "podinfo-canary.yaml").write_text(canary)
        self.sh(f"cd {directory} && kubectl apply -f ./podinfo-canary.yaml")
        self.until_phase("Initialized")


@contextmanager
def story_lab(name: str, kuma: str, mesh_services: str | None = None) -> Iterator[StoryLab]:
    """A lab of this test's own."""
    world.down(name)
    plane = Path(CONTROL_PLANE) if CONTROL_PLANE else None
    info = world.up(name, kuma, control_plane=plane, mesh_services=mesh_services)
    try:
        yield StoryLab(info)
    finally:
        world.down(name)


class Told:
    """The events of the canary in the order in which they were told, as ``kubectl get -w`` shows
    them. (``describe`` sorts by whole seconds, so there those of one second may come in any
    order.)"""

    def __init__(self, lab: StoryLab) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            ["kubectl", "-n", "test", "get", "events", "--watch", "--no-headers",
             "--field-selector=involvedObject.kind=Canary,involvedObject.name=podinfo",
             "-o=custom-columns=:.message"],
            env=lab.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def mark(self) -> int:
        """Where we are now."""
        return len(self.lines)

    def must_hold(self, patterns: list[str], since: int) -> None:
        """The patterns match some of the lines since a mark, in this order."""
        lines = iter(self.lines[since:])
        for pattern in patterns:
            if not any(re.fullmatch(pattern, line) for line in lines):
                told = "\n".join(self.lines[since:])
                raise AssertionError(f"not told, or not in this order: {pattern}\n{told}")


class Terminal:
    """kubectl under a terminal of its own: ``exec -it`` behaves as in a person's window."""

    def __init__(self, lab: StoryLab, *command: str) -> None:
        self.shown = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], command, lab.environment)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 4096)
            except OSError:
                return
            if not data:
                return
            self.shown += data.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def until(self, text: str, seconds: float = 20) -> None:
        """Wait until the terminal has shown ``text``."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown:\n{self.shown}"
            time.sleep(POLL)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def leave(self) -> int:
        """End the shell and kubectl; kubectl's exit code."""
        self.interrupt()
        self.type("exit\n")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                os.close(self._terminal)
                return os.waitstatus_to_exitcode(status)
            time.sleep(POLL)
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)
        raise AssertionError(f"the shell did not end:\n{self.shown}")


def processes_below(pid: int) -> Iterator[tuple[int, str]]:
    """The ids and command lines of a process and all below it."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    yield pid, line
    for child in children:
        yield from processes_below(int(child))
