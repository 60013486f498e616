"""Reads the protobuf bodies that kubectl and client-go send for built-in kinds.

A body is the four bytes ``k8s\\0`` and a ``runtime.Unknown`` message, which names the kind and
holds the object's own message. The tables are Kubernetes' ``generated.proto`` files, by number.

Go writes its zero numbers and empty strings into these messages where JSON would leave the field
out, so one that is neither behind a pointer nor always in JSON is dropped.
"""

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from serinus.lab.apiserver.schema.data import load

MAGIC: Final = b"k8s\x00"
_APIMACHINERY: Final = "k8s.io.apimachinery.pkg."
_APIEXTENSIONS: Final = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
_META: Final = _APIMACHINERY + "apis.meta.v1."

_DAMAGE: Final = (
    IndexError,
    OverflowError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    struct.error,
)

Fields = dict[str, list[str]]


class ProtobufError(ValueError):
    """The body is not what its content type says, or of a kind that is not known (HTTP 400)."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in the body, as its JSON would be read. Raises ``ProtobufError``."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message")
    try:
        unknown = _message(_APIMACHINERY + "runtime.Unknown", body[len(MAGIC) :])
        type_meta = unknown.get("typeMeta", {})
        api_version, kind = type_meta.get("apiVersion", ""), type_meta.get("kind", "")
        if unknown.get("contentEncoding"):
            raise ProtobufError(f"content encoding {unknown['contentEncoding']!r} is not known")
        content = _message(message_of(api_version, kind), base64.b64decode(unknown.get("raw", "")))
    except _DAMAGE as error:
        raise ProtobufError(f"the protobuf message is damaged: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **content}


def message_of(api_version: str, kind: str) -> str:
    """The name of the message for a kind. Raises ``ProtobufError`` if there is none."""
    if kind in ("DeleteOptions", "Status"):
        return _META + kind
    found = _messages_by_kind().get((api_version, kind))
    if found is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return found


@cache
def _messages_by_kind() -> dict[tuple[str, str], str]:
    found = {
        ("autoscaling/v1", "Scale"): "k8s.io.api.autoscaling.v1.Scale",
        ("policy/v1", "Eviction"): "k8s.io.api.policy.v1.Eviction",
        ("authentication.k8s.io/v1", "TokenRequest"): "k8s.io.api.authentication.v1.TokenRequest",
    }
    for entry in load("kinds"):
        group, version = entry["group"], entry["version"]
        message = "k8s.io." + entry["type"].removeprefix("io.k8s.").replace("-", "_")
        for suffix in ("", "List"):
            api_version = f"{group}/{version}" if group else version
            found[api_version, entry["kind"] + suffix] = message + suffix
    return found


# -- wire format ---------------------------------------------------------------


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _wire_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values: an int for a varint, else the bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"the protobuf message is damaged: wire type {wire}")
        if at + size > len(data):
            raise ProtobufError("the protobuf message is damaged: it ends too early")
        yield number, data[at : at + size]
        at += size


def _scalar(kind: str, raw: int | bytes) -> Any:
    if isinstance(raw, int):
        if kind == "bool":
            return bool(raw)
        if kind.startswith("int"):
            return raw - (1 << 64) if raw >> 63 else raw
        return raw
    if kind == "string":
        return raw.decode()
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind == "double":
        return struct.unpack("<d", raw)[0]
    raise ProtobufError(f"the protobuf message is damaged: bytes where {kind} belongs")


def _value(kind: str, raw: int | bytes) -> Any:
    if "." not in kind:
        return _scalar(kind, raw)
    if not isinstance(raw, bytes):
        raise ProtobufError("the protobuf message is damaged: a number where a message belongs")
    convert = _AS_JSON.get(kind)
    content = _message(kind, raw)
    return convert(content) if convert else content


def _message(name: str, data: bytes) -> dict[str, Any]:
    fields: Fields | None = load("protobuf").get(name)
    if fields is None:
        raise ProtobufError(f"the message {name} is not known")
    content: dict[str, Any] = {}
    for number, raw in _wire_fields(data):
        entry = fields.get(str(number))
        if entry is None:
            continue
        field, kind = entry[:2]
        presence = entry[2] if len(entry) > 2 else ""
        if presence == "map":
            if not isinstance(raw, bytes):
                raise ProtobufError("the protobuf message is damaged: a number for a map's entry")
            parts = dict(_wire_fields(raw))
            key = _scalar("string", parts.get(1, b""))
            zero: int | bytes = 0 if kind in ("bool", "int32", "int64") else b""
            content.setdefault(field, {})[key] = _value(kind, parts.get(2, zero))
        elif presence == "repeated":
            content.setdefault(field, []).append(_value(kind, raw))
        elif presence == "inline":
            content.update(_value(kind, raw))
        else:
            value = _value(kind, raw)
            if value is not None and (presence or value not in ("", 0)):
                content[field] = value
    return content


# -- messages whose JSON is not an object ----------------------------------------


def _time(digits: int) -> Callable[[dict[str, Any]], str | None]:
    def convert(content: dict[str, Any]) -> str | None:
        if not content:
            return None
        moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=content.get("seconds", 0))
        fraction = f".{content.get('nanos', 0) // 1000:06d}" if digits else ""
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"

    return convert


def _raw_json(field: str) -> Callable[[dict[str, Any]], Any]:
    def convert(content: dict[str, Any]) -> Any:
        return json.loads(base64.b64decode(content[field])) if content.get(field) else None

    return convert


def _int_or_string(content: dict[str, Any]) -> int | str:
    return str(content.get("strVal", "")) if content.get("type") else int(content.get("intVal", 0))


def _duration(content: dict[str, Any]) -> str:
    return f"{content.get('duration', 0) / 1e9:g}s"


def _items(content: dict[str, Any]) -> Any:
    return content.get("items", [])


def _schema_or(content: dict[str, Any]) -> Any:
    """JSONSchemaPropsOrArray, OrBool, OrStringArray: whichever is there."""
    for field in ("schema", "jSONSchemas", "property"):
        if content.get(field):
            return content[field]
    return content.get("allows", False)


_AS_JSON: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    _META + "Time": _time(0),
    _META + "MicroTime": _time(6),
    _META + "Duration": _duration,
    _META + "FieldsV1": _raw_json("Raw"),
    _APIMACHINERY + "runtime.RawExtension": _raw_json("raw"),
    _APIMACHINERY + "api.resource.Quantity": lambda content: content.get("string", "0"),
    _APIMACHINERY + "util.intstr.IntOrString": _int_or_string,
    "k8s.io.api.authorization.v1.ExtraValue": _items,
    "k8s.io.api.authentication.v1.ExtraValue": _items,
    _APIEXTENSIONS + "JSON": _raw_json("raw"),
    _APIEXTENSIONS + "JSONSchemaPropsOrArray": _schema_or,
    _APIEXTENSIONS + "JSONSchemaPropsOrBool": _schema_or,
    _APIEXTENSIONS + "JSONSchemaPropsOrStringArray": _schema_or,
}
