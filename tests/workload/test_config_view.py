"""What is kept of a ConfigMap or Secret, and that its checksum is the one Flagger writes."""

from hashlib import sha256

import msgspec
import pytest

from serinus.workload.config_view import checksum, decode_configmap, decode_secret
from workload.guide import Json, encoded


def as_flagger(go_json: str) -> str:
    return sha256(go_json.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("data", "go_json"),
    [
        (None, "null"),
        ({}, "null"),
        ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
        ({"a.b": "", "a-b": "é \U0001f600"}, '{"a-b":"é \U0001f600","a.b":""}'),
        ({"a": "<a href='x'>&</a>"}, '{"a":"\\u003ca href=\'x\'\\u003e\\u0026\\u003c/a\\u003e"}'),
        ({"a": 'q"b\\s/\n\r\t\b\f\x01\x7f'}, '{"a":"q\\"b\\\\s/\\n\\r\\t\\b\\f\\u0001\x7f"}'),
        ({"a": "\u2028\u2029"}, '{"a":"\\u2028\\u2029"}'),
    ],
)
def test_the_checksum_is_of_the_data_as_go_writes_it(
    data: dict[str, str] | None, go_json: str
) -> None:
    assert checksum(data) == as_flagger(go_json)


def test_checksums_that_go_gave() -> None:
    assert checksum(None) == "74234e98afe7498f"
    assert checksum({"a": "<a href='x'>&</a>"}) == "666a432465b13178"
    assert checksum({"password": "cGFzczw+"}) == "ae65209b70999e1d"


def test_binary_data_counts_only_where_there_is_any() -> None:
    data = {"a": "1"}
    assert checksum(data, {}) == checksum(data, None) == as_flagger('{"a":"1"}')
    assert checksum(data, {"x": "AA=="}) != checksum(data)
    assert checksum(None, {"x": "AA=="}) != checksum({"x": "AA=="})


def test_neither_data_nor_kubectls_copy_of_it_is_kept() -> None:
    secret: Json = {
        "metadata": {
            "name": "db",
            "namespace": "test",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "cGFzcw=="},
        },
        "data": {"password": "cGFzcw=="},
        "type": "Opaque",
    }
    view = decode_secret(encoded(secret))
    assert view.tracked
    assert b"cGFzcw" not in msgspec.json.encode(view)
    del secret["type"]
    assert decode_secret(encoded(secret)).tracked


@pytest.mark.parametrize(
    ("kind", "tracked"),
    [
        ("Opaque", True),
        ("kubernetes.io/basic-auth", True),
        ("kubernetes.io/ssh-auth", True),
        ("kubernetes.io/tls", True),
        ("kubernetes.io/dockerconfigjson", False),
        ("kubernetes.io/service-account-token", False),
        ("helm.sh/release.v1", False),
    ],
)
def test_types_that_are_tracked(kind: str, tracked: bool) -> None:
    view = decode_secret(encoded({"metadata": {"name": "s"}, "data": {"a": "YQ=="}, "type": kind}))
    assert (view.tracked, bool(view.checksum)) == (tracked, tracked)


@pytest.mark.parametrize(
    ("says", "tracked"),
    [("disabled", False), ("disable", False), ("enabled", True), ("", True)],
)
def test_opting_out(says: str, tracked: bool) -> None:
    annotated = {"metadata": {"name": "c", "annotations": {"flagger.app/config-tracking": says}}}
    assert decode_configmap(encoded(annotated)).tracked is tracked
    assert decode_secret(encoded(annotated)).tracked is tracked
