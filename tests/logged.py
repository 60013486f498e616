"""What a test's own code logs."""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def captured() -> Iterator[list[dict[str, Any]]]:
    """Collects what this thread logs, in the place of its being printed.

    `structlog.testing.capture_logs` takes what the whole process logs: in one that keeps a lab's
    controllers running in another thread, for the tests of another file, theirs as well.
    """
    mine = threading.get_ident()
    told: list[dict[str, Any]] = []

    def keep(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if threading.get_ident() != mine:
            return event
        told.append({**event, "log_level": method})
        raise structlog.DropEvent

    # Loggers that are bound already hold this very list.
    processors = structlog.get_config()["processors"]
    processors.insert(0, keep)
    try:
        yield told
    finally:
        processors.remove(keep)
