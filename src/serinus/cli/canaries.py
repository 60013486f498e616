"""Reading canaries, their pods and their events for the command line."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from serinus.api.canary import Canary
from serinus.api.decode import Malformed, decode_canary
from serinus.api.meta import ObjectMeta
from serinus.api.resource import Resource
from serinus.cli.errors import CommandError
from serinus.cluster.client import Client
from serinus.cluster.errors import Gone, NotFound, Unreachable
from serinus.cluster.kinds import CANARIES, DEPLOYMENTS, EVENTS
from serinus.rollout.explanation import Pods
from serinus.rollout.history import Told

PAUSE = 1.0
"""Seconds at least between two watches, should the server end them at once."""


class _List(msgspec.Struct):
    items: tuple[msgspec.Raw, ...] = ()


class _Change(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Scale(Resource, frozen=True, kw_only=True):
    replicas: int | None = None
    available_replicas: int = 0


class _Deployment(Resource, frozen=True, kw_only=True):
    spec: _Scale = _Scale()
    status: _Scale = _Scale()


class _Event(Resource, frozen=True, kw_only=True):
    metadata: ObjectMeta
    message: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None


class _EventList(Resource, frozen=True, kw_only=True):
    items: tuple[_Event, ...] = ()


def readable(raw: bytes) -> Canary:
    """The canary, or the `CommandError` that names the field which cannot be read."""
    canary = decode_canary(raw)
    if isinstance(canary, Malformed):
        where = f"{canary.name}.{canary.namespace}"
        raise CommandError(f"canary {where} cannot be read: {canary.problem}")
    return canary


async def fetch(client: Client, namespace: str, name: str) -> Canary:
    """The canary as it is now. Raises `CommandError` where there is none."""
    try:
        return readable(await client.get(CANARIES, namespace, name))
    except NotFound as error:
        raise CommandError(f"no canary {name} in namespace {namespace}: {error}") from None


async def fetch_all(client: Client, namespace: str | None) -> list[bytes]:
    """Every canary of the namespace, or of all, as JSON."""
    raw = await client.list(CANARIES, namespace)
    return [bytes(item) for item in msgspec.json.decode(raw, type=_List).items]


async def follow(client: Client, namespace: str, name: str) -> AsyncIterator[Canary]:
    """The canary now, and after every change, for ever. Raises `CommandError` when it is gone."""
    while True:
        began = time.monotonic()
        canary = await fetch(client, namespace, name)
        yield canary
        params: dict[str, str | int] = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": canary.metadata.resource_version,
        }
        # A watch that ends is begun anew: a server that is really away says so to `fetch`.
        with contextlib.suppress(Gone, Unreachable):
            async with client.stream(CANARIES.path(namespace), params) as lines:
                async for line in lines:
                    change = msgspec.json.decode(line, type=_Change)
                    if change.type == "DELETED":
                        raise CommandError(f"canary {name}.{namespace} has been deleted")
                    if change.type == "ERROR":
                        break
                    yield readable(bytes(change.object))
        await asyncio.sleep(max(0.0, PAUSE - (time.monotonic() - began)))


async def pods(client: Client, namespace: str, name: str) -> Pods | None:
    """How many pods of a Deployment serve; None where there is no such Deployment."""
    try:
        raw = await client.get(DEPLOYMENTS, namespace, name)
    except NotFound:
        return None
    found = msgspec.json.decode(raw, type=_Deployment)
    wanted = 1 if found.spec.replicas is None else found.spec.replicas
    return Pods(available=found.status.available_replicas, wanted=wanted)


async def told(client: Client, canary: Canary) -> list[Told]:
    """What the operator said of the canary by events, oldest first. An event that was repeated
    counts for its first and its last time, which are all that the server keeps."""
    selector = f"involvedObject.kind=Canary,involvedObject.name={canary.name}"
    raw = await client.list(EVENTS, canary.namespace, None, selector)
    events = msgspec.json.decode(raw, type=_EventList).items
    said: list[tuple[datetime, str, Told]] = []
    for event in events:
        times = {event.first_timestamp, event.last_timestamp if (event.count or 1) > 1 else None}
        for at in times - {None}:
            assert at is not None
            said.append((at, event.metadata.name, Told(at, event.message)))
    # Within a second the names tell the order: they end in the nanosecond.
    return [one for _, _, one in sorted(said, key=lambda each: each[:2])]
