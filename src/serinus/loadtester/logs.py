"""JSON lines on stderr in the keys of Flagger's logs.

The standard library's logging: structlog would cost 4 MB of a service that should be small.
"""

import json
import logging
import sys
from datetime import UTC, datetime

LOG = logging.getLogger("serinus.loadtester")

_LEVELS = {"warn": "WARNING"}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": "warn" if record.levelname == "WARNING" else record.levelname.lower(),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "msg": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str, encoding: str) -> None:
    """Log from ``level`` (debug, info, warn, error) on, as ``json`` or for a ``console``."""
    handler = logging.StreamHandler(sys.stderr)
    if encoding == "json":
        handler.setFormatter(_Lines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=_LEVELS.get(level, level.upper()), handlers=[handler], force=True)
