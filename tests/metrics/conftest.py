"""Fixtures of the tests that ask a Prometheus."""

from metrics.scraped import server, session

__all__ = ["server", "session"]
