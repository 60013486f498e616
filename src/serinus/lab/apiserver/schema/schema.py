"""The schema of an object: one node per value, for built-in types and custom resources alike.

Built-in types come from ``data/types.json`` (OpenAPI v3, by ``tools/schemas/generate.py``);
custom ones from a CRD's ``openAPIV3Schema``. What the two differ in (patch strategies here,
patterns and bounds there) lives side by side in one node, so that pruning, defaulting, validation
and patching each know one kind of schema only.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

from serinus.lab.apiserver.schema.data import load


class _Unset:
    """No default at all, as opposed to a default of null."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()

RAW_TYPES: Final = frozenset(
    {
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    }
)
"""Built-in types whose content is anything at all."""


@dataclass
class Schema:
    """What a value may be. ``type`` is "" where any value is allowed.

    Lists merge by ``list_type`` (``atomic``, ``set``, ``map`` with ``map_keys``) in server-side
    apply, and by ``patch_strategy`` and ``patch_merge_key`` in strategic merge patches.
    """

    type: str = ""
    name: str = ""
    """The type's full name (``io.k8s.api.core.v1.Pod``); empty where it has none of its own."""
    properties: dict[str, "Schema"] = field(default_factory=dict)
    items: "Schema | None" = None
    additional: "Schema | None" = None
    """The schema of a map's values."""
    required: tuple[str, ...] = ()
    default: Any = UNSET
    enum: tuple[Any, ...] = ()
    format: str = ""
    nullable: bool = False

    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    atomic: bool = False
    """A struct or map that one manager owns as a whole."""
    patch_strategy: frozenset[str] = frozenset()
    patch_merge_key: str = ""

    int_or_string: bool = False
    preserve_unknown: bool = False
    embedded: bool = False
    """A whole object of Kubernetes: apiVersion, kind and metadata are known to it."""

    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique_items: bool = False
    min_properties: int | None = None
    max_properties: int | None = None
    one_of: tuple["Schema", ...] = ()
    any_of: tuple["Schema", ...] = ()
    all_of: tuple["Schema", ...] = ()
    not_: "Schema | None" = None

    @cached_property
    def regex(self) -> re.Pattern[str] | None:
        """``pattern``, compiled; None if it is one that only Go's RE2 understands (``\\pL``): then
        every text matches, since refusing the whole CRD for it would help nobody."""
        try:
            return re.compile(self.pattern.replace(r"\z", r"\Z"))
        except re.error:
            return None

    @property
    def is_open(self) -> bool:
        """Whether an object here may hold fields that the schema does not name."""
        return self.preserve_unknown or not (
            self.properties or self.additional is not None or self.type == "object" or self.embedded
        )

    def child(self, key: str) -> "Schema | None":
        """The schema of an object's field or of a map's value; None where it is unknown."""
        return self.properties.get(key) or self.additional


_PLAIN = {
    "type": "type",
    "format": "format",
    "nullable": "nullable",
    "default": "default",
    "pattern": "pattern",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_items",
    "maxItems": "max_items",
    "uniqueItems": "unique_items",
    "minProperties": "min_properties",
    "maxProperties": "max_properties",
    "x-kubernetes-list-type": "list_type",
    "x-kubernetes-patch-merge-key": "patch_merge_key",
    "x-kubernetes-int-or-string": "int_or_string",
    "x-kubernetes-preserve-unknown-fields": "preserve_unknown",
    "x-kubernetes-embedded-resource": "embedded",
}


class Types:
    """All named types of ``types.json`` as nodes, each built once and shared."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._named: dict[str, Schema] = {name: Schema(name=name) for name in raw}
        self._copies: list[tuple[Schema, Schema, Mapping[str, Any]]] = []
        for name, node in raw.items():
            self._fill(self._named[name], node)
            if name in RAW_TYPES:
                self._named[name].preserve_unknown = True
                self._named[name].atomic = True
        for placeholder, target, extras in self._copies:
            placeholder.__dict__.update(copy.copy(target).__dict__)
            _set_plain(placeholder, extras)

    def __getitem__(self, name: str) -> Schema:
        return self._named[name]

    def _node(self, raw: Mapping[str, Any]) -> Schema:
        target = self._named.get(raw.get("$ref", ""))
        if target is None:
            schema = Schema()
            self._fill(schema, raw)
            return schema
        extras = {key: value for key, value in raw.items() if key != "$ref"}
        if not extras:
            return target
        # The target may not be filled yet: its content follows when all are.
        placeholder = Schema()
        self._copies.append((placeholder, target, extras))
        return placeholder

    def _fill(self, schema: Schema, raw: Mapping[str, Any]) -> None:
        _set_plain(schema, raw)
        schema.properties = {
            key: self._node(value) for key, value in raw.get("properties", {}).items()
        }
        if "items" in raw:
            schema.items = self._node(raw["items"])
        if isinstance(raw.get("additionalProperties"), dict):
            schema.additional = self._node(raw["additionalProperties"])
        if schema.format == "int-or-string" or (not schema.type and "oneOf" in raw):
            schema.type, schema.int_or_string = "", True


def from_crd(raw: Mapping[str, Any]) -> Schema:
    """The node of a CRD's ``openAPIV3Schema`` (structural: every field is declared in the open)."""
    schema = Schema()
    _set_plain(schema, raw)
    schema.properties = {key: from_crd(value) for key, value in raw.get("properties", {}).items()}
    if isinstance(raw.get("items"), dict):
        schema.items = from_crd(raw["items"])
    additional = raw.get("additionalProperties")
    if isinstance(additional, dict):
        schema.additional = from_crd(additional)
    elif additional is True:
        schema.additional = Schema(preserve_unknown=True)
    for key, attribute in (("oneOf", "one_of"), ("anyOf", "any_of"), ("allOf", "all_of")):
        setattr(schema, attribute, tuple(from_crd(node) for node in raw.get(key) or ()))
    if "not" in raw:
        schema.not_ = from_crd(raw["not"])
    return schema


def _set_plain(schema: Schema, raw: Mapping[str, Any]) -> None:
    for key, attribute in _PLAIN.items():
        if key in raw:
            setattr(schema, attribute, raw[key])
    if "required" in raw:
        schema.required = tuple(raw["required"])
    if "enum" in raw:
        schema.enum = tuple(raw["enum"])
    if "x-kubernetes-list-map-keys" in raw:
        schema.map_keys = tuple(raw["x-kubernetes-list-map-keys"])
    if "x-kubernetes-patch-strategy" in raw:
        schema.patch_strategy = frozenset(raw["x-kubernetes-patch-strategy"].split(","))
    if raw.get("x-kubernetes-map-type") == "atomic":
        schema.atomic = True


@lru_cache(maxsize=1)
def builtin_types() -> Types:
    """The types of Kubernetes itself."""
    return Types(load("types"))


def object_meta() -> Schema:
    """``metadata``, the same in every object."""
    return builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]
