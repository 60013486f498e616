"""Whether an object is what its schema says: types, bounds, patterns, alternatives.

A custom resource is held to all that its schema says, in the words of Kubernetes' OpenAPI
validation. Of a built-in object, types and enumerations are checked, and that required fields are
there; the rest is in ``rules``. Rules in CEL (``x-kubernetes-validations``) are not evaluated.
"""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.prune import child_schema
from serinus.lab.apiserver.schema.quantity import MUST_MATCH, QUANTITY, parse_quantity
from serinus.lab.apiserver.schema.schema import Schema

_EMPTY_IS_MISSING: Final = frozenset({"name", "key", "kind", "image"})
"""Required strings of built-in types that may not be empty (a header's value may)."""


def type_name(value: Any) -> str:
    """JSON Schema's name for the value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def has_type(value: Any, wanted: str) -> bool:
    found = type_name(value)
    if wanted == "number":
        return found in ("number", "integer")
    if wanted == "integer":
        return found == "integer" or (found == "number" and float(value).is_integer())
    return not wanted or found == wanted


# -- built-in ------------------------------------------------------------------


def check_builtin(
    schema: Schema, value: Any, path: str, *, types_only: bool = False
) -> Iterator[FieldError]:
    """Wrong types, unknown values of enumerations and missing fields; of the status, only types."""
    if value is None:
        return
    if schema.name == QUANTITY:
        if parse_quantity(value) is None:
            yield error.invalid(path, value, MUST_MATCH)
        return
    if schema.int_or_string:
        if type_name(value) not in ("integer", "string"):
            yield _wrong_type(path, value, "integer or string")
        return
    if not has_type(value, schema.type):
        yield _wrong_type(path, value, schema.type)
        return
    if schema.enum and not types_only and value not in schema.enum and value != "":
        yield error.not_supported(path, value, schema.enum)
    if not types_only and isinstance(value, dict):
        yield from _missing(schema, value, path)
    for child, part, here in _parts(schema, value, path):
        # A null field is one that is not there; a null item or map value is nothing of its type.
        if part is None and not schema.properties:
            yield _wrong_type(here, part, child.type or "any")
        relaxed = types_only or here == "status"
        yield from check_builtin(child, part, here, types_only=relaxed)


def _parts(schema: Schema, value: Any, path: str) -> Iterator[tuple[Schema, Any, str]]:
    """The known parts of an object or list, with their schemas and paths."""
    if isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield schema.items, item, f"{path}[{index}]"
    elif isinstance(value, dict):
        for key, part in value.items():
            child = schema.child(key)
            if child is not None:
                yield child, part, _below(schema, path, key)


def _missing(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for key in schema.required:
        child = schema.properties.get(key)
        if child is None or child.type == "boolean":
            continue
        given = value.get(key)
        if given is None or (given == "" and key in _EMPTY_IS_MISSING):
            yield error.required(_below(schema, path, key))


def _below(schema: Schema, path: str, key: str) -> str:
    if key not in schema.properties:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _wrong_type(path: str, value: Any, wanted: str) -> FieldError:
    found = type_name(value)
    return error.type_invalid(path, found, f'{path} in body must be of type {wanted}: "{found}"')


# -- custom --------------------------------------------------------------------


def check_custom(schema: Schema, value: Any, path: str) -> list[FieldError]:
    """All that the schema of a custom resource forbids."""
    if value is None:
        if schema.nullable or (not schema.type and not schema.int_or_string):
            return []
        return [_wrong_type(path, value, schema.type or "integer,string")]
    if schema.int_or_string and type_name(value) not in ("integer", "string"):
        return [_wrong_type(path, value, "integer,string")]
    if not schema.int_or_string and not has_type(value, schema.type):
        return [_wrong_type(path, value, schema.type)]
    found: list[FieldError] = []
    if schema.enum and value not in schema.enum:
        found.append(error.not_supported(path, value, schema.enum))
    match value:
        case str():
            found += _check_string(schema, value, path)
        case list():
            found += _check_list(schema, value, path)
        case dict():
            found += _check_object(schema, value, path)
        case int() | float():
            found += _check_number(schema, value, path)
    return found + _check_alternatives(schema, value, path)


def _check_string(schema: Schema, value: str, path: str) -> Iterator[FieldError]:
    if schema.max_length is not None and len(value) > schema.max_length:
        yield error.too_long(path, schema.max_length)
    if schema.min_length is not None and len(value) < schema.min_length:
        yield error.invalid(
            path, value, f"{path} in body should be at least {schema.min_length} chars long"
        )
    if schema.pattern and schema.regex is not None and not schema.regex.search(value):
        yield error.invalid(path, value, f"{path} in body should match '{schema.pattern}'")
    check = _FORMATS.get(schema.format)
    if check is not None and not check(value):
        yield error.invalid(
            path, value, f'{path} in body must be of type {schema.format}: "{value}"'
        )


def _check_number(schema: Schema, value: float, path: str) -> Iterator[FieldError]:
    if isinstance(value, bool):
        return
    if schema.maximum is not None:
        beyond = value >= schema.maximum if schema.exclusive_maximum else value > schema.maximum
        words = "less than" if schema.exclusive_maximum else "less than or equal to"
        if beyond:
            yield error.invalid(path, value, f"{path} in body should be {words} {schema.maximum:g}")
    if schema.minimum is not None:
        beyond = value <= schema.minimum if schema.exclusive_minimum else value < schema.minimum
        words = "greater than" if schema.exclusive_minimum else "greater than or equal to"
        if beyond:
            yield error.invalid(path, value, f"{path} in body should be {words} {schema.minimum:g}")
    if schema.multiple_of and value % schema.multiple_of:
        yield error.invalid(
            path, value, f"{path} in body should be a multiple of {schema.multiple_of:g}"
        )


def _check_list(schema: Schema, value: list[Any], path: str) -> Iterator[FieldError]:
    if schema.max_items is not None and len(value) > schema.max_items:
        yield error.too_many(path, len(value), schema.max_items)
    if schema.min_items is not None and len(value) < schema.min_items:
        yield error.invalid(
            path, len(value), f"{path} in body should have at least {schema.min_items} items"
        )
    if schema.unique_items and any(item in value[:index] for index, item in enumerate(value)):
        yield error.invalid(path, None, f"{path} in body shouldn't contain duplicates")
    yield from _check_identities(schema, value, path)
    if schema.items is not None:
        for index, item in enumerate(value):
            yield from check_custom(schema.items, item, f"{path}[{index}]")


def _check_identities(schema: Schema, value: list[Any], path: str) -> Iterator[FieldError]:
    if schema.list_type not in ("set", "map"):
        return
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = item
        if schema.list_type == "map":
            if not isinstance(item, dict):
                continue
            identity = {key: item[key] for key in schema.map_keys if key in item}
        if identity in seen:
            yield error.duplicate(f"{path}[{index}]", identity)
        seen.append(identity)


def _check_object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[FieldError]:
    count = len(value)
    if schema.max_properties is not None and count > schema.max_properties:
        yield error.invalid(
            path, count, f"{path} in body should have at most {schema.max_properties} properties"
        )
    if schema.min_properties is not None and count < schema.min_properties:
        yield error.invalid(
            path, count, f"{path} in body should have at least {schema.min_properties} properties"
        )
    for key in schema.required:
        if key not in value:
            yield error.required(f"{path}.{key}" if path else key)
    for key, part in value.items():
        child = child_schema(schema, key)
        if child is not None and not (not path and key == "metadata"):
            yield from check_custom(child, part, f"{path}.{key}" if path else key)


def _check_alternatives(schema: Schema, value: Any, path: str) -> list[FieldError]:
    """Of alternatives that all fail, the failures of the nearest one are told as well."""
    found: list[FieldError] = []
    if schema.all_of:
        failures = [check_custom(part, value, path) for part in schema.all_of]
        if any(failures):
            words = f'"{path}" must validate all the schemas (allOf)'
            found += [error.invalid(path, "", words), *(one for some in failures for one in some)]
    if schema.any_of:
        failures = [check_custom(part, value, path) for part in schema.any_of]
        if all(failures):
            words = f'"{path}" must validate at least one schema (anyOf)'
            found += [error.invalid(path, "", words), *_nearest(failures)]
    if schema.one_of:
        failures = [check_custom(part, value, path) for part in schema.one_of]
        valid = failures.count([])
        words = f'"{path}" must validate one and only one schema (oneOf).'
        if not valid:
            found.append(error.invalid(path, "", f"{words} Found none valid"))
            found += _nearest(failures)
        elif valid > 1:
            found.append(error.invalid(path, "", f"{words} Found {valid} valid alternatives"))
    if schema.not_ is not None and not check_custom(schema.not_, value, path):
        found.append(error.invalid(path, "", f'"{path}" must not validate the schema (not)'))
    return found


def _nearest(failures: list[list[FieldError]]) -> list[FieldError]:
    return sorted(failures, key=len)[0]


# -- formats -------------------------------------------------------------------


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _date_time(text: str) -> bool:
    return _DATE_TIME.fullmatch(text) is not None and _parses(datetime.fromisoformat)(text[:19])


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date-time": _date_time,
    "date": _parses(lambda text: datetime.strptime(text, "%Y-%m-%d")),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False)),
    "uuid": _parses(uuid.UUID),
}
