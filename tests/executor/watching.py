"""What a watch tells, kept: every version of every object, in order."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
Object = dict[str, Any]
PATIENCE = 60.0


class _Waiter(Generic[T]):
    """Somebody who waits until something holds."""

    def __init__(self, holds: Callable[[], T]) -> None:
        self._holds = holds
        self._answer: Future[T] = Future()

    def ask(self) -> bool:
        """Whether it holds or has held, or could not be told."""
        if not self._answer.done():
            try:
                value = self._holds()
            except (AssertionError, LookupError, TypeError, ValueError) as error:
                self._answer.set_exception(error)
            else:
                if value:
                    self._answer.set_result(value)
        return self._answer.done()

    def value(self) -> T:
        """What it was when it held; raises why it could not be told."""
        return self._answer.result()


class Watch:
    """Lists and watches one collection in a thread, until `stop`."""

    def __init__(self, server: str, token: str, path: str) -> None:
        self.history: list[Object] = []
        self.latest: dict[str, Object] = {}
        self._server = urlsplit(server)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._path = path
        self._changed = threading.Condition()
        self._waiters: list[_Waiter[Any]] = []
        self._stopped = False
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up, too: an API server that is to end waits for who still listens."""
        self._stopped = True
        listening = self._socket
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)

    def until(self, holds: Callable[[], T], what: object = "", patience: float = PATIENCE) -> T:
        """Wait until ``holds`` is true of what has been seen; its value.

        It is asked of every version of every object, so a state that has passed by the time that
        this thread runs again counts, too.
        """
        deadline = time.monotonic() + patience
        with self._changed:
            waiter = _Waiter(holds)
            self._waiters.append(waiter)
            try:
                while not waiter.ask():
                    left = deadline - time.monotonic()
                    assert left > 0, f"in vain for {patience} s: {what}"
                    self._changed.wait(min(left, 1.0))
            finally:
                self._waiters.remove(waiter)
            return waiter.value()

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(
            self._server.hostname or "", self._server.port, timeout=120, context=context
        )

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._follow()
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                # The server is being started anew.
                time.sleep(0.05)

    def _follow(self) -> None:
        connection = self._connect()
        connection.request("GET", self._path, headers=self._headers)
        answer = connection.getresponse()
        _must_be_well(answer)
        listed = json.loads(answer.read())
        for item in listed["items"]:
            name = item["metadata"]["name"]
            known = self.latest.get(name, {}).get("metadata", {})
            if known.get("resourceVersion") != item["metadata"]["resourceVersion"]:
                # A list says once what its items are.
                kind = {"kind": listed["kind"].removesuffix("List")}
                self._take("ADDED", {**kind, **item})
        version = listed["metadata"]["resourceVersion"]
        connection.close()
        connection = self._connect()
        connection.request(
            "GET", f"{self._path}?watch=true&resourceVersion={version}", headers=self._headers
        )
        # The answer takes it from the connection.
        self._socket = connection.sock
        answer = connection.getresponse()
        _must_be_well(answer)
        for line in answer:
            if self._stopped:
                return
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise http.client.HTTPException(event["object"].get("message"))
            self._take(event["type"], event["object"])

    def _take(self, kind: str, item: Object) -> None:
        name = item["metadata"]["name"]
        with self._changed:
            if kind == "DELETED":
                self.latest.pop(name, None)
            elif kind in ("ADDED", "MODIFIED"):
                self.latest[name] = item
                self.history.append(item)
            for waiter in self._waiters:
                waiter.ask()
            self._changed.notify_all()


def _must_be_well(answer: http.client.HTTPResponse) -> None:
    """The storage of a kind that is new, or has a new schema, is not ready for a moment."""
    if answer.status != http.client.OK:
        raise http.client.HTTPException(f"{answer.status} {answer.read().decode()}")
