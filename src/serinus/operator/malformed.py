"""Canaries that cannot even be read: told once for each version of them, and left alone."""

import asyncio
from datetime import UTC, datetime

import structlog

from serinus.api.decode import Malformed
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, Unreachable
from serinus.cluster.events import EventRecorder, ObjectRef
from serinus.cluster.kinds import CANARIES

log = structlog.get_logger(__name__)


class Complaints:
    """Writes the event and the condition that name the field."""

    def __init__(self, client: Client, events: EventRecorder) -> None:
        self._client = client
        self._events = events
        self._told: dict[tuple[str, str], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def about(self, canary: Malformed) -> None:
        """Tell people what keeps this canary from being read."""
        key = (canary.namespace, canary.name)
        problem = str(canary.problem)
        if self._told.get(key) == problem:
            return
        self._told[key] = problem
        ref = ObjectRef(
            CANARIES.api_version, CANARIES.kind, canary.namespace, canary.name, canary.uid
        )
        message = f"Refusing to roll out {canary.name}.{canary.namespace}: {problem}"
        log.warning(message, canary=f"{canary.name}.{canary.namespace}")
        self._events.record(ref, "Warning", "Synced", message)
        task = asyncio.create_task(self._write_condition(canary, problem))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_condition(self, canary: Malformed, problem: str) -> None:
        # The status cannot be read either, so it is replaced as far as conditions go.
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "Refused",
            "message": problem,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        body = {
            "metadata": {"resourceVersion": canary.resource_version},
            "status": {"conditions": [condition]},
        }
        try:
            await self._client.patch(
                CANARIES, canary.namespace, canary.name, body, subresource="status"
            )
        except (ApiError, Unreachable) as error:
            log.warning("condition not written", canary=canary.name, error=str(error))
