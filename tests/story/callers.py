"""Callers in the mesh: real curls in the load tester's pod, whose answers are kept one by one."""

import itertools
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass

from story.story_lab import StoryLab

TESTER = "kubectl -n test exec deployment/flagger-loadtester -c loadtester --"

ROUNDS = 240
"""Curls after which a caller ends by itself, each of which takes a second or more."""

# One curl keeps its connection for a second's requests; the next takes its cookies over.
_LOOP = """
rm -f /tmp/{name}.jar
i=0
while [ $i -lt {rounds} ] && [ ! -e /tmp/{name}.stop ]; do
  i=$((i+1))
  curl -s --max-time 10 --rate {rate}/s {options} -w '{told}' '{url}?[1-{rate}]'
done
"""
_TOLD = r"\n@%{http_code} %{time_total}\n"
_NUMBERS = itertools.count()
_ANSWER = re.compile(r"\n@(\d{3}(?: [\d.]+)?)\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """``side`` is whose pod it came from, "primary" or "canary". Without a 200 it is "failed", and
    ``version`` is the status, the seconds that it took, and the answer's beginning."""

    side: str
    version: str

    def __str__(self) -> str:
        return f"{self.side} {self.version}".rstrip()


class Caller:
    """One user of podinfo in ``namespace``. With ``cookies`` it keeps those that it is given.

    ``rate`` is in requests a second; ``host`` and ``path`` are what is called, the apex by default.
    """

    def __init__(
        self,
        lab: StoryLab,
        namespace: str,
        name: str,
        options: str = "",
        *,
        cookies: bool = False,
        rate: int = 10,
        host: str = "podinfo",
        path: str = "/",
    ) -> None:
        self.name = name
        self._lab = lab
        self._file = f"{namespace}-{name}-{next(_NUMBERS)}"
        if cookies:
            options += f" -b /tmp/{self._file}.jar -c /tmp/{self._file}.jar"
        script = _LOOP.format(
            name=self._file,
            rounds=ROUNDS,
            rate=rate,
            options=options,
            told=_TOLD,
            url=f"http://{host}.{namespace}:9898{path}",
        )
        # A pipe that nobody reads for so long would hold the caller up.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with `answers`)
        self._process = subprocess.Popen(
            [*TESTER.split(), "sh", "-c", script],
            env=lab.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
        )

    @property
    def so_far(self) -> int:
        """How many answers there are already."""
        return sum(1 for _ in _ANSWER.finditer(self._read()))

    def stop(self) -> None:
        """Let the caller end after the requests that it is at."""
        self._lab.sh(f"{TESTER} touch /tmp/{self._file}.stop")

    def answers(self) -> list[Answer]:
        """All answers in their order, once the caller has been stopped."""
        self._process.wait(timeout=60)
        with self._output:
            return read_answers(self._read())

    def _read(self) -> str:
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def jar(self) -> str:
        """The cookies that it holds, as curl writes them to a file."""
        return self._lab.sh(f"{TESTER} cat /tmp/{self._file}.jar")


def read_answers(output: str) -> list[Answer]:
    """The answers in what curl wrote."""
    parts = _ANSWER.split(output)
    return [_answer(body, code) for body, code in zip(parts[0:-1:2], parts[1::2], strict=True)]


def _answer(body: str, code: str) -> Answer:
    if not code.startswith("200"):
        return Answer("failed", f"{code} {body.strip()[:120]}".rstrip())
    told = json.loads(body)
    side = "primary" if told["hostname"].startswith("podinfo-primary-") else "canary"
    return Answer(side, told["version"])


def course(answers: list[Answer]) -> list[str]:
    """What a caller saw, one after the other, each stretch of the same once."""
    return [key for key, _ in itertools.groupby(str(answer) for answer in answers)]


def table(title: str, seen: dict[str, list[Answer]]) -> str:
    """How often each caller saw what."""
    counts = {name: Counter(map(str, answers)) for name, answers in seen.items()}
    columns = sorted({column for count in counts.values() for column in count})
    rows = [["caller", *columns]]
    rows += [[name, *(str(count[column]) for column in columns)] for name, count in counts.items()]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"\n{title}", *(f"  {line}" for line in lines)])
