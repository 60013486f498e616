"""What is wrong with a field, in Kubernetes' words."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """A cause of a Status of reason Invalid. ``message`` lacks the field; ``str`` has it."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: Any) -> str:
    """A value as Kubernetes prints it in messages."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _with_detail(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(
        field, "FieldValueInvalid", _with_detail(f"Invalid value: {shown(value)}", detail)
    )


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(
        field, "FieldValueTypeInvalid", _with_detail(f"Invalid value: {shown(value)}", detail)
    )


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "FieldValueRequired", _with_detail("Required value", detail))


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> FieldError:
    values = ", ".join(shown(entry) for entry in supported)
    return FieldError(
        field,
        "FieldValueNotSupported",
        f"Unsupported value: {shown(value)}: supported values: {values}",
    )


def duplicate(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError(
        field, "FieldValueDuplicate", _with_detail(f"Duplicate value: {shown(value)}", detail)
    )


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError(field, "FieldValueNotFound", f"Not found: {shown(value)}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(field: str, count: int, limit: int) -> FieldError:
    return FieldError(
        field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items"
    )


def immutable(field: str, value: Any) -> FieldError:
    return invalid(field, value, "field is immutable")
