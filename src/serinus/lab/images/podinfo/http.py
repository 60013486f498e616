"""A minimal HTTP/1.1 server protocol: enough for podinfo, small in memory and quick to start.

Bodies come with Content-Length or chunked; connections are kept alive; requests that arrive
before the answer to the one before them are answered in order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD = 64 * 1024
MAX_BODY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` have lower-case names; ``path`` is without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """The peer does not speak HTTP as this server knows it; ``status`` is the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def reason(status: int) -> str:
    """The status line's words; codes that no standard names have none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def encode(response: Response, *, keep_alive: bool, head_only: bool) -> bytes:
    """The bytes of an answer."""
    head = [f"HTTP/1.1 {response.status} {reason(response.status)}"]
    bodyless = response.status < 200 or response.status in {204, 304}
    if not bodyless:
        head.append(f"content-type: {response.content_type}")
        head.append(f"content-length: {len(response.body)}")
    head.extend(f"{name}: {value}" for name, value in response.headers.items())
    if not keep_alive:
        head.append("connection: close")
    data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
    return data if bodyless or head_only else data + response.body


class Connection:
    """One client's connection: reads requests, answers them in order."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client goes away or asks to close."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            request, keep_alive = await read_request(reader, writer)
        except BadRequest as error:
            answer = Response(error.status, str(error).encode(), "text/plain")
            writer.write(encode(answer, keep_alive=False, head_only=False))
            await writer.drain()
            return False
        response = await self._handler(request)
        head_only = request.method == "HEAD"
        writer.write(encode(response, keep_alive=keep_alive, head_only=head_only))
        await writer.drain()
        return keep_alive


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[Request, bool]:
    """The next request, and whether the connection stays open after it.

    Raises `BadRequest`, or `asyncio.IncompleteReadError` when the client has gone.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise BadRequest(431, "the request's head is over 64 KiB") from None
    start, *lines = head[:-4].split("\r\n")
    try:
        method, target, version = start.split(" ")
    except ValueError:
        raise BadRequest(400, f"not a request line: {start[:80]!r}") from None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(400, f"not a header: {line[:80]!r}")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await read_body(reader, headers)
    path, _, query = target.partition("?")
    token = headers.get("connection", "").lower()
    keep_alive = token != "close" and (version != "HTTP/1.0" or token == "keep-alive")
    return Request(method, path, query, headers, body), keep_alive


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """A request's body; raises `BadRequest` when its length is wrong or over 4 MiB."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    try:
        length = int(headers.get("content-length", "0"))
    except ValueError:
        length = -1
    if length < 0:
        raise BadRequest(400, f"content-length is {headers['content-length']!r}, not a count")
    if length > MAX_BODY:
        raise BadRequest(413, "the body is over 4 MiB")
    return await reader.readexactly(length)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise BadRequest(400, f"not a chunk's size: {line[:40]!r}") from None
        if size < 0 or len(body) + size > MAX_BODY:
            raise BadRequest(413, "the body is over 4 MiB")
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        body += (await reader.readexactly(size + 2))[:-2]
