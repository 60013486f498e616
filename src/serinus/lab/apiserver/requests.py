"""What a request asks: path and query taken apart, as Kubernetes' RequestInfo."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from aiohttp.web import BaseRequest

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.schema import field_errors


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """``resource`` is empty for a path that names none (``/healthz``, ``/apis``)."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource (``nodes/NAME/proxy/REST``), without slashes at its ends."""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


_NAME_CLAUSE = re.compile(r"(?:^|,)metadata\.name==?([^,=]+)(?:,|$)")
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}


def parse(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Never fails: what is no resource's path is a path."""
    parts = [part for part in path.split("/") if part]
    verb = method.lower()
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(verb, path)
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and not (len(parts) == 3 and parts[2] in {"status", "finalize"}):
            parts = parts[2:]
    resource, name, subresource = (*parts, "", "", "")[:3]
    if method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = _VERBS.get(method, verb)
    if verb == "get" and not subresource:
        if query.get("watch") in {"true", "1"}:
            verb = "watch"
        elif not name:
            verb = "list"
    if not name and verb in {"list", "watch", "deletecollection"}:
        # A role may allow to list the one object of a name: what is asked is about that object.
        name = _only_name(query.get("fieldSelector", ""))
    return RequestInfo(
        verb, path, group, version, namespace, resource, name, subresource, "/".join(parts[3:])
    )


def _only_name(selector: str) -> str:
    found = _NAME_CLAUSE.search(selector)
    return found[1] if found else ""


FieldValidation = Literal["Strict", "Warn", "Ignore"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The query of a create, an update or a patch."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    force: bool = False


_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")

MANAGER_LIMIT: Final = 128
"""How many bytes the name of a field manager may have."""


def write_options(request: BaseRequest, kind: str) -> WriteOptions:
    """The field manager defaults to the client's name, as in Kubernetes. ``kind`` is that of the
    options: CreateOptions, UpdateOptions, PatchOptions."""
    query = request.query
    user_agent = request.headers.get("User-Agent", "")
    validation = query.get("fieldValidation") or "Warn"
    wrong = []
    if validation not in {"Strict", "Warn", "Ignore"}:
        wrong.append(field_errors.not_supported("fieldValidation", validation, _VALIDATIONS))
    if any(value != "All" for value in query.getall("dryRun", [])):
        wrong.append(field_errors.not_supported("dryRun", query.getall("dryRun"), ("All",)))
    if len(query.get("fieldManager", "").encode()) > MANAGER_LIMIT:
        wrong.append(field_errors.too_long("fieldManager", MANAGER_LIMIT))
    if wrong:
        raise errors.invalid_options(kind, wrong)
    return WriteOptions(
        dry_run="dryRun" in query,
        field_manager=query.get("fieldManager") or user_agent.partition("/")[0] or "unknown",
        field_validation=validation,  # type: ignore[arg-type]
        force=query.get("force") in {"true", "1"},
    )


class Preconditions(msgspec.Struct, rename="camel"):
    """What must hold of an object for its deletion."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(msgspec.Struct, rename="camel"):
    """The body of a DELETE; the query may say the same."""

    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: list[str] = msgspec.field(default_factory=list)

    def policy(self) -> str | None:
        if self.propagation_policy is None and self.orphan_dependents is not None:
            return "Orphan" if self.orphan_dependents else "Background"
        return self.propagation_policy

    @property
    def is_dry_run(self) -> bool:
        return bool(self.dry_run)


def delete_options(body: Mapping[str, Any] | None, query: Mapping[str, str]) -> DeleteOptions:
    """From the body, or from the query where there is no body."""
    raw: dict[str, Any] = dict(body or {})
    if grace := query.get("gracePeriodSeconds"):
        raw.setdefault("gracePeriodSeconds", grace)
    for name in ("propagationPolicy", "orphanDependents"):
        if value := query.get(name):
            raw.setdefault(name, value)
    if value := query.get("dryRun"):
        raw.setdefault("dryRun", [value])
    try:
        options = msgspec.convert(raw, DeleteOptions, strict=False)
    except msgspec.ValidationError as error:
        raise errors.bad_request(f"DeleteOptions: {error}") from error
    wrong = list(_objections(options))
    if wrong:
        raise errors.invalid_options("DeleteOptions", wrong)
    return options


def _objections(options: DeleteOptions) -> Iterator[field_errors.FieldError]:
    policy = options.propagation_policy
    if policy is not None and options.orphan_dependents is not None:
        yield field_errors.invalid(
            *("propagationPolicy", policy),
            "orphanDependents and deletionPropagation cannot be both set",
        )
    elif options.policy() not in {None, "Foreground", "Background", "Orphan"}:
        known = ("Foreground", "Background", "Orphan", "nil")
        yield field_errors.not_supported("propagationPolicy", policy, known)
    if any(value != "All" for value in options.dry_run):
        yield field_errors.not_supported("dryRun", options.dry_run, ("All",))
