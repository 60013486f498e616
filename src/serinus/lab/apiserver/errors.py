"""What the API server says when it refuses: `metav1.Status`, in Kubernetes' words.

kubectl and operators match on ``reason`` and ``code``, people read ``message``.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from serinus.lab.apiserver.schema.field_errors import FieldError


class ApiError(Exception):
    """A request that ends in a Status other than Success."""

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details) if details is not None else None

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class NoSuchPath(Exception):
    """A path that no part of the server knows: answered by 404 in plain text, not by a Status."""


def qualified(group: str, plural: str) -> str:
    """``deployments.apps``, or ``pods`` for the core group."""
    return f"{plural}.{group}" if group else plural


def _details(group: str, kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details.update(more)
    return details


def not_found(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        HTTPStatus.NOT_FOUND,
        "NotFound",
        f'{qualified(group, plural)} "{name}" not found',
        _details(group, plural, name),
    )


def no_such_path() -> ApiError:
    return ApiError(
        HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource", {}
    )


def already_exists(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        HTTPStatus.CONFLICT,
        "AlreadyExists",
        f'{qualified(group, plural)} "{name}" already exists',
        _details(group, plural, name),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(group: str, plural: str, name: str, why: str = MODIFIED) -> ApiError:
    return ApiError(
        HTTPStatus.CONFLICT,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}',
        _details(group, plural, name),
    )


def precondition(group: str, kind: str, name: str, uid: bool, said: str, real: str) -> ApiError:
    """A deletion was meant for another object, or for another state of it."""
    what = "UID" if uid else "ResourceVersion"
    changed = "deleted and then recreated" if uid else "modified"
    why = (
        f"the {what} in the precondition ({said}) does not match the {what} in record ({real}). "
        f"The object might have been {changed}"
    )
    return conflict(group, kind, name, why)


def invalid_options(kind: str, causes: Iterable[FieldError]) -> ApiError:
    """What a request's query asks is not to be had."""
    return invalid("meta.k8s.io", kind, "", causes)


def apply_conflict(message: str, causes: list[dict[str, str]]) -> ApiError:
    """Another field manager owns what a server-side apply would change."""
    return ApiError(HTTPStatus.CONFLICT, "Conflict", message, {"causes": causes})


def invalid(group: str, kind: str, name: str, causes: Iterable[FieldError]) -> ApiError:
    """Wrong fields. Each cause's ``message`` lacks the field's path, as in Kubernetes."""
    listed = list(causes)
    texts = [str(cause) for cause in listed]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f'{qualified(group, kind)} "{name}" is invalid: {text}',
        _details(
            group,
            kind,
            name,
            causes=[
                {"reason": cause.reason, "message": cause.message, "field": cause.field}
                for cause in listed
            ],
        ),
    )


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """``why`` is the end of 'pods "x" is forbidden: ...'."""
    subject = f'{qualified(group, plural)} "{name}"' if name else qualified(group, plural)
    return ApiError(
        HTTPStatus.FORBIDDEN,
        "Forbidden",
        f"{subject} is forbidden: {why}" if plural else f"forbidden: {why}",
        _details(group, plural, name),
    )


def unauthorized() -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def method_not_allowed() -> ApiError:
    return ApiError(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        {},
    )


def expired(message: str) -> ApiError:
    return ApiError(HTTPStatus.GONE, "Expired", message)


def unsupported_media_type(content_type: str) -> ApiError:
    return ApiError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format {content_type!r} - accepted media types "
        "include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )


def too_large(limit: int) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "RequestEntityTooLarge",
        f"Request entity too large: limit is {limit}",
    )


def too_many_requests(message: str) -> ApiError:
    return ApiError(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", message)


def service_unavailable(message: str) -> ApiError:
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", message)


def internal(message: str) -> ApiError:
    return ApiError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )


def success(details: Mapping[str, Any]) -> dict[str, Any]:
    """The Status of a deletion that is done."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": dict(details),
    }
