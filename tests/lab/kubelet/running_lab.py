"""A lab for tests, asked with the real kubectl."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane import Missing, program
from serinus.lab.world import LabInfo

KUBECTL = Path(sys.executable).parent / "kubectl"
PATIENCE = 60.0


@dataclass
class Lab:
    """A running lab."""

    info: LabInfo

    def kubectl(self, *words: str, given: str | None = None, status: int | None = 0) -> str:
        """Run kubectl; its standard output. Its exit status must be ``status`` (None: any)."""
        done = subprocess.run(
            [KUBECTL, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.info.paths.kubeconfig)},
        )
        assert status in {None, done.returncode}, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", given="\n---\n".join(map(json.dumps, objects)))

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def ready(self, *pods: str) -> None:
        names = [f"pod/{name}" for name in pods]
        self.kubectl("wait", "--for=condition=Ready", *names, "--timeout=60s")

    def shell(self, pod: str, script: str, status: int | None = 0) -> str:
        return self.kubectl("exec", pod, "--", "sh", "-c", script, status=status)


def built() -> Path:
    """The folder of a real control plane's programs; skips the test when they are not there."""
    try:
        return program("etcd").parent
    except Missing as missing:
        pytest.skip(str(missing))


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.05)


def descendants(pid: int) -> set[int]:
    """The process ids of a tree."""
    found, waiting = set[int](), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                waiting += [int(word) for word in children.read_text().split()]
        except OSError:
            continue
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run (a dead process that nobody has buried does not)."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if runs(pid)}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod with the label ``app: NAME``."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": list(containers), **spec},
    }


def shell(name: str, script: str, **more: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


PODINFO = {
    "name": "podinfod",
    "image": "ghcr.io/stefanprodan/podinfo:6.0.0",
    "command": ["./podinfo", "--port=9898", "--level=info"],
    "ports": [{"name": "http", "containerPort": 9898}],
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    "livenessProbe": {
        "exec": {"command": ["podcli", "check", "http", "localhost:9898/healthz"]},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
    },
}


@dataclass
class Terminal:
    """kubectl at a terminal of 33 lines and 99 columns."""

    process: "subprocess.Popen[bytes]"
    master: int
    seen: str = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, words: str) -> None:
        """Wait until it shows ``words``, behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.seen:
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self.master], [], [], max(left, 0))
            assert readable, f"still not shown: {words!r}; but {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096).decode()
            except OSError as error:
                # EIO: nobody has the other side any more.
                raise AssertionError(f"never shown: {words!r}; but {self.seen!r}") from error
        self.seen = self.seen.partition(words)[2]

    def end(self) -> int:
        """Wait until it ends; its exit status."""
        status = self.process.wait(PATIENCE)
        os.close(self.master)
        return status


def in_terminal(lab: Lab, *words: str) -> Terminal:
    """Start kubectl at a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    process = subprocess.Popen(
        [KUBECTL, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "KUBECONFIG": str(lab.info.paths.kubeconfig)},
    )
    os.close(slave)
    return Terminal(process, master)
