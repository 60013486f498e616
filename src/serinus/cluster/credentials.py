"""The Secrets that a MetricTemplate or an AlertProvider names.

Each is watched by itself, by its name: a right to read one Secret is enough (RBAC's
``resourceNames`` allow such a watch), and no Secret that nobody named ever comes into this
process. Who asks gets what the watch has told, so that a rotated Secret is used at once and a tick
asks the API server for nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import SECRETS

FIRST_ANSWER = 5.0
"""Seconds that the first one who asks for a Secret waits for the API server."""

IDLE = 1800.0
"""Seconds after which a Secret that nobody has asked for is watched no more."""


class NoCredentials(Exception):
    """The Secret, or what is wanted of it, is not there; the message is for a person."""


class SecretData(Mapping[str, str]):
    """A Secret's values by key, as text. It never shows them by itself, in a log or a traceback.

    Values that are not UTF-8 are left out: no credential of ours is binary, and they must not keep
    the others from being used.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values: dict[str, str] = {}
        for key, value in values.items():
            with contextlib.suppress(UnicodeDecodeError):
                self._values[key] = value.decode()

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<values of {', '.join(self._values) or 'nothing'}>"


class _Secret(msgspec.Struct):
    data: dict[str, bytes] | None = None


_secret = msgspec.json.Decoder(_Secret)


def _decode(raw: bytes) -> SecretData:
    return SecretData(_secret.decode(raw).data or {})


@dataclass(slots=True)
class _Watched:
    cache: Cache[SecretData]
    task: asyncio.Task[None]
    asked: float


class Credentials:
    """The data of Secrets by namespace and name; keep `run` running and `close` it at the end.

    ``idle`` and ``first_answer`` are in seconds.
    """

    def __init__(
        self, client: Client, *, idle: float = IDLE, first_answer: float = FIRST_ANSWER
    ) -> None:
        self._client = client
        self._idle = idle
        self._first_answer = first_answer
        self._watched: dict[tuple[str, str], _Watched] = {}

    @property
    def watched(self) -> frozenset[tuple[str, str]]:
        """Namespace and name of each Secret that is watched now."""
        return frozenset(self._watched)

    async def get(self, namespace: str, name: str) -> Mapping[str, str]:
        """What the Secret holds now.

        Only the first to ask waits, for the API server's answer. Raises `NoCredentials` when
        there is no such Secret, or it could not be read yet.
        """
        watched = self._watch(namespace, name)
        cache = watched.cache
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._first_answer):
                await cache.answered.wait()
        data = cache.get(namespace, name)
        if data is not None:
            return data
        if cache.synced.is_set():
            raise NoCredentials(f'Secret "{name}" in namespace "{namespace}" does not exist')
        why = cache.last_error or f"no answer in {self._first_answer:g}s"
        raise NoCredentials(f'Secret "{name}" in namespace "{namespace}" cannot be read: {why}')

    async def run(self) -> None:
        """End the watches that nobody needs any more, for ever."""
        while True:
            await asyncio.sleep(self._idle / 10)
            before = time.monotonic() - self._idle
            idle = [key for key, watched in self._watched.items() if watched.asked < before]
            await self._end(idle)

    async def close(self) -> None:
        """End all watches."""
        await self._end(list(self._watched))

    def _watch(self, namespace: str, name: str) -> _Watched:
        watched = self._watched.get((namespace, name))
        if watched is None:
            cache = Cache(
                self._client,
                SECRETS,
                _decode,
                namespace=namespace,
                field_selector=f"metadata.name={name}",
            )
            watched = _Watched(cache, asyncio.create_task(cache.run()), 0.0)
            self._watched[namespace, name] = watched
        watched.asked = time.monotonic()
        return watched

    async def _end(self, keys: list[tuple[str, str]]) -> None:
        ended = [self._watched.pop(key).task for key in keys]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
