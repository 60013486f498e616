"""Label selectors and field selectors, as queries and as objects."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.names import label_value, qualified_name

Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One clause: ``operator`` is one of = != in notin exists !exists > <."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!exists":
                return value is None
            case "=" | "in":
                return value in self.values
            case "!=" | "notin":
                return value not in self.values
        if value is None or not value.lstrip("-").isdigit():
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator == ">" else int(value) < bound


_CLAUSE = re.compile(
    r"""\s*(?:
        !\s*(?P<absent>[\w./-]+)
      | (?P<key>[\w./-]+)\s*(?:
            (?P<set>in|notin)\s*\(\s*(?P<values>[^()]*)\)
          | (?P<operator>==|!=|=|>|<)\s*(?P<value>[\w./-]*)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE | re.ASCII,
)


def parse_labels(text: str) -> list[Requirement]:
    """The clauses of ``app=web,tier in (a, b),!old``; a bad one is 400 as in Kubernetes."""
    clauses: list[Requirement] = []
    position = 0
    while position < len(text):
        found = _CLAUSE.match(text, position)
        if found is None:
            raise errors.bad_request(
                f"unable to parse requirement: found '{text[position:]}', expected: a key, "
                "'!key', 'key=value', 'key!=value' or 'key in (a, b)'"
            )
        position = found.end()
        _check_form(found["absent"] or found["key"], _values(found))
        if absent := found["absent"]:
            clauses.append(Requirement(absent, "!exists"))
        elif operator := found["set"]:
            values = tuple(value.strip() for value in found["values"].split(","))
            clauses.append(Requirement(found["key"], operator, values))
        elif operator := found["operator"]:
            if operator in "><" and not found["value"].lstrip("-").isdigit():
                raise errors.bad_request(
                    f'unable to parse requirement: values[0]: Invalid value: "{found["value"]}": '
                    "for 'Gt', 'Lt' operators, the value must be an integer"
                )
            operator = "=" if operator == "==" else operator
            clauses.append(Requirement(found["key"], operator, (found["value"],)))
        else:
            clauses.append(Requirement(found["key"], "exists"))
    return clauses


def _values(found: re.Match[str]) -> list[str]:
    if found["set"]:
        return [value.strip() for value in found["values"].split(",")]
    return [found["value"]] if found["operator"] in ("=", "==", "!=") else []


def _check_form(key: str, values: list[str]) -> None:
    """A key or a value that no object can have is a mistake."""
    for message in qualified_name(key):
        wrong = field_errors.invalid("<nil>", key, message)
        raise errors.bad_request(f"unable to parse requirement: {wrong}")
    for index, value in enumerate(values):
        for message in label_value(value):
            wrong = field_errors.invalid(f"values[{index}][{key}]", value, message)
            raise errors.bad_request(f"unable to parse requirement: {wrong}")


def label_test(clauses: Iterable[Requirement]) -> LabelTest:
    listed = list(clauses)
    return lambda labels: all(clause.matches(labels) for clause in listed)


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!exists"}


def from_object(selector: Mapping[str, Any] | None) -> LabelTest:
    """A `metav1.LabelSelector`: an empty one matches all, none matches nothing."""
    if selector is None:
        return lambda _: False
    clauses = [
        Requirement(key, "=", (value,))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    clauses += [
        Requirement(term["key"], _OPERATORS[term["operator"]], tuple(term.get("values") or ()))
        for term in selector.get("matchExpressions") or ()
    ]
    return label_test(clauses)


@dataclass(frozen=True, slots=True)
class FieldClause:
    """``path=value`` or ``path!=value``."""

    path: str
    value: str
    equal: bool

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return (_field(obj, self.path) == self.value) is self.equal


_FIELDS: dict[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }
    ),
    ("", "events"): frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
    ("", "namespaces"): frozenset({"status.phase", "name"}),
    ("", "nodes"): frozenset({"spec.unschedulable"}),
    ("", "secrets"): frozenset({"type"}),
    ("", "services"): frozenset({"spec.clusterIP", "spec.type"}),
    ("", "replicationcontrollers"): frozenset({"status.replicas"}),
    ("apps", "replicasets"): frozenset({"status.replicas"}),
    ("batch", "jobs"): frozenset({"status.successful"}),
}


def _field(obj: Mapping[str, Any], path: str) -> str:
    if path == "name":
        path = "metadata.name"
    if path == "source":
        path = "source.component"
    value: Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        return {"spec.unschedulable": "false", "spec.hostNetwork": "false"}.get(path, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _unknown_field(path: str, resource: tuple[str, str], *, custom: bool) -> str:
    if custom or resource in _FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def parse_fields(
    text: str, group: str, plural: str, more: Iterable[str] = (), *, custom: bool = False
) -> list[FieldClause]:
    """The clauses of ``metadata.name=a,status.phase!=Running``.

    ``more`` are the selectable fields of a ``custom`` resource. A field that the resource does not
    offer is 400.
    """
    allowed = {"metadata.name", "metadata.namespace", *more}
    allowed |= _FIELDS.get((group, plural), frozenset())
    if group == "events.k8s.io":
        allowed |= {"reason", "type", "reportingController"}
        allowed |= {f"regarding.{name}" for name in ("kind", "namespace", "name", "uid")}
    clauses = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([^=!]+?)\s*(==|!=|=)\s*(.*)", part)
        if found is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found.groups()
        if path not in allowed:
            raise errors.bad_request(_unknown_field(path, (group, plural), custom=custom))
        clauses.append(FieldClause(path, value.replace("\\,", ","), operator != "!="))
    return clauses
