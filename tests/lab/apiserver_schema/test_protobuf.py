"""Bodies that kubectl really posted, against what the same command prints as JSON."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.lab.apiserver.schema.protobuf import MAGIC, ProtobufError, decode

RECORDED = Path(__file__).parent / "protobuf"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_what_kubectl_posts_reads_as_what_it_prints(name: str) -> None:
    body = (RECORDED / f"{name}.pb").read_bytes()
    assert decode(body) == json.loads((RECORDED / f"{name}.json").read_text())


def test_a_token_request_has_no_printed_form() -> None:
    request = decode((RECORDED / "token.pb").read_bytes())
    assert request["kind"] == "TokenRequest"
    assert request["spec"] == {"expirationSeconds": 600}


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    type_meta = field(1, api_version.encode()) + field(2, kind.encode())
    return MAGIC + field(1, type_meta) + field(2, raw)


def test_delete_options_of_any_group() -> None:
    raw = bytes([1 << 3, 5]) + bytes([4 << 3 | 2, 10]) + b"Foreground"
    assert decode(envelope("apps/v1", "DeleteOptions", raw)) == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 5,
        "propagationPolicy": "Foreground",
    }


def test_a_negative_number_and_a_time() -> None:
    value = bytes([3 << 3]) + b"\xff" * 9 + b"\x01"
    assert (
        decode(envelope("scheduling.k8s.io/v1", "PriorityClass", bytes([2 << 3]) + value[1:]))[
            "value"
        ]
        == -1
    )
    renewed = b"\x08\x80\x80\x80\x80\x06\x10\x80\x98\xc8\xae\x01"
    spec = bytes([4 << 3 | 2, len(renewed)]) + renewed
    lease = decode(envelope("coordination.k8s.io/v1", "Lease", b"\x12" + bytes([len(spec)]) + spec))
    assert lease["spec"]["renewTime"].startswith("2021-01-14T08:25:36.")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"kind": "Pod"}', "does not appear to be a protobuf message"),
        (envelope("v1", "Bird", b""), 'no kind "Bird" is registered for version "v1"'),
        (envelope("v1", "Pod", b"\x0a\x7f"), "ends too early"),
        (envelope("v1", "Pod", b"\x0b"), "wire type 3"),
    ],
)
def test_what_cannot_be_read_says_why(body: bytes, message: str) -> None:
    with pytest.raises(ProtobufError, match=message):
        decode(body)


@given(st.binary(max_size=200), st.sampled_from(["Pod", "Secret", "Node", "Event"]))
def test_no_noise_breaks_it(noise: bytes, kind: str) -> None:
    with contextlib.suppress(ProtobufError):
        decode(envelope("v1", kind, noise[:120]))
