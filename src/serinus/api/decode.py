"""From the API server's JSON to a custom resource, or to what keeps it from being one.

One unreadable object must not keep the others from being read: nothing here raises.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from serinus.api.alertprovider import AlertProvider
from serinus.api.canary import Canary
from serinus.api.metrictemplate import MetricTemplate
from serinus.api.problem import Problem

T = TypeVar("T")

_CANARY = msgspec.json.Decoder(Canary)
_METRIC_TEMPLATE = msgspec.json.Decoder(MetricTemplate)
_ALERT_PROVIDER = msgspec.json.Decoder(AlertProvider)
_PLACE = re.compile(r"^(?P<what>.*?) - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_EXPECTED = re.compile(r"^Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`$")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_GOT = {**_WORDS, "float": "a number with a fraction", "int": "a number"}


@dataclass(frozen=True, slots=True)
class Malformed:
    """An object that cannot be read, with as much of its identity as could be. ``target_name`` is
    what a Canary names, which may be what it is rolling out; empty where not even that is told."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    path: str
    message: str
    target_name: str = ""
    created: datetime | None = None

    @property
    def problem(self) -> Problem:
        return Problem(self.path, self.message)


def decode_canary(raw: bytes) -> Canary | Malformed:
    """Read a Canary from JSON."""
    return decode(raw, _CANARY)


def decode_metric_template(raw: bytes) -> MetricTemplate | Malformed:
    """Read a MetricTemplate from JSON."""
    return decode(raw, _METRIC_TEMPLATE)


def decode_alert_provider(raw: bytes) -> AlertProvider | Malformed:
    """Read an AlertProvider from JSON."""
    return decode(raw, _ALERT_PROVIDER)


def decode(raw: bytes, decoder: "msgspec.json.Decoder[T]") -> T | Malformed:
    """Read what the decoder reads. Whole numbers may be written with a fraction of zero (5.0)."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        return _decode_loosely(raw, decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _malformed(None, "", f"this is not a JSON object: {error}")


def _decode_loosely(raw: bytes, wanted: type[T]) -> T | Malformed:
    document: Any = None
    try:
        document = msgspec.json.decode(raw)
        return msgspec.convert(_whole(document), wanted)
    except msgspec.ValidationError as error:
        return _malformed(document, *_explain(str(error)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _malformed(document, "", f"this is not a JSON object: {error}")


def _whole(value: Any) -> Any:
    """The value with every 5.0 made a 5."""
    match value:
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _explain(text: str) -> tuple[str, str]:
    """The field's path, and msgspec's complaint in words that say what would be right."""
    place = _PLACE.match(text)
    path = place["path"].replace("[...]", "[*]") if place else ""
    what = place["what"] if place else text
    if missing := _MISSING.match(what):
        return ".".join(filter(None, (path, missing["name"]))), "is required"
    if expected := _EXPECTED.match(what):
        kinds = [kind for kind in expected["wanted"].split(" | ") if kind != "null"]
        wanted = " or ".join(_WORDS.get(kind, kind) for kind in kinds)
        return path, f"must be {wanted}, not {_GOT.get(expected['got'], expected['got'])}"
    return path, what[:1].lower() + what[1:]


def _malformed(document: Any, path: str, message: str) -> Malformed:
    def text(*keys: str) -> str:
        value = document
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""

    return Malformed(
        namespace=text("metadata", "namespace"),
        name=text("metadata", "name"),
        uid=text("metadata", "uid"),
        resource_version=text("metadata", "resourceVersion"),
        path=path,
        message=message,
        target_name=text("spec", "targetRef", "name"),
        created=_moment(text("metadata", "creationTimestamp")),
    )


def _moment(text: str) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
