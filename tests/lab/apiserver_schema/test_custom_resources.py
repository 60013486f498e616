"""Kinds that CRDs add: their schema, pruning, defaults, validation."""

from typing import Any

import pytest

from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.prune import prune, unknown_fields
from serinus.lab.apiserver.schema.registry import Kind, Registry
from serinus.lab.apiserver.schema.validation import validate

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["interval"],
    "properties": {
        "interval": {"type": "string", "pattern": "^[0-9]+(m|s)$"},
        "weight": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10},
        "kind": {"type": "string", "enum": ["Deployment", "DaemonSet"]},
        "port": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "closed": {"type": "object"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "maybe": {"type": "string", "nullable": True},
        "since": {"type": "string", "format": "date-time"},
        "hooks": {
            "type": "array",
            "maxItems": 2,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "timeout": {"type": "string", "default": "30s"},
                },
            },
        },
        "target": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
}


def crd(spec: dict[str, Any] = SPEC) -> dict[str, Any]:
    return {
        "metadata": {"name": "birds.example.test"},
        "spec": {
            "group": "example.test",
            "scope": "Namespaced",
            "names": {"kind": "Bird", "plural": "birds", "shortNames": ["bd"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                    "subresources": {"status": {}, "scale": {}},
                },
                {"name": "v1alpha1", "served": False, "storage": False},
            ],
        },
    }


def bird(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.test/v1",
        "kind": "Bird",
        "metadata": {"name": "finch", "namespace": "test"},
        "spec": {"interval": "10s", **spec},
    }


@pytest.fixture
def kind() -> Kind:
    registry = Registry.builtin()
    registry.add_crd(crd())
    found = registry.by_resource("example.test", "v1", "birds")
    assert found is not None
    return found


def test_a_crd_comes_and_goes() -> None:
    registry = Registry.builtin()
    registry.add_crd(crd())
    kind = registry.by_kind("example.test", "v1", "Bird")
    assert kind is not None
    assert kind.short_names == ("bd",)
    assert kind.singular == "bird"
    assert kind.subresources == ("status", "scale")
    assert registry.groups()["example.test"] == ("v1",), "what is not served is not there"
    registry.remove_crd("birds.example.test")
    assert registry.by_kind("example.test", "v1", "Bird") is None
    assert "example.test" not in registry.groups()


def test_versions_are_listed_in_kubernetes_order() -> None:
    registry = Registry.builtin()
    many = crd()
    many["spec"]["versions"] = [
        {"name": name, "served": True, "storage": name == "v1"}
        for name in ("v1alpha1", "v10", "v1beta1", "v2", "v1", "odd", "v1beta2")
    ]
    registry.add_crd(many)
    assert registry.groups()["example.test"] == (
        *("v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "odd"),
    )


def test_unknown_fields_are_named_and_dropped(kind: Kind) -> None:
    obj = bird(
        wings=2,
        free={"any": {"thing": 1}},
        closed={"x": 1},
        labels={"a": "b"},
        hooks=[{"name": "a", "uri": "x"}],
        template={"metadata": {"name": "x", "colour": "red"}, "spec": {"y": 1}},
    )
    obj["colour"] = "yellow"
    obj["metadata"]["colour"] = "green"
    assert unknown_fields(kind.schema, obj) == [
        "metadata.colour",
        "spec.wings",
        "spec.closed.x",
        "spec.hooks[0].uri",
        "spec.template.metadata.colour",
        "colour",
    ]
    pruned = prune(kind.schema, obj)
    assert unknown_fields(kind.schema, pruned) == []
    assert pruned["spec"]["free"] == {"any": {"thing": 1}}
    assert pruned["spec"]["template"] == {"metadata": {"name": "x"}, "spec": {"y": 1}}


def test_defaults_of_the_schema(kind: Kind) -> None:
    obj = bird(hooks=[{"name": "a"}, {"name": "b", "timeout": "1s"}], weight=None)
    apply_defaults(kind, obj)
    assert obj["spec"]["weight"] == 10
    assert obj["spec"]["hooks"] == [
        {"name": "a", "timeout": "30s"},
        {"name": "b", "timeout": "1s"},
    ]


def test_a_default_makes_no_parent(kind: Kind) -> None:
    obj = bird()
    del obj["spec"]
    apply_defaults(kind, obj)
    assert "spec" not in obj


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"weight": 100, "port": "http", "maybe": None, "since": "2026-01-02T03:04:05Z"}, []),
        (
            {"interval": "soon"},
            [
                'spec.interval: Invalid value: "soon": spec.interval in body should match '
                "'^[0-9]+(m|s)$'"
            ],
        ),
        (
            {"weight": 101},
            [
                "spec.weight: Invalid value: 101: spec.weight in body should be less than or "
                "equal to 100"
            ],
        ),
        (
            {"weight": "many"},
            [
                'spec.weight: Invalid value: "string": spec.weight in body must be of type '
                'integer: "string"'
            ],
        ),
        (
            {"kind": "Pod"},
            [
                'spec.kind: Unsupported value: "Pod": supported values: "Deployment", "DaemonSet"',
            ],
        ),
        (
            {"port": True},
            [
                'spec.port: Invalid value: "boolean": spec.port in body must be of type '
                'integer,string: "boolean"'
            ],
        ),
        ({"hooks": [{}]}, ["spec.hooks[0].name: Required value"]),
        (
            {"hooks": [{"name": "a"}, {"name": "a"}]},
            ['spec.hooks[1]: Duplicate value: {"name":"a"}'],
        ),
        (
            {"hooks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
            ["spec.hooks: Too many: 3: must have at most 2 items"],
        ),
        (
            {"hooks": [{"name": ""}]},
            [
                'spec.hooks[0].name: Invalid value: "": spec.hooks[0].name in body should be at '
                "least 1 chars long"
            ],
        ),
        (
            {"target": {}},
            [
                'spec.target: Invalid value: "": "spec.target" must validate one and only one '
                "schema (oneOf). Found none valid",
                "spec.target.a: Required value",
            ],
        ),
        (
            {"target": {"a": "1", "b": "2"}},
            [
                'spec.target: Invalid value: "": "spec.target" must validate one and only one '
                "schema (oneOf). Found 2 valid alternatives"
            ],
        ),
        (
            {"since": "yesterday"},
            [
                'spec.since: Invalid value: "yesterday": spec.since in body must be of type '
                'date-time: "yesterday"'
            ],
        ),
        (
            {"closed": None},
            [
                'spec.closed: Invalid value: "null": spec.closed in body must be of type object: '
                '"null"'
            ],
        ),
    ],
)
def test_validation_by_the_schema(kind: Kind, spec: dict[str, Any], expected: list[str]) -> None:
    assert [str(error) for error in validate(kind, bird(**spec))] == expected


def test_a_pattern_that_only_go_understands_lets_all_pass() -> None:
    registry = Registry.builtin()
    odd = {"type": "string", "pattern": r"^\p{L}+$"}
    registry.add_crd(crd({"type": "object", "properties": {"interval": odd}}))
    kind = registry.by_kind("example.test", "v1", "Bird")
    assert kind is not None
    assert validate(kind, bird(interval="1")) == []


def test_a_missing_field(kind: Kind) -> None:
    obj = bird()
    del obj["spec"]["interval"]
    assert [str(error) for error in validate(kind, obj)] == ["spec.interval: Required value"]
