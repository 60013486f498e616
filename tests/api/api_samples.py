"""Canaries to test with: the guide's, changed ones, and any that the types allow."""

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from serinus.api.canary import Canary
from serinus.api.decode import Malformed, decode_canary
from serinus.api.schema import unwrap

MESHED = {"annotations": {"9898.service.kuma.io/protocol": "http"}}


def guide() -> dict[str, Any]:
    """The Canary of the Kuma guide, to the letter."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {
            "name": "podinfo",
            "namespace": "test",
            "annotations": {"kuma.io/mesh": "default"},
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "progressDeadlineSeconds": 60,
            "service": {
                "port": 9898,
                "targetPort": 9898,
                "apex": MESHED,
                "canary": MESHED,
                "primary": MESHED,
            },
            "analysis": {
                "interval": "30s",
                "threshold": 5,
                "maxWeight": 50,
                "stepWeight": 5,
                "metrics": [
                    {"name": "request-success-rate", "threshold": 99, "interval": "1m"},
                    {"name": "request-duration", "threshold": 500, "interval": "30s"},
                ],
                "webhooks": [
                    {
                        "name": "acceptance-test",
                        "type": "pre-rollout",
                        "url": "http://flagger-loadtester.test/",
                        "timeout": "30s",
                        "metadata": {
                            "type": "bash",
                            "cmd": "curl -sd 'test' http://podinfo-canary.test:9898/token"
                            " | grep token",
                        },
                    },
                    {
                        "name": "load-test",
                        "type": "rollout",
                        "url": "http://flagger-loadtester.test/",
                        "metadata": {
                            "cmd": "hey -z 2m -q 10 -c 2 http://podinfo-canary.test:9898/"
                        },
                    },
                ],
            },
        },
    }


GONE = object()
"""Takes a field away in `changed`."""


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The guide's Canary with some fields set, by paths such as `spec.analysis.metrics.0.name`."""
    document = guide()
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = document
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        if value is GONE:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return document


def decoded(document: Any) -> Canary:
    canary = decode_canary(msgspec.json.encode(document))
    assert isinstance(canary, Canary), canary
    return canary


def malformed(document: Any) -> Malformed:
    canary = decode_canary(msgspec.json.encode(document))
    assert isinstance(canary, Malformed), canary
    return canary


def places(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path of a schema, in the notation of Flagger's list."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from places(child, f"{path}.{name}".lstrip("."))
    if "items" in node:
        yield from places(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from places(node["additionalProperties"], f"{path}{{}}")


def whatever(declared: inspect.Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any JSON that a declared type can be decoded from, often with a value that means something.

    Lists and maps are short, for there are some three hundred fields.
    """
    kind, schema = unwrap(declared)
    match kind:
        case inspect.StructType():
            fields = {field.encode_name: whatever(field.type, depth + 1) for field in kind.fields}
            needed = {name: fields[name] for name in _required(kind)}
            optional = {name: part for name, part in fields.items() if name not in needed}
            return st.fixed_dictionaries(needed, optional=optional)
        case inspect.DictType():
            return st.dictionaries(_TEXT, whatever(kind.value_type, depth + 1), max_size=2)
        case inspect.VarTupleType():
            return st.lists(whatever(kind.item_type, depth + 1), max_size=2)
        case inspect.EnumType():
            return st.sampled_from([member.value for member in kind.cls])
        case inspect.StrType():
            return st.sampled_from(schema["enum"]) | _TEXT if "enum" in schema else _TEXT
        case inspect.DateTimeType():
            return st.just("2026-01-02T03:04:05Z")
        case inspect.BoolType():
            return st.booleans()
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.IntType():
            return _WHOLE
        case inspect.UnionType():
            return _WHOLE | _TEXT
    raise TypeError(kind)


def _required(struct: inspect.StructType) -> list[str]:
    return [field.encode_name for field in struct.fields if field.required]


_TEXT = st.sampled_from(["", "1m", "-5s", "http://a.b", "podinfo", "-", "9898"]) | st.text(
    max_size=6
)
_WHOLE = st.integers(-2, 101) | st.integers()

documents = whatever(inspect.type_info(Canary))
"""The JSON of any decodable canary."""
