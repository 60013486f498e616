"""What an API server may answer instead of what was asked.

The words of a refusal are those of the server's ``metav1.Status``; its ``reason`` picks the
class, because the HTTP status alone does not tell Conflict from AlreadyExists.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Unreachable(Exception):
    """The server did not answer: no connection, a broken one, or none in time."""


class NotLeading(Unreachable):
    """The request was not even sent: it would write, and this process leads no more."""


class ApiError(Exception):
    """The server answered with a refusal."""

    def __init__(
        self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field path and message of each thing the server found wrong with an object."""
        return [
            (str(cause.get("field", "")), str(cause.get("message", "")))
            for cause in self.details.get("causes") or []
        ]


class BadRequest(ApiError):
    """400: the request makes no sense to the server."""


class Unauthorized(ApiError):
    """401: the credentials are missing, wrong or expired."""


class Forbidden(ApiError):
    """403: this user may not do that, or a quota or policy stands against it."""


class NotFound(ApiError):
    """404: no such object, or no such kind."""


class Conflict(ApiError):
    """409: the object is not at the resourceVersion (or uid) that the request was based on."""


class AlreadyExists(ApiError):
    """409: an object of that name is there already."""


class Gone(ApiError):
    """410: the resourceVersion (or the list's continue token) is older than the server's memory."""


class Invalid(ApiError):
    """422: the object breaks its schema or a rule; see ``causes``."""


class TooManyRequests(ApiError):
    """429: the server is busy, or an eviction would break a disruption budget."""


class ServerError(ApiError):
    """5xx: the server, or something behind it, failed."""


_BY_REASON: dict[str, type[ApiError]] = {
    "BadRequest": BadRequest,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "AlreadyExists": AlreadyExists,
    "Gone": Gone,
    "Expired": Gone,
    "Invalid": Invalid,
    "TooManyRequests": TooManyRequests,
}

_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


class _Status(msgspec.Struct):
    kind: str | None = None
    code: int | None = None
    reason: str | None = None
    message: str | None = None
    details: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Status)


def refusal(status: int, body: bytes, request: str) -> ApiError:
    """The error for an answer of HTTP ``status``, whether or not its body is a Status.

    ``request`` names what was asked, such as ``GET /api/v1/pods``; it is part of the message only
    when the server has no words of its own (a proxy's page, an empty body).
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _Status()
    if answer.kind != "Status":
        answer = _Status()
    code = answer.code or status
    reason = answer.reason or ""
    fallback = ServerError if code >= 500 else ApiError
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(code, fallback)
    message = answer.message
    if not message:
        text = body[:200].decode(errors="replace").strip()
        message = f"{request} was answered with HTTP {status}" + (f": {text}" if text else "")
    return kind(code, reason, message, answer.details)
