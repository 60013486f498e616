"""One request on its way through the server, and the server's parts as handlers see them."""

import gzip
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.access.authorizer import Authorizer
from serinus.lab.apiserver.access.tokens import Authenticator, TokenIssuer, User
from serinus.lab.apiserver.admission import Admission
from serinus.lab.apiserver.backends import Backends
from serinus.lab.apiserver.kubelet import Kubelet
from serinus.lab.apiserver.representation import Obj, View, parse_accept
from serinus.lab.apiserver.requests import RequestInfo
from serinus.lab.apiserver.schema.registry import Kind, Registry
from serinus.lab.apiserver.store import Entry, GroupResource, Store, encode

GZIP_FROM: Final = 128 * 1024
"""Bytes from which an answer is compressed for a client that takes gzip, as in Kubernetes."""

BODY_LIMIT: Final = 3 * 1024 * 1024


@dataclass(slots=True)
class Api:
    """The parts of the server."""

    store: Store
    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    issuer: TokenIssuer
    admission: Admission
    kubelet: Kubelet
    backends: Backends


@dataclass(slots=True)
class Call:
    """One request. Handlers append to ``warnings``; they leave as Warning headers."""

    http: web.BaseRequest
    info: RequestInfo
    user: User
    warnings: list[str] = field(default_factory=list)

    def view(self, kind: Kind) -> View:
        include = self.http.query.get("includeObject", "Metadata")
        return View(kind, parse_accept(self.http.headers.get("Accept", "")), include)

    def headers(self) -> list[tuple[str, str]]:
        return [("Warning", f"299 - {encode(text).decode()}") for text in self.warnings]

    def json(self, raw: bytes, status: int = HTTPStatus.OK) -> web.Response:
        headers = self.headers()
        if len(raw) >= GZIP_FROM and "gzip" in self.http.headers.get("Accept-Encoding", ""):
            raw = gzip.compress(raw, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        headers.append(("Cache-Control", "no-cache, private"))
        headers.append(("Content-Type", "application/json"))
        return web.Response(body=raw, status=status, headers=headers)

    def entry(self, kind: Kind, entry: Entry, status: int = HTTPStatus.OK) -> web.Response:
        return self.json(self.view(kind).one(entry), status)

    def object(self, kind: Kind, obj: Obj, status: int = HTTPStatus.OK) -> web.Response:
        """An object that is not stored (a dry run), as the client wants to see it."""
        return self.json(self.view(kind).one_object(obj), status)

    def plain(self, obj: Obj, status: int = HTTPStatus.OK) -> web.Response:
        return self.json(encode(obj), status)

    async def body(self) -> bytes:
        """The request's body; more than `BODY_LIMIT` is 413."""
        parts: list[bytes] = []
        size = 0
        async for part in self.http.content.iter_any():
            size += len(part)
            if size > BODY_LIMIT:
                raise errors.too_large(BODY_LIMIT)
            parts.append(part)
        return b"".join(parts)


def resource(kind: Kind) -> GroupResource:
    """Where objects of ``kind`` are stored."""
    return kind.storage[0], kind.plural
