"""Bringing one route object about, and telling what differs.

A route holds lists that are only partly ours, and a patch replaces lists whole. So each patch
carries the resourceVersion that it was made from, and is made anew from the server's state when
somebody else was quicker.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.cluster.client import Client
from serinus.cluster.errors import AlreadyExists, Conflict, NotFound
from serinus.cluster.ownership import UNMANAGED_BY_FLUX
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written, written
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.belonging import CANARY, mark
from serinus.routing.metadata import RouteMeta

Json = dict[str, Any]

ATTEMPTS = 4
"""How often a write is tried while others keep writing the same object."""

FORGOTTEN: list[Json] = [{}]
"""The word for an object's `managedFields` that has the API server forget them. It notes none
from then on, until somebody applies the object on the server."""

AT_REST = Traffic(Weights(primary=100, canary=0))
"""What a route is compared with, but for its traffic, when it carries none."""


class _Live(Protocol):
    @property
    def metadata(self) -> RouteMeta: ...


View = TypeVar("View", bound=_Live)


async def bring_about(
    client: Client,
    resource: Resource,
    namespace: str | None,
    name: str,
    live: View | None,
    *,
    decode: Callable[[bytes], View],
    body: Callable[[], Json],
    change: Callable[[View], Json],
) -> list[Written]:
    """Create the object from ``body``, or merge into it what ``change`` finds to be different.

    ``live`` is what the cache shows. Raises the API's error when it is not to be overcome.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if live is None:
                answer = await client.create(resource, namespace, body())
            else:
                patch = change(live)
                if not patch:
                    return []
                fence = {"resourceVersion": live.metadata.resource_version}
                patch["metadata"] = {**patch.get("metadata", {}), **fence}
                if live.metadata.noted_alone(client.field_manager):
                    # docs/decisions/field-owners.md
                    patch["metadata"]["managedFields"] = FORGOTTEN
                answer = await client.patch(resource, namespace, name, patch)
            return [written(resource, answer)]
        except (AlreadyExists, Conflict, NotFound):
            if attempt == ATTEMPTS:
                raise
        try:
            live = decode(await client.get(resource, namespace, name))
        except NotFound:
            live = None
    raise AssertionError("unreachable: the last attempt returns or raises")


async def collect(
    client: Client,
    resource: Resource,
    routes: Iterable[_Live],
    exists: Callable[[str, str], bool],
) -> None:
    """Delete those of the routes that are marked for a canary which does not exist."""
    for route in routes:
        namespace, _, name = route.metadata.annotations.get(CANARY, "").partition("/")
        if not name or exists(namespace, name):
            continue
        meta = route.metadata
        with contextlib.suppress(NotFound):
            await client.delete(resource, meta.namespace or None, meta.name, uid=meta.uid or None)


def route_metadata(canary: Canary) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations of a canary's route: what the canary asks for on its apex, and
    what says whose it is."""
    asked = canary.spec.service.apex
    return dict(asked.labels), {**asked.annotations, **UNMANAGED_BY_FLUX, **mark(canary)}


def metadata_change(
    live: ObjectMeta, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> Json:
    """The merge patch for labels and annotations; keys of others stay."""
    change: Json = {}
    for field, wanted, found in (
        ("labels", labels, live.labels),
        ("annotations", annotations, live.annotations),
    ):
        missing = {key: value for key, value in wanted.items() if found.get(key) != value}
        if missing:
            change[field] = missing
    return change


def paths(patch: Json) -> tuple[str, ...]:
    """The fields that a merge patch sets or removes."""
    return tuple(_paths(patch, ""))


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            step = f"[{key}]" if "/" in key or "." in key else f".{key}" if path else key
            yield from _paths(item, path + step)
    else:
        yield path
