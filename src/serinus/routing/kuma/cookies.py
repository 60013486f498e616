"""The cookies of session affinity: how callers get one, and how a route knows it again."""

import re
from collections.abc import Iterator
from typing import Any

from serinus.api.analysis import SessionAffinity
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.routing.kuma.matches import EVERY_PATH

Json = dict[str, Any]

_BEFORE, _AFTER = r"(.*;)?[ \t]*", r"[ \t]*(;.*)?"
"""What may stand around one cookie in the header: others. (Envoy makes one header of several, and
matches the whole of it.)"""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
"""A cookie's name is a token of HTTP (RFC 6265, 4.1.1); an attribute's value is anything visible
but a semicolon."""

_PATH = "spec.analysis.sessionAffinity"


def holding(cookie: str) -> Json:
    """The match for requests that show ``cookie`` (NAME=VALUE), among others or alone."""
    value = f"{_BEFORE}{re.escape(cookie)}{_AFTER}"
    header = {"type": "RegularExpression", "name": "cookie", "value": value}
    return {"path": EVERY_PATH, "headers": [header]}


def held(matches: object) -> str | None:
    """The cookie that these `matches` of a rule hold callers by, whatever else they ask of a
    request; None when they are not of `holding`, all with the same cookie."""
    entries = matches if isinstance(matches, list) else []
    found = {_held(entry) for entry in entries}
    return found.pop() if len(found) == 1 else None


def _held(entry: object) -> str | None:
    match entry:
        case {"headers": [*_, {"name": "cookie", "value": str(text)} as header]}:
            inner = text.removeprefix(_BEFORE).removesuffix(_AFTER)
            cookie = re.sub(r"\\(.)", r"\1", inner)
            return cookie if header == holding(cookie)["headers"][0] else None
    return None


def set_cookie(cookie: str, attributes: SessionAffinity) -> str:
    """The value of the Set-Cookie header that hands ``cookie`` out."""
    parts = [cookie]
    if attributes.domain:
        parts.append(f"Domain={attributes.domain}")
    if attributes.http_only:
        parts.append("HttpOnly")
    parts.append(f"Max-Age={attributes.max_age}")
    if attributes.partitioned:
        parts.append("Partitioned")
    if attributes.path:
        parts.append(f"Path={attributes.path}")
    if attributes.same_site:
        parts.append(f"SameSite={attributes.same_site}")
    if attributes.secure:
        parts.append("Secure")
    return "; ".join(parts)


def problems(canary: Canary) -> Iterator[Problem]:
    """What would make no cookie, or the cookie of nobody."""
    affinity = canary.spec.analysis.session_affinity
    if affinity is None:
        return
    if canary.spec.analysis.match:
        yield Problem(
            _PATH,
            "an A/B test holds callers by what they match, not by a cookie; remove "
            "sessionAffinity, or remove match",
        )
    names = {"cookieName": affinity.cookie_name}
    if affinity.primary_cookie_name:
        names["primaryCookieName"] = affinity.primary_cookie_name
    for field, name in names.items():
        if not _NAME.fullmatch(name):
            yield Problem(
                f"{_PATH}.{field}",
                f'"{name}" cannot name a cookie; use letters, digits, dashes and underscores',
            )
    for field, value in (("domain", affinity.domain), ("path", affinity.path)):
        if not _ATTRIBUTE.fullmatch(value):
            yield Problem(
                f"{_PATH}.{field}",
                f'"{value}" would end the cookie\'s attribute early; remove semicolons and what '
                "is not ASCII",
            )
