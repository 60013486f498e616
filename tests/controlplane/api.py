"""Requests to an API server as a person makes them with curl: any method, any header."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Object = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The documents of a watch."""
        return [json.loads(line) for line in self.body.splitlines() if line]


class NotAnswered(Exception):
    """An assertion about an answer failed; the message has the answer."""


@dataclass
class Api:
    """One server as one user sees it. Connections are kept, and threads may share it."""

    address: str
    ca: Path
    token: str
    _idle: list[http.client.HTTPSConnection] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        """``body`` is sent as it is when it is bytes, else as JSON. Underscores in the names of
        headers stand for hyphens."""
        sent = {"Content-Type": "application/json", "Accept": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if token is None:
            token = self.token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with self._connection() as connection:
            try:
                connection.request(method, path, content, sent)
                response = connection.getresponse()
            except (ConnectionError, ssl.SSLError, http.client.HTTPException):
                # A server that was started again has closed what it had open.
                connection.close()
                connection.request(method, path, content, sent)
                response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())

    def get(self, path: str) -> Any:
        """The object at ``path``; raises `NotAnswered` with what was said instead."""
        return self._done("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._done("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self._done("PUT", path, body)

    def patch(self, path: str, body: Any, kind: str = "merge-patch+json") -> Any:
        return self._done("PATCH", path, body, Content_Type=f"application/{kind}")

    def delete(self, path: str, body: Any = None) -> Any:
        return self._done("DELETE", path, body)

    def _done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.request(method, path, body, **headers)
        if answer.status >= 300:
            words = answer.body.decode(errors="replace")
            raise NotAnswered(f"{method} {path}: {answer.status} {words}")
        return answer.json

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)

    def _connect(self) -> http.client.HTTPSConnection:
        to = urlsplit(self.address)
        assert to.hostname is not None
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(to.hostname, to.port, timeout=60, context=context)

    def close(self) -> None:
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
