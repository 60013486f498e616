"""Some CustomResourceDefinitions, watched by their names: whether the cluster's kinds change.

Each has a watch of its own. One watch of all would bring hundreds of schemas to an operator that
asks about a dozen, and would need a right that no resourceNames could bound.
"""

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import Forbidden
from serinus.cluster.kinds import CRDS


class _Meta(msgspec.Struct, frozen=True):
    uid: str = ""
    generation: int = 0


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, frozen=True):
    """``conditions`` are null until the API server has looked at the definition."""

    conditions: tuple[_Condition, ...] | None = None


class _Definition(msgspec.Struct, frozen=True):
    """What tells one state of a definition from another: its kind is served once it is
    Established, and its schema changes only with its generation."""

    metadata: _Meta
    status: _Status = _Status()


_decoder = msgspec.json.Decoder(_Definition)


class Definitions:
    """Calls ``changed`` whenever one of the definitions appears, changes, is served, or goes.

    `run` is to be kept running in a task.
    """

    def __init__(self, client: Client, names: Iterable[str], changed: Callable[[], None]) -> None:
        self._changed = changed
        self._caches = [
            Cache(client, CRDS, _decoder.decode, field_selector=_named(name)) for name in names
        ]
        for cache in self._caches:
            cache.subscribe(self._take)

    async def run(self) -> None:
        """Follow them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches:
                tasks.create_task(cache.run())

    async def listed(self) -> None:
        """Wait until each has been looked for; changes from then on are not missed."""
        for cache in self._caches:
            await cache.answered.wait()

    def _take(self, change: Change[_Definition]) -> None:
        if change.old != change.new:
            self._changed()


async def may_watch(client: Client, name: str) -> bool:
    """Whether this client may watch the definition of that name, judged by whether it may list
    it. Raises `ApiError` and `Unreachable`."""
    try:
        await client.list(CRDS, None, None, _named(name), limit=1)
    except Forbidden:
        return False
    return True


def _named(name: str) -> str:
    return f"metadata.name={name}"
