"""OpenAPI v3 schemas, as a CustomResourceDefinition wants them, from the structs of this package.

Structural schemas know no references and no unions, so msgspec's own JSON schemas will not do.
"""

from typing import Any

from msgspec import inspect

Schema = dict[str, Any]


def schema_of(struct: type, **extra: Any) -> Schema:
    """The schema of a struct; ``extra`` is put beside it, such as a description."""
    return {**extra, **_schema(inspect.type_info(struct))}


def unwrap(declared: inspect.Type) -> tuple[inspect.Type, Schema]:
    """A declared type without its annotations and without "or None", and what they said."""
    said: Schema = {}
    while True:
        if isinstance(declared, inspect.Metadata):
            said = {**(declared.extra_json_schema or {}), **said}
            declared = declared.type
        elif isinstance(declared, inspect.UnionType):
            kinds = [kind for kind in declared.types if not isinstance(kind, inspect.NoneType)]
            if len(kinds) != 1:
                return inspect.UnionType(tuple(kinds)), said
            declared = kinds[0]
        else:
            return declared, said


def _schema(declared: inspect.Type) -> Schema:
    kind, said = unwrap(declared)
    schema = {**_bare(kind), **said}
    first = {key: schema.pop(key) for key in ("description",) if key in schema}
    return {**first, **schema}


def _bare(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.StructType():
            return _object(kind)
        case inspect.DictType():
            return {"type": "object", "additionalProperties": _schema(kind.value_type)}
        case inspect.VarTupleType():
            return {"type": "array", "items": _schema(kind.item_type)}
        case inspect.EnumType():
            return {"type": "string", "enum": [str(member.value) for member in kind.cls]}
        case inspect.StrType() | inspect.DateTimeType():
            return {"type": "string"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.UnionType() if {type(part) for part in kind.types} == {
            inspect.IntType,
            inspect.StrType,
        }:
            return {"x-kubernetes-int-or-string": True}
    raise TypeError(f"a resource cannot hold a {kind}: a structural schema has no word for it")


def _object(struct: inspect.StructType) -> Schema:
    schema: Schema = {"type": "object"}
    required = [field.encode_name for field in struct.fields if field.required]
    if required:
        schema["required"] = required
    schema["properties"] = {field.encode_name: _schema(field.type) for field in struct.fields}
    return schema
