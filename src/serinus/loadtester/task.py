"""From a webhook's metadata to the task that it describes, by its `type`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serinus.loadtester.command import Command
from serinus.loadtester.concord import Concord
from serinus.loadtester.ngrinder import NGrinder
from serinus.loadtester.payload import Payload, PayloadError
from serinus.loadtester.work import Work

TRUTHS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's ParseBool takes for true."""

Metadata = Mapping[str, str]

EXAMPLES = {
    "cmd": "hey -z 1m http://app.test/",
    "bash": "curl -sf http://app-canary.test/ | grep ok",
    "helm": "test app --namespace test",
    "helmv3": "test app --namespace test",
    "kubectl": "get pods --namespace test",
}
"""A `metadata.cmd` for each type that has one."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to run for a canary. ``text`` says it in logs and errors and, with the canary, tells
    tasks apart; it holds no secret. ``background`` tasks are answered before they have run."""

    canary: str
    kind: str
    text: str
    work: Work
    background: bool = False
    log_output: bool = False
    return_output: bool = False


def task(payload: Payload) -> Task:
    """The task that a payload's metadata describe; raises `PayloadError`."""
    metadata = payload.metadata
    if not metadata:
        raise PayloadError("metadata not found in payload")
    kind = metadata.get("type", "cmd")
    if kind not in _MAKERS:
        raise PayloadError(f"unknown task type {kind}")
    text, work = _MAKERS[kind](kind, metadata)
    background = kind in {"cmd", "ngrinder"}
    said = metadata.get("logCmdOutput", "false" if background else "true")
    return Task(
        canary=payload.canary,
        kind=kind,
        text=text,
        work=work,
        background=background,
        log_output=said in TRUTHS,
        return_output=metadata.get("returnCmdOutput", "") in TRUTHS,
    )


def _command(kind: str, metadata: Metadata) -> str:
    command = metadata.get("cmd", "")
    if not command.strip():
        raise PayloadError(f'metadata.cmd is empty; write for example "{EXAMPLES[kind]}"')
    return command


def _by_shell(kind: str, metadata: Metadata) -> tuple[str, Work]:
    command = _command(kind, metadata)
    return command, Command(("sh" if kind == "cmd" else "bash", "-c", command))


def _by_program(kind: str, metadata: Metadata) -> tuple[str, Work]:
    # At white space, as Flagger does: quotes mean nothing here.
    arguments = _command(kind, metadata).split()
    program = "helm" if kind == "helmv3" else kind
    return " ".join((program, *arguments)), Command((program, *arguments))


def _by_concord(_: str, metadata: Metadata) -> tuple[str, Work]:
    work = Concord.described(metadata)
    return work.text, work


def _by_ngrinder(_: str, metadata: Metadata) -> tuple[str, Work]:
    work = NGrinder.described(metadata)
    return work.text, work


_MAKERS: Mapping[str, Callable[[str, Metadata], tuple[str, Work]]] = {
    "cmd": _by_shell,
    "bash": _by_shell,
    "helm": _by_program,
    "helmv3": _by_program,
    "kubectl": _by_program,
    "concord": _by_concord,
    "ngrinder": _by_ngrinder,
}
