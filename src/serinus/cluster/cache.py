"""What the cluster holds of one kind, kept current by list and watch.

The rules, each learnt from somebody's outage:

- Only the watch stream (and the list it starts from) writes. The reply to a write of ours may
  arrive after the event of somebody's newer write, and must not overwrite it.
- An object is never replaced by an older version of itself, nor does a late event bring a
  deleted one back: resourceVersions are compared.
- A watch that is silent for too long is over, whatever the socket says. Servers send a bookmark
  every 60 s; so 70 s of silence mean that nobody is there any more.
- Any doubt ends in a new list: 410, an error event, a line that makes no sense, a version that
  went backwards, a silence, a server that could not be reached.
"""

import asyncio
import contextlib
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec
import structlog

from serinus.cluster.backoff import Backoff
from serinus.cluster.client import Client, selection
from serinus.cluster.errors import ApiError, Gone, Unreachable, refusal
from serinus.cluster.resource import Resource
from serinus.cluster.version import Version, newer, parse, reaches

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace (empty for cluster-scoped kinds) and name."""

SILENCE = 70.0
PAGE = 500
WATCH_SECONDS = (300, 600)
"""Between these the server is asked to end a watch, so that connections move on to new servers."""

LIVELY = 5.0
"""Seconds: a watch that lasted so long worked, even if nothing happened in it."""

REMEMBERED_DELETIONS = 4096
OLD_LISTS = 5
"""How many lists older than what was seen are disbelieved before the cluster is believed to have
been restored from a backup."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object appeared (``old`` is None), changed, or is gone (``new`` is None)."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    old: T | None
    new: T | None


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Head(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _PageMeta(msgspec.Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_token: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _PageMeta
    items: list[msgspec.Raw] | None = None


_event = msgspec.json.Decoder(_Event)
_head = msgspec.json.Decoder(_Head)
_page = msgspec.json.Decoder(_Page)


class _Doubt(Exception):
    """What the cache shows may differ from what the cluster holds."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Cache(Generic[T]):
    """The objects of one kind (and selection), as ``decode`` makes them of their JSON.

    An object that ``decode`` raises for is kept out (and told as DELETED if it was in), logged
    and counted; a decode that wants to show broken objects returns a value that says so.

    `run` is to be kept running in a task; it returns never and raises only what is a bug.
    ``silence`` is in seconds; ``backoff`` paces the attempts to come back.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        decode: Callable[[bytes], T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        silence: float = SILENCE,
        backoff: Backoff | None = None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.synced = asyncio.Event()
        """Set once the first list is in; what the cache shows is then the cluster, once."""
        self.answered = asyncio.Event()
        """Set once it is known whether there is a first list: it is in, or ``last_error`` says
        why not."""
        self.restarts: Counter[str] = Counter()
        """How often the watch was begun anew, by the reason why the one before ended."""
        self.counts: Counter[str] = Counter()
        """``events``, ``bookmarks``, ``lists``, ``late`` (dropped as older), ``undecodable``."""
        self.last_error: str | None = None
        """Why the cache cannot be kept current right now, for a person; None while it is."""
        self._client = client
        self._decode = decode
        self._selection = selection(label_selector, field_selector)
        self._labels = label_selector
        self._fields = field_selector
        self._silence = silence
        self._backoff = backoff or Backoff()
        self._entries: dict[Key, tuple[T, Version]] = {}
        self._absent: dict[Key, Version] = {}
        self._floor: Version = 0
        self._position: Version = 0
        self._old_lists = 0
        self._heard = time.monotonic()
        self._subscribers: list[Callable[[Change[T]], None]] = []
        self._waiting: set[tuple[Key, Version, asyncio.Future[None]]] = set()
        self._log = log.bind(kind=resource.kind, group=resource.group)

    def get(self, namespace: str | None, name: str) -> T | None:
        """The object as last shown by the watch."""
        entry = self._entries.get((namespace or "", name))
        return None if entry is None else entry[0]

    def values(self) -> Iterable[T]:
        """All objects; a list of its own, so that it may be kept over an await."""
        return [value for value, _ in self._entries.values()]

    def keys(self) -> Iterable[Key]:
        """Namespace and name of all objects."""
        return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def resource_version_of(self, namespace: str | None, name: str) -> str | None:
        """The version of the object that `get` shows."""
        entry = self._entries.get((namespace or "", name))
        return None if entry is None else str(entry[1])

    def subscribe(self, callback: Callable[[Change[T]], None]) -> Callable[[], None]:
        """Hear every change from now on, right after it shows in `get`; returns the way out.

        The callback runs inside the watch, so it must be short.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def reached(
        self, namespace: str | None, name: str, resource_version: str, timeout: float
    ) -> bool:
        """Wait until the cache shows that version of the object or a newer one, or knows that
        the object was deleted after it; False when ``timeout`` seconds did not suffice."""
        key, version = (namespace or "", name), parse(resource_version)
        if self._shows(key, version):
            return True
        waiter = (key, version, asyncio.get_running_loop().create_future())
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[2]
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiter)
        return True

    async def catch_up(self) -> None:
        """Show what the cluster holds now, or something newer, whatever the watch has told yet.

        Raises `ApiError` and `Unreachable`.
        """
        try:
            await self._list()
        except _Doubt as doubt:
            # An older list than what is shown means that the watch was faster.
            if doubt.reason != "old list":
                raise Unreachable(str(doubt)) from doubt

    def age(self) -> float:
        """Seconds since the server was last heard (an event, a bookmark, a list)."""
        return time.monotonic() - self._heard

    async def run(self) -> None:
        """List, watch, and begin again for ever."""
        current, failures = False, 0
        while True:
            began = math.inf
            try:
                if not current:
                    await self._list()
                    current = True
                self.last_error = None
                began = time.monotonic()
                await self._watch()
                reason = "closed"
            except Gone as error:
                reason, current = "gone", False
                self._log.info("cache lists anew", reason=str(error))
            except _Doubt as doubt:
                reason, current = doubt.reason, False
                self._tell(str(doubt))
            except Unreachable as error:
                # A watch that was heard and then broke off goes on where it was; a server that
                # was away may have come back as another one.
                if began is math.inf:
                    reason = "unreachable"
                else:
                    reason = "silent" if self.age() >= self._silence else "dropped"
                current = current and reason == "dropped" and self._heard > began
                self._tell(str(error))
            except ApiError as error:
                reason, current = "refused", False
                self._tell(f"{error.status} {error.reason}: {error.message}")
            self.restarts[reason] += 1
            # An end that comes at once is a failure too, else this would be a busy loop.
            lively = self._heard > began or time.monotonic() - began > LIVELY
            failures = int(reason != "closed") if lively else failures + 1
            if failures:
                await asyncio.sleep(self._backoff.delay(failures))

    def _tell(self, error: str) -> None:
        self.answered.set()
        if error != self.last_error:
            self.last_error = error
            self._log.warning("cache cannot be kept current", error=error)

    async def _list(self) -> None:
        items: list[msgspec.Raw] = []
        token, version = "", ""
        while True:
            body = await self._client.list(
                self.resource,
                self.namespace,
                self._labels,
                self._fields,
                limit=PAGE,
                continue_token=token,
            )
            try:
                page = _page.decode(body)
            except msgspec.DecodeError as error:
                raise _Doubt("garbled", f"the list makes no sense: {error}") from error
            items += page.items or []
            version = version or page.metadata.resource_version
            token = page.metadata.continue_token
            if not token:
                break
        self._replace(items, parse(version))

    def _replace(self, items: list[msgspec.Raw], version: Version) -> None:
        """Make a list's objects the whole content."""
        restored = newer(self._position, version)
        if restored:
            self._old_lists += 1
            if self._old_lists < OLD_LISTS:
                raise _Doubt(
                    "old list", f"a list at {version} is older than what was seen: {self._position}"
                )
            self._log.warning("cluster went back in time", seen=self._position, now=version)
        self._old_lists = 0
        self.counts["lists"] += 1
        self._heard = time.monotonic()
        self._floor = self._position = version
        self._absent.clear()
        present = set()
        for raw in items:
            try:
                key, item = _identity(raw)
            except msgspec.DecodeError as error:
                raise _Doubt("garbled", f"a listed object makes no sense: {error}") from error
            present.add(key)
            entry = self._entries.get(key)
            if entry is None or restored or newer(item, entry[1]):
                self._put(key, raw, item)
        for key in [key for key in self._entries if key not in present]:
            self._remove(key)
        self.synced.set()
        self.answered.set()
        self._wake()

    async def _watch(self) -> None:
        params = {
            **self._selection,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._position),
            "timeoutSeconds": random.randint(*WATCH_SECONDS),
        }
        path = self.resource.path(self.namespace)
        async with self._client.stream(path, params, silence=self._silence) as lines:
            async for line in lines:
                try:
                    self._take(_event.decode(line))
                except msgspec.DecodeError as error:
                    raise _Doubt("garbled", f"a watch event makes no sense: {error}") from error
                self._heard = time.monotonic()

    def _take(self, event: _Event) -> None:
        if event.type == "ERROR":
            error = refusal(0, bytes(event.object), "the watch")
            if isinstance(error, Gone):
                raise error
            raise _Doubt("error event", f"the watch ended with {error.status} {error.message}")
        key, version = _identity(event.object)
        if event.type == "BOOKMARK":
            if newer(self._position, version):
                raise _Doubt("went back", f"a bookmark at {version} follows {self._position}")
            self.counts["bookmarks"] += 1
        elif event.type in ("ADDED", "MODIFIED", "DELETED"):
            self.counts["events"] += 1
            entry = self._entries.get(key)
            known = entry[1] if entry is not None else self._absent.get(key, self._floor)
            deleted = event.type == "DELETED"
            # A deletion may carry the version of the last write before it.
            if newer(known, version) or (known == version and not deleted):
                self.counts["late"] += 1
                return
            if deleted:
                self._forget(key, version)
            else:
                self._put(key, event.object, version)
        else:
            raise _Doubt("garbled", f"a watch event has the unknown type {event.type}")
        if not newer(self._position, version):
            self._position = version
        self._wake()

    def _put(self, key: Key, raw: msgspec.Raw, version: Version) -> None:
        try:
            value = self._decode(bytes(raw))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others go on
            self.counts["undecodable"] += 1
            self._log.warning(
                "object cannot be read", namespace=key[0], name=key[1], error=str(error)
            )
            self._forget(key, version)
            return
        old = self._entries.get(key)
        self._absent.pop(key, None)
        self._entries[key] = (value, version)
        if old is None:
            self._publish(Change("ADDED", key, None, value))
        else:
            self._publish(Change("MODIFIED", key, old[0], value))

    def _forget(self, key: Key, version: Version) -> None:
        """Take an object out and remember at which version, against late events."""
        self._absent[key] = version
        if len(self._absent) > REMEMBERED_DELETIONS:
            del self._absent[next(iter(self._absent))]
        self._remove(key)

    def _remove(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._publish(Change("DELETED", key, entry[0], None))

    def _publish(self, change: Change[T]) -> None:
        for callback in list(self._subscribers):
            try:
                callback(change)
            except Exception:  # noqa: BLE001 - one subscriber's bug must not blind all the others
                self._log.exception("a subscriber failed", key=change.key, change=change.kind)

    def _shows(self, key: Key, version: Version) -> bool:
        entry = self._entries.get(key)
        if entry is not None:
            return reaches(entry[1], version)
        if key in self._absent:
            return reaches(self._absent[key], version)
        # Events come in the order of their versions, so what is not here by now is gone.
        return reaches(self._position, version)

    def _wake(self) -> None:
        for key, version, future in self._waiting:
            if not future.done() and self._shows(key, version):
                future.set_result(None)


def _identity(raw: msgspec.Raw) -> tuple[Key, Version]:
    meta = _head.decode(raw).metadata
    return (meta.namespace, meta.name), parse(meta.resource_version)


async def all_synced(caches: Iterable[Cache[object]], timeout: float) -> bool:
    """Wait until every cache has its first list; False when ``timeout`` seconds did not suffice."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(cache.synced.wait() for cache in caches))
        return True
    return False
