"""Canaries that cannot even be read: told once, as long as they stay so, and left alone."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from serinus.api.decode import Malformed, decode_canary
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, Conflict, Unreachable
from serinus.cluster.events import EventRecorder, ObjectRef
from serinus.cluster.kinds import CANARIES

log = structlog.get_logger(__name__)

Json = dict[str, Any]

ATTEMPTS = 4
"""How often the condition is written while others keep writing the same canary."""


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
        task = asyncio.create_task(self._write_condition(canary.namespace, canary.name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def withdraw(self, key: tuple[str, str]) -> None:
        """The canary can be read, or is gone: the next complaint about it is news."""
        self._told.pop(key, None)

    async def _write_condition(self, namespace: str, name: str) -> None:
        try:
            for _ in range(ATTEMPTS):
                try:
                    return await self._try_to_write(namespace, name)
                except Conflict:
                    continue
        except (ApiError, Unreachable) as error:
            log.warning("condition not written", canary=f"{name}.{namespace}", error=str(error))

    async def _try_to_write(self, namespace: str, name: str) -> None:
        # The cache has not kept what it could not read; and the other conditions must stay, for
        # one of them may be a rollback under way.
        page = await self._client.list(CANARIES, namespace, None, f"metadata.name={name}")
        for raw in msgspec.json.decode(page, type=_Page).items:
            found = decode_canary(bytes(raw))
            if isinstance(found, Malformed):
                body = {
                    "apiVersion": CANARIES.api_version,
                    "kind": CANARIES.kind,
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "resourceVersion": found.resource_version,
                    },
                    "status": _with_complaint(msgspec.json.decode(raw), str(found.problem)),
                }
                await self._client.replace(CANARIES, namespace, name, body, subresource="status")


class _Page(msgspec.Struct):
    items: list[msgspec.Raw] = []


def _with_complaint(canary: Json, problem: str) -> Json:
    """The status of an unreadable canary whose condition `Ready` says why it is one."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "Refused",
        "message": problem,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }
    found = canary.get("status")
    status = found if isinstance(found, dict) else {}
    conditions = status.get("conditions")
    kept = [
        one
        for one in (conditions if isinstance(conditions, list) else ())
        if isinstance(one, dict) and one.get("type") != "Ready"
    ]
    return {**status, "conditions": [*kept, ready]}
