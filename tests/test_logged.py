"""The tests' own looks at logs."""

import threading

import structlog

from logged import captured

log = structlog.get_logger(__name__)


def test_only_what_this_thread_logs_is_captured() -> None:
    def somebody_else() -> None:
        log.warning("will be tried again", key="another test's")

    with captured() as told:
        log.warning("dropped", count=3)
        other = threading.Thread(target=somebody_else)
        other.start()
        other.join()
    log.warning("after it")
    assert told == [{"event": "dropped", "count": 3, "log_level": "warning"}]
