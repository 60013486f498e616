"""The operator as people run it: a process with a kubeconfig."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


class Operator:
    """One process; `stop` ends it as Kubernetes does, `kill` as a broken node does."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str) -> None:
        self._log = log
        self._output = log.open("ab")
        self._begin = self._output.tell()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "serinus.operator", "-kubeconfig", str(kubeconfig)),
                *("-listen=127.0.0.1", "-port=0", *flags),
            ],
            stderr=self._output,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        )

    def log(self) -> list[dict[str, Any]]:
        """The whole lines of its log so far; each has to be JSON."""
        with self._log.open("rb") as text:
            text.seek(self._begin)
            whole, _, _ = text.read().rpartition(b"\n")
            return [json.loads(line) for line in whole.splitlines()]

    def wait_ready(self) -> None:
        """As its readiness probe does."""
        deadline = time.monotonic() + 60
        while not (self._port() and self.get("/readyz")[0] == 200):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self.get("/readyz")
            time.sleep(0.02)

    def _port(self) -> int:
        """Where it listens; 0 as long as it has not said so."""
        return next((line["port"] for line in self.log() if line["msg"] == "starting"), 0)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def wait(self) -> int:
        code = self._process.wait(60)
        self._output.close()
        return code

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None
