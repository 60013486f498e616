"""OpenAPI v2, which kubectl asks about what version 3 does not speak of.

That is a ``v1`` ``List``, and a kind that nobody serves. Where version 2 knows the types, kubectl
checks them itself, before it finds that there is no such kind. This document knows none: each item
of a list is then checked by the server, as a single object is, and for an unknown kind kubectl
says that its CRD is missing.
"""

from typing import Any, Final

PATH: Final = "/openapi/v2"
PROTOBUF_ACCEPTED: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF_CONTENT_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""As Kubernetes answers it: ``@`` may not stand in a media type."""

_TITLE: Final = "Kubernetes"
_VERSION: Final = "unversioned"

DOCUMENT: Final[dict[str, Any]] = {
    "swagger": "2.0",
    "info": {"title": _TITLE, "version": _VERSION},
    "paths": {},
}

_SWAGGER, _INFO, _PATHS = 1, 2, 8
_INFO_TITLE, _INFO_VERSION = 1, 2
"""Numbers of fields in the messages ``openapi.v2.Document`` and ``Info``."""


def protobuf() -> bytes:
    """`DOCUMENT` as the message ``openapi.v2.Document``."""
    info = _field(_INFO_TITLE, _TITLE.encode()) + _field(_INFO_VERSION, _VERSION.encode())
    return _field(_SWAGGER, b"2.0") + _field(_INFO, info) + _field(_PATHS, b"")


def _field(number: int, content: bytes) -> bytes:
    """One field of the kind that says its length, which here is below 128."""
    return bytes([number << 3 | 2, len(content)]) + content
