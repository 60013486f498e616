"""Callers in the mesh: real curls in the load tester's pod, whose answers are kept one by one."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from story.story_lab import StoryLab

TESTER = "kubectl -n test exec deployment/flagger-loadtester -c loadtester --"

ROUNDS = 90
"""At ten requests a second a caller ends by itself, after some two minutes."""

# One curl keeps its connection for ten requests; the next takes its cookies over.
_LOOP = """
rm -f /tmp/{name}.jar
i=0
while [ $i -lt {rounds} ] && [ ! -e /tmp/{name}.stop ]; do
  i=$((i+1))
  curl -s --max-time 10 --rate 10/s {options} -w '\\n@%{{http_code}}\\n' '{url}?[1-10]'
done
"""
_ANSWER = re.compile(r"\n@(\d{3})\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """``side`` is whose pod it came from, "primary" or "canary"; "failed" when there was no 200."""

    side: str
    version: str

    def __str__(self) -> str:
        return f"{self.side} {self.version}".rstrip()


class Caller:
    """One user of podinfo in ``namespace``. With ``cookies`` it keeps those that it is given."""

    def __init__(
        self, lab: StoryLab, namespace: str, name: str, options: str = "", *, cookies: bool = False
    ) -> None:
        self.name = name
        self._lab = lab
        self._file = f"{namespace}-{name}"
        if cookies:
            options += f" -b /tmp/{self._file}.jar -c /tmp/{self._file}.jar"
        script = _LOOP.format(
            name=self._file,
            rounds=ROUNDS,
            options=options,
            url=f"http://podinfo.{namespace}:9898/",
        )
        self._process = subprocess.Popen(
            [*TESTER.split(), "sh", "-c", script],
            env=lab.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> None:
        """Let the caller end after the ten requests that it is at."""
        self._lab.sh(f"{TESTER} touch /tmp/{self._file}.stop")

    def answers(self) -> list[Answer]:
        """All answers in their order, once the caller has been stopped."""
        output, _ = self._process.communicate(timeout=60)
        return read_answers(output)

    def jar(self) -> str:
        """The cookies that it holds, as curl writes them to a file."""
        return self._lab.sh(f"{TESTER} cat /tmp/{self._file}.jar")


def read_answers(output: str) -> list[Answer]:
    """The answers in what curl wrote."""
    parts = _ANSWER.split(output)
    return [_answer(body, code) for body, code in zip(parts[0:-1:2], parts[1::2], strict=True)]


def _answer(body: str, code: str) -> Answer:
    if code != "200":
        return Answer("failed", code)
    told = json.loads(body)
    side = "primary" if told["hostname"].startswith("podinfo-primary-") else "canary"
    return Answer(side, told["version"])


def course(answers: list[Answer]) -> list[str]:
    """What a caller saw, one after the other, each stretch of the same once."""
    return [key for key, _ in groupby(str(answer) for answer in answers)]


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
