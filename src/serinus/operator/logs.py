"""Structured logs on stderr, in the keys of Flagger's: level, ts, msg, canary."""

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: str, encoding: str) -> None:
    """Log from ``level`` (debug, info, warn, error) on, as ``json`` or for a ``console``."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if encoding == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), event_key="msg")
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _timestamp,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _timestamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["ts"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event
