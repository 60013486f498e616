"""The states of a container, as a pod's status shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


def now_stamp() -> str:
    """The time as Kubernetes' metav1.Time."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str
    message: str = ""

    def shown(self) -> dict[str, Any]:
        body = {"reason": self.reason}
        if self.message:
            body["message"] = self.message
        return {"waiting": body}


@dataclass(frozen=True, slots=True)
class Active:
    """Running since ``started_at``."""

    started_at: str

    def shown(self) -> dict[str, Any]:
        return {"running": {"startedAt": self.started_at}}


@dataclass(frozen=True, slots=True)
class Terminated:
    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    container_id: str

    def shown(self) -> dict[str, Any]:
        return {
            "terminated": {
                "exitCode": self.exit_code,
                "reason": self.reason,
                "startedAt": self.started_at,
                "finishedAt": self.finished_at,
                "containerID": self.container_id,
            }
        }


State = Waiting | Active | Terminated
