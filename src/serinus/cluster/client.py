"""Requests to an API server: narrow, untyped, in bytes.

Who asks knows which few fields it wants and decodes those; so this client never builds objects.
There is no rate limit of its own: fewer requests are the caller's business, fairness the server's
(API Priority and Fairness answers 429 with Retry-After, which is honoured here).
"""

import asyncio
import builtins
import enum
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter

from serinus import __version__
from serinus.cluster.connection import Connection
from serinus.cluster.errors import NotLeading, Unreachable, refusal
from serinus.cluster.resource import Resource

ATTEMPTS = 4
"""How often a request is sent when the server keeps saying Retry-After."""

LONGEST_WAIT = 10.0
"""Seconds: a longer Retry-After is handed to the caller as the error that it is."""

AT_ONCE = 32
"""How many requests are under way at the same time, watches aside; further ones wait. Thousands
of objects that change together would else open thousands of connections: to open one costs both
sides more than some requests, and TLS holds a buffer for each."""

KEPT = 60.0
"""Seconds that a connection is kept for the next request: longer than a common interval between
two, shorter than the 90 s after which the API server hangs up."""

_NOT_SAFE_TO_REPEAT = frozenset({"POST"})

Params = Mapping[str, str | int]
MayWrite = Callable[[], bool]


class PatchKind(enum.Enum):
    """How a patch's body is to be read; the value is its media type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class _Withheld(Exception):
    """A body that was not sent; aiohttp makes it the cause of an error of its own."""


class _Fenced(aiohttp.BytesPayload):
    """A body that asks whether it may be sent when all else is done: there is a connection, and
    the headers wait for the body's first byte. So a process that is stopped while it waits for a
    connection, or for a turn of its own event loop, asks when it wakes."""

    def __init__(self, content: bytes, may_write: MayWrite) -> None:
        super().__init__(content)
        self._may_write = may_write

    def _ask(self) -> None:
        if not self._may_write():
            raise _Withheld

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._ask()  # Which of the two is called is aiohttp's affair.
        await super().write(writer)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._ask()
        await super().write_with_length(writer, content_length)


class Client:
    """One user's session with one API server. Use as a context manager, or `close` it.

    Every method raises `ApiError` (or the subclass that fits) when the server refuses, and
    `Unreachable` when it does not answer. ``timeout`` is for a whole answer, in seconds;
    ``field_manager`` is the name under which writes are recorded in ``managedFields``.
    ``may_write`` is asked in the moment in which a request that is not a GET leaves, every attempt
    of it; where it says no, `NotLeading` is raised and nothing is sent.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        field_manager: str = "serinus",
        timeout: float = 30.0,
        may_write: MayWrite = lambda: True,
    ) -> None:
        self.connection = connection
        self.field_manager = field_manager
        self._timeout = timeout
        self._may_write = may_write
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; streams in use end."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self, resource: Resource, namespace: str | None, name: str, subresource: str | None = None
    ) -> bytes:
        """One object, as the server's JSON."""
        return await self.request("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        *,
        limit: int | None = None,
        continue_token: str | None = None,
    ) -> bytes:
        """The collection, or with ``limit`` a page of it (``metadata.continue`` leads on)."""
        params = selection(label_selector, field_selector)
        if limit is not None:
            params["limit"] = limit
        if continue_token:
            params["continue"] = continue_token
        return await self.request("GET", resource.path(namespace), params=params)

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: object,
        params: Params | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> bytes:
        """Make an object. ``name`` and ``subresource`` are for subresources such as ``token``."""
        return await self.request(
            "POST",
            resource.path(namespace, name, subresource),
            params={"fieldManager": self.field_manager, **(params or {})},
            body=body,
        )

    async def replace(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: object,
        *,
        subresource: str | None = None,
        params: Params | None = None,
    ) -> bytes:
        """Write a whole object; its ``metadata.resourceVersion``, if any, is the fence."""
        return await self.request(
            "PUT",
            resource.path(namespace, name, subresource),
            params={"fieldManager": self.field_manager, **(params or {})},
            body=body,
        )

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: object,
        kind: PatchKind = PatchKind.MERGE,
        *,
        subresource: str | None = None,
        field_manager: str | None = None,
        force: bool = False,
        params: Params | None = None,
    ) -> bytes:
        """Write some fields. A ``metadata.resourceVersion`` in the body is the fence.

        ``force`` takes over fields that another manager owns; only APPLY knows of it.
        """
        query: dict[str, str | int] = {"fieldManager": field_manager or self.field_manager}
        if kind is PatchKind.APPLY:
            query["force"] = "true" if force else "false"
        elif force:
            raise ValueError("only an APPLY patch can be forced")
        return await self.request(
            "PATCH",
            resource.path(namespace, name, subresource),
            params={**query, **(params or {})},
            body=body,
            content_type=kind.value,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        propagation: str | None = None,
        *,
        resource_version: str | None = None,
        uid: str | None = None,
        grace_period_seconds: int | None = None,
        params: Params | None = None,
    ) -> bytes:
        """Ask for an object to go. ``propagation`` is Background, Foreground or Orphan;
        ``resource_version`` and ``uid`` refuse the deletion of any other object (`Conflict`)."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        preconditions = {"resourceVersion": resource_version, "uid": uid}
        preconditions = {key: value for key, value in preconditions.items() if value is not None}
        if preconditions:
            options["preconditions"] = preconditions
        return await self.request(
            "DELETE", resource.path(namespace, name), params=params, body=options
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> bytes:
        """Any request. ``body`` is sent as it is when it is bytes, else as JSON."""
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"Accept": accept}
        if data is not None:
            headers["Content-Type"] = content_type
        limit = aiohttp.ClientTimeout(total=timeout or self._timeout)
        for attempt in range(1, ATTEMPTS + 1):
            with self._reaching(method, path):
                async with (
                    self._turns,
                    await self._send(method, path, params, data, headers, limit) as answer,
                ):
                    content = await answer.read()
            if answer.status < 400:
                return content
            wait = _retry_after(answer, method)
            if wait is None or attempt == ATTEMPTS:
                raise refusal(answer.status, content, f"{method} {path}")
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self, path: str, params: Params | None = None, *, silence: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an endless answer (a watch, a followed log), without their newline.

        ``silence`` is how many seconds may pass without a byte before it counts as `Unreachable`:
        a server that vanished without closing the connection would else be waited for for ever.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=silence)
        headers = {"Accept": "application/json"}
        with self._reaching("GET", path):
            answer = await self._send("GET", path, params, None, headers, limit)
        # What the caller does with the lines may fail in the same ways; that is not ours.
        async with answer:
            if answer.status >= 400:
                with self._reaching("GET", path):
                    content = await answer.read()
                raise refusal(answer.status, content, f"GET {path}")
            yield self._lines(answer.content, path)

    async def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        data: bytes | None,
        headers: dict[str, str],
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Ask once. The answer's content is still to be read, and the answer to be closed."""
        connection = self.connection
        if self._session is None:
            # Watches hold their connection for ever, so a bound on connections would be a
            # bound on watches.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT),
                headers={"User-Agent": f"serinus/{__version__}"},
            )
        credentials = await connection.headers()
        return await self._session.request(
            method,
            connection.server + path,
            params=params,
            data=data if method == "GET" else _Fenced(data or b"", self._may_write),
            headers={**headers, **credentials},
            timeout=limit,
            ssl=connection.ssl if connection.ssl is not None else True,
            server_hostname=connection.tls_server_name,
            proxy=connection.proxy,
            allow_redirects=False,
        )

    async def _lines(self, content: aiohttp.StreamReader, path: str) -> AsyncIterator[bytes]:
        """Split a stream at newlines. (aiohttp's own readline refuses lines over 128 KiB, and
        Kubernetes objects can be ten times that.)"""
        parts: builtins.list[bytes] = []
        with self._reaching("GET", path):
            async for chunk in content.iter_any():
                head, *rest = chunk.split(b"\n")
                parts.append(head)
                for part in rest:
                    yield b"".join(parts)
                    parts = [part]
        if any(parts):
            yield b"".join(parts)

    @contextmanager
    def _reaching(self, method: str, path: str) -> Iterator[None]:
        """Turn a failure of the connection into `Unreachable`."""
        server = self.connection.server
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(f"{server} did not answer {method} {path} in time") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, _Withheld):
                raise NotLeading(
                    f"{method} {path} was not sent: this process does not lead"
                ) from None
            words = str(error) or type(error).__name__
            raise Unreachable(f"{method} {path} at {server}: {words}") from error


def selection(label_selector: str | None, field_selector: str | None) -> dict[str, str | int]:
    """The query parameters that choose objects."""
    params: dict[str, str | int] = {}
    if label_selector:
        params["labelSelector"] = label_selector
    if field_selector:
        params["fieldSelector"] = field_selector
    return params


def _retry_after(answer: aiohttp.ClientResponse, method: str) -> float | None:
    """Seconds to wait before the request may be sent again, or None if it may not.

    429 means that nothing was done, so even a POST may be repeated; 503 does not say that.
    """
    if answer.status == 503 and method in _NOT_SAFE_TO_REPEAT:
        return None
    if answer.status not in (429, 503):
        return None
    text = answer.headers.get("Retry-After", "")
    if not text.isdecimal() or int(text) > LONGEST_WAIT:
        return None
    return float(text)
