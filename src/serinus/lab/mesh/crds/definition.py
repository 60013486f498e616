"""The envelope of a CustomResourceDefinition, and the words that schemas are made of."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

GROUP = "kuma.io"


def free() -> Json:
    """An object that the schema says nothing about; Kuma's webhook knows more."""
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def string(*values: str, pattern: str | None = None) -> Json:
    """A string, one of ``values`` if there are any."""
    schema: Json = {"type": "string"}
    if values:
        schema["enum"] = list(values)
    if pattern:
        schema["pattern"] = pattern
    return schema


def integer(minimum: int | None = None, maximum: int | None = None) -> Json:
    """A 32-bit number within bounds."""
    schema: Json = {"type": "integer", "format": "int32"}
    if minimum is not None:
        schema["minimum"] = minimum
    if maximum is not None:
        schema["maximum"] = maximum
    return schema


def strings() -> Json:
    """Keys and values that are strings: labels, tags."""
    return {"type": "object", "additionalProperties": {"type": "string"}}


def array(items: Json, **bounds: int) -> Json:
    """A list of ``items``; ``minItems`` and ``maxItems`` bound it."""
    return {"type": "array", "items": items, **bounds}


def struct(required: Sequence[str] = (), **properties: Json) -> Json:
    """An object with exactly these fields."""
    schema: Json = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema


def definition(
    kind: str,
    plural: str,
    *,
    spec: Json | None = None,
    status: Json | None = None,
    namespaced: bool = True,
    mesh_field: bool = False,
    short: str | None = None,
    status_subresource: bool = False,
    columns: Sequence[Json] = (),
) -> Json:
    """A CustomResourceDefinition of ``kuma.io/v1alpha1``.

    ``mesh_field``: kinds of the first generation name their mesh in a field beside metadata.
    """
    properties: Json = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    if mesh_field:
        properties["mesh"] = {"type": "string"}
    if spec is not None:
        properties["spec"] = spec
    if status is not None:
        properties["status"] = status
    names: Json = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "categories": ["kuma"],
    }
    if short:
        names["shortNames"] = [short]
    served: Json = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    if status_subresource:
        served["subresources"] = {"status": {}}
    if columns:
        served["additionalPrinterColumns"] = list(columns)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"k8s-app": "kuma"}},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [served],
        },
    }
