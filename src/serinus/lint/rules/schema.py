"""What the API server would refuse, in its words: Canary, MetricTemplate and AlertProvider."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from serinus.api.crd import VERSION, crd_documents
from serinus.api.validation import problems
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.prune import child_schema, unknown_fields
from serinus.lab.apiserver.schema.registry import Kind, Registry
from serinus.lab.apiserver.schema.schema import Schema
from serinus.lab.apiserver.schema.validation import validate
from serinus.lint.documents import Document
from serinus.lint.files import OURS, Files
from serinus.lint.registry import Found, common

_FIXES = {
    "FieldValueRequired": "add it",
    "FieldValueTypeInvalid": "write a value of that type",
    "FieldValueNotSupported": "use one of these",
}
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")


@common(
    "schema/version",
    "Canary, MetricTemplate and AlertProvider are of flagger.app/v1beta1, the only version.",
)
def version(files: Files) -> Iterator[Found]:
    for document in files.documents:
        if not document.group.endswith("flagger.app") or document.kind not in OURS:
            continue
        api_version = document.object["apiVersion"]
        if api_version != f"flagger.app/{VERSION}":
            reason = f'no kind {document.kind} is known in "{api_version}"'
            yield Found(document, "apiVersion", reason, f"write flagger.app/{VERSION}")


@common("schema/invalid", "Every value is of the type and within the bounds that its CRD declares.")
def invalid(files: Files) -> Iterator[Found]:
    for document in filter(files.is_ours, files.documents):
        helpful = _remedies(files, document)
        for error in _errors(files, document):
            fix = helpful.get(error.field) or _FIXES.get(error.reason, "correct it")
            yield Found(document, error.field, error.message, fix)


@common("schema/unknown-field", "Every field is one that the CRD knows; kubectl refuses others.")
def unknown_field(files: Files) -> Iterator[Found]:
    for document in filter(files.is_ours, files.documents):
        schema = _kind(document.kind).schema
        for path in unknown_fields(schema, document.object):
            yield Found(document, path, f'unknown field "{path}"', _instead(schema, path))


@common("schema/readable", "A Canary, MetricTemplate or AlertProvider can be read by the operator.")
def readable(files: Files) -> Iterator[Found]:
    for document in filter(files.is_ours, files.documents):
        malformed = files.malformed(document)
        if malformed is not None and not _errors(files, document):
            yield Found(document, malformed.path, malformed.message, "correct it")


def told_by_schema(files: Files, document: Document) -> frozenset[str]:
    """The paths of which the schema says something already."""
    return frozenset(error.field for error in _errors(files, document))


def _errors(files: Files, document: Document) -> list[FieldError]:
    metadata = {**document.metadata, "namespace": files.namespace(document)}
    return validate(_kind(document.kind), {**document.object, "metadata": metadata})


@cache
def _kind(name: str) -> Kind:
    registry = Registry()
    for crd in crd_documents():
        registry.add_crd(crd)
    found = registry.by_kind("flagger.app", VERSION, name)
    assert found is not None
    return found


def _remedies(files: Files, document: Document) -> dict[str, str]:
    """What the operator says of the same fields, which helps more than a schema's words."""
    for one in files.canaries:
        if one.document is document:
            return {problem.path: problem.message for problem in problems(one.canary)}
    return {}


def _instead(schema: Schema, path: str) -> str:
    """A field of nearly that name, where there is one."""
    *steps, name = _STEP.findall(path)
    for step in steps:
        child = schema.items if step.startswith("[") else child_schema(schema, step)
        if child is None:
            return "remove it"
        schema = child
    near = get_close_matches(name, schema.properties, n=1)
    lower = [known for known in schema.properties if known.lower() == name.lower()]
    found = lower or near
    return f"write {found[0]}, or remove it" if found else "remove it"
