"""Request bodies: JSON, YAML or protobuf in; an object of the resource's kind out."""

from collections.abc import Mapping
from typing import Any

import msgspec

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.requests import FieldValidation
from serinus.lab.apiserver.rest.call import Call
from serinus.lab.apiserver.schema import field_errors, protobuf
from serinus.lab.apiserver.schema.prune import (
    decode_json_strict,
    prune,
    strict_decoding_warnings,
    unknown_fields,
)
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.schema.schema import object_meta
from serinus.lab.apiserver.schema.structure import check_builtin

JSON_TYPES = frozenset({"", "application/json", "*/*"})
YAML_TYPES = frozenset({"application/yaml", "application/apply-patch+yaml"})
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"


def decode_yaml(raw: bytes) -> Any:
    """YAML 1.1 as kubectl writes it. A duplicate key keeps its last value."""
    import yaml

    try:
        return yaml.load(raw, Loader=_loader())
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error


def _loader() -> Any:
    """A safe loader that leaves timestamps as text: JSON has none."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def decode(raw: bytes, content_type: str) -> tuple[Any, list[str]]:
    """The body, and the paths of fields that it has twice."""
    media = content_type.partition(";")[0].strip()
    if media == PROTOBUF_TYPE:
        try:
            return protobuf.decode(raw), []
        except ValueError as error:
            raise errors.bad_request(f"protobuf: {error}") from error
    if media in YAML_TYPES and not raw.lstrip().startswith(b"{"):
        return decode_yaml(raw), []
    if media in JSON_TYPES or media in YAML_TYPES:
        try:
            return decode_json_strict(raw)
        except ValueError as error:
            raise errors.bad_request(
                f"couldn't get version/kind; json parse error: {error}"
            ) from error
    raise errors.unsupported_media_type(content_type)


async def read(call: Call) -> tuple[Obj, list[str]]:
    """The body as an object, whatever its kind, and the paths of fields that it has twice."""
    raw = await call.body()
    if not raw.strip():
        raise errors.bad_request("the request has no body")
    decoded, duplicates = decode(raw, call.http.headers.get("Content-Type", ""))
    if not isinstance(decoded, dict):
        raise errors.bad_request(
            "couldn't get version/kind; json parse error: cannot unmarshal the body into an object"
        )
    return decoded, duplicates


async def read_optional(call: Call) -> Mapping[str, Any] | None:
    """As `read`, for a request that may have no body (a deletion)."""
    raw = await call.body()
    if not raw.strip():
        return None
    decoded, _ = decode(raw, call.http.headers.get("Content-Type", ""))
    return msgspec.convert(decoded, dict[str, Any]) if decoded else None


def check_kind(kind: Kind, obj: Obj) -> None:
    """The body names the kind that the path names; a body that names none is taken as it is."""
    if kind.is_custom and not obj.get("kind"):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): "
            "Object 'Kind' is missing"
        )
    said = obj.setdefault("apiVersion", kind.api_version), obj.setdefault("kind", kind.kind)
    if said[1] == kind.kind and said[0] == kind.api_version:
        return
    group, _, version = said[0].rpartition("/")
    if kind.is_custom and said[1] != kind.kind and said[0] == kind.api_version:
        name = str((obj.get("metadata") or {}).get("name", ""))
        wrong = field_errors.invalid("kind", said[1], f"must be {kind.kind}")
        raise errors.invalid(kind.group, said[1], name, [wrong])
    if said[1] == kind.kind and (group == kind.group or kind.is_custom):
        raise errors.bad_request(
            f"the API version in the data ({said[0]}) does not match the expected API version "
            f"({kind.api_version})"
        )
    raise errors.bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: the '
        f"object provided is unrecognized (must be of type {kind.kind}): "
        f'it is {said[1]} in version "{version}"'
    )


def clean(
    call: Call, kind: Kind, obj: Obj, duplicates: list[str], validation: FieldValidation
) -> Obj:
    """``obj`` without what the schema does not know; says so as the client asked (400 or warn)."""
    found = objections(kind, obj, duplicates) if validation != "Ignore" else []
    if found and validation == "Strict":
        raise errors.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(found)}"
        )
    call.warnings.extend(found)
    return pruned(kind, obj)


def pruned(kind: Kind, obj: Obj) -> Obj:
    """``obj`` without what the schema does not know. What has the wrong type is 400.

    After this, code may rely on the types of metadata, and of all of a built-in object.
    """
    cleaned: Obj = prune(kind.schema, obj)
    if kind.is_custom:
        meta = object_meta()
        wrong = list(check_builtin(meta, cleaned.get("metadata"), "metadata", types_only=True))
    else:
        wrong = list(check_builtin(kind.schema, cleaned, "", types_only=True))
    if wrong:
        raise errors.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"{', '.join(map(str, wrong))}"
        )
    return cleaned


def objections(kind: Kind, obj: Obj, duplicates: list[str]) -> list[str]:
    """What a strict reader objects to."""
    unknown = unknown_fields(kind.schema, obj)
    return strict_decoding_warnings(sorted(unknown) if kind.is_custom else unknown, duplicates)
