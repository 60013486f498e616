"""Whether an object may be stored, in the words that Kubernetes has for it.

Built-in objects are held to their types and to the rules that people run into (``rules``), not to
every rule of Kubernetes; custom ones to all of their schema except CEL rules
(``x-kubernetes-validations``), which are accepted in a CRD and not evaluated.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.metadata import check_metadata
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.schema.rules import Rule, configuration, pods, services, workloads
from serinus.lab.apiserver.schema.schema import object_meta
from serinus.lab.apiserver.schema.structure import check_builtin, check_custom

_RULES: Final[Mapping[tuple[str, str], Rule]] = {
    **workloads.RULES,
    **services.RULES,
    **configuration.RULES,
    ("", "Pod"): pods.check_pod,
}


def validate(
    kind: Kind, obj: Mapping[str, Any], old: Mapping[str, Any] | None = None
) -> list[FieldError]:
    """What is wrong with ``obj`` (with its defaults); ``old`` is the object that it replaces.

    While types are wrong, only these are told: no rule can look at such an object.
    """
    if kind.is_custom:
        found = [
            *check_builtin(object_meta(), obj.get("metadata"), "metadata"),
            *check_custom(kind.schema, dict(obj), ""),
        ]
    else:
        found = list(check_builtin(kind.schema, dict(obj), ""))
    if any(error.reason == "FieldValueTypeInvalid" for error in found):
        return found
    before = (old or {}).get("metadata") if old is not None else None
    found += check_metadata(kind, obj.get("metadata"), before)
    rule = None if kind.is_custom else _RULES.get((kind.group, kind.kind))
    if rule is not None:
        found += rule(obj, old)
    return list(dict.fromkeys(found))


def invalid_message(kind: Kind, name: str, errors: Iterable[FieldError]) -> str:
    """The Status' message: ``Deployment.apps "web" is invalid: spec.replicas: ...``."""
    texts = [str(error) for error in errors]
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f'{qualified} "{name}" is invalid: {listed}'


def causes(errors: Iterable[FieldError]) -> list[dict[str, str]]:
    """The Status' ``details.causes``."""
    return [
        {"reason": error.reason, "message": error.message, "field": error.field} for error in errors
    ]
