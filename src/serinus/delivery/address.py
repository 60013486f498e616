"""Addresses of other people's services: whether they make sense, and what of them may be told.

Whoever has the address of a chat service's webhook can post there: it is a secret, path and query.
"""

import re
from urllib.parse import unquote, urlsplit

from yarl import URL

SHORTEST_SECRET = 8
"""Characters: shorter parts of an address are words like "api", and may be told."""

_USER = re.compile(r"//[^/]*@")
_BLANK = re.compile(r"\s")


def makes_sense(url: str) -> bool:
    """Whether this is an http or https URL with a host."""
    try:
        parts, parsed = urlsplit(url), URL(url)
        known = parsed.scheme in ("http", "https") and bool(parsed.host and parts.hostname)
        return known and parsed.port is not None and not _BLANK.search(url)
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """The address without the user, password and query that it may carry."""
    return _USER.sub("//", url.partition("#")[0].partition("?")[0])


def origin(url: str) -> str:
    """Scheme, host and port: all that may be told where the path is a secret too."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return "an address that makes no sense"


def redacted(text: str, url: str, *secrets: str) -> str:
    """The text (a service's answer, say) without the secret parts of the address, nor ``secrets``:
    pages of the kind "no such path: /services/..." show the address back."""
    if not makes_sense(url):
        return text
    parts = urlsplit(url)
    hidden = [*secrets, parts.password or "", parts.query, *parts.query.split("&")]
    hidden += [pair.partition("=")[2] for pair in parts.query.split("&")]
    hidden += parts.path.split("/")
    hidden += [unquote(secret) for secret in hidden]
    for secret in sorted(set(hidden), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "...")
    return text
