"""What a webhook asks of the load tester."""

from collections.abc import Mapping

import msgspec

TRUTHS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's ParseBool takes for true."""

UNSUPPORTED = {
    "helm": "use type bash with a whole `helm ...` command",
    "helmv3": "use type bash with a whole `helm ...` command",
    "kubectl": "use type bash with a whole `kubectl ...` command",
    "concord": "start the process with `curl` in a command of type bash",
    "ngrinder": "generate load with `hey` in a command of type cmd",
}
"""Task types of Flagger's load tester that this one lacks, and what does the same."""


class PayloadError(ValueError):
    """A request that makes no sense; the text is the answer's body."""


class Payload(msgspec.Struct, frozen=True):
    """A webhook's body. ``metadata`` is the canary's `webhooks[].metadata`."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    checksum: str = ""
    metadata: Mapping[str, str] | None = None

    @property
    def canary(self) -> str:
        return f"{self.name}.{self.namespace}"


class Task(msgspec.Struct, frozen=True):
    """A command to run. ``background`` tasks are answered before they have run."""

    canary: str
    kind: str
    command: str
    shell: str
    background: bool
    log_output: bool = False
    return_output: bool = False


def decode(body: bytes) -> Payload:
    """Read a request's body; raises `PayloadError`."""
    try:
        return msgspec.json.decode(body, type=Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PayloadError(f"the body is not a webhook's payload in JSON: {error}") from None


def task(payload: Payload) -> Task:
    """The task that a payload's metadata describe; raises `PayloadError`."""
    metadata = payload.metadata
    if not metadata:
        raise PayloadError("metadata not found in payload")
    kind = metadata.get("type", "cmd")
    if kind in UNSUPPORTED:
        raise PayloadError(
            f"task type {kind} is not supported by this load tester: {UNSUPPORTED[kind]}"
        )
    if kind not in {"cmd", "bash"}:
        raise PayloadError(f"unknown task type {kind}")
    command = metadata.get("cmd", "")
    if not command.strip():
        raise PayloadError('metadata.cmd is empty; write for example "hey -z 1m http://app.test/"')
    return Task(
        canary=payload.canary,
        kind=kind,
        command=command,
        shell="sh" if kind == "cmd" else "bash",
        background=kind == "cmd",
        log_output=metadata.get("logCmdOutput", "") in TRUTHS,
        return_output=metadata.get("returnCmdOutput", "") in TRUTHS,
    )
