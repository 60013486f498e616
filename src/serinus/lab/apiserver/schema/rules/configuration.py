"""ConfigMaps and Secrets, roles and their bindings, CustomResourceDefinitions, Leases, Events."""

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema import names
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.rules import Object, Rule

DATA_LIMIT: Final = 1024 * 1024
"""Bytes of all values of a ConfigMap or Secret together."""

_DOCKER_CONFIG: Final = "kubernetes.io/dockerconfigjson"
_SECRET_KEYS: Final = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    _DOCKER_CONFIG: (".dockerconfigjson",),
}

_SCOPES: Final = ("Cluster", "Namespaced")

_IMMUTABLE: Final = "field is immutable when `immutable` is set"


def _check_config_map(config: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _check_keys(config)
    both = (config.get("data") or {}).keys() & (config.get("binaryData") or {}).keys()
    for key in sorted(both):
        yield error.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from _check_base64(config, "binaryData")
    yield from _check_immutable(config, old, ("data", "binaryData"))


def _check_secret(secret: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _check_keys(secret)
    yield from _check_base64(secret, "data")
    yield from _check_content(secret)
    if old is not None and secret.get("type") != old.get("type"):
        yield error.immutable("type", secret.get("type"))
    yield from _check_immutable(secret, old, ("data",))


def _check_content(secret: Object) -> Iterator[FieldError]:
    """What a Secret of a type that Kubernetes knows must hold."""
    data, kind = secret.get("data") or {}, secret.get("type")
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data:
            yield error.required(f"data[{key}]")
    if kind == _DOCKER_CONFIG and ".dockerconfigjson" in data:
        try:
            json.loads(base64.b64decode(data[".dockerconfigjson"]))
        except ValueError as wrong:
            yield error.invalid(
                "data[.dockerconfigjson]", "<secret contents redacted>", f"not JSON: {wrong}"
            )


def _check_keys(obj: Object) -> Iterator[FieldError]:
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            for message in (*names.config_key(key), *_path_like(key)):
                yield error.invalid(f"{field}[{key}]", key, message)
            size += len(value.encode()) if isinstance(value, str) else 0
    if size > DATA_LIMIT:
        yield error.too_long("", DATA_LIMIT)


def _path_like(key: str) -> Iterator[str]:
    """Keys become names of files."""
    if key in {".", ".."}:
        yield f"must not be '{key}'"
    elif key.startswith(".."):
        yield "must not start with '..'"


def _check_base64(obj: Object, field: str) -> Iterator[FieldError]:
    for key, value in (obj.get(field) or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            yield error.invalid(f"{field}[{key}]", "<value>", "illegal base64 data")


def _check_immutable(obj: Object, old: Object | None, fields: Any) -> Iterator[FieldError]:
    if old is None or not old.get("immutable"):
        return
    if not obj.get("immutable"):
        yield error.forbidden("immutable", _IMMUTABLE)
    for field in fields:
        if (obj.get(field) or {}) != (old.get(field) or {}):
            yield error.forbidden(field, _IMMUTABLE)


def _check_role(role: Object, _old: Object | None) -> Iterator[FieldError]:
    for index, rule in enumerate(role.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield error.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
                yield error.invalid(
                    f"{path}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "rules cannot apply to both regular resources and non-resource URLs",
                )
            continue
        if not rule.get("apiGroups"):
            yield error.required(
                f"{path}.apiGroups", "resource rules must supply at least one api group"
            )
        if not rule.get("resources"):
            yield error.required(
                f"{path}.resources", "resource rules must supply at least one resource"
            )


def _check_binding(binding: Object, old: Object | None) -> Iterator[FieldError]:
    reference = binding.get("roleRef") or {}
    kinds = ["ClusterRole"]
    if binding.get("kind") == "RoleBinding":
        kinds.append("Role")
    if reference.get("kind") and reference["kind"] not in kinds:
        yield error.not_supported("roleRef.kind", reference["kind"], kinds)
    for index, subject in enumerate(binding.get("subjects") or ()):
        path, kind = f"subjects[{index}]", subject.get("kind")
        if kind and kind not in ("ServiceAccount", "User", "Group"):
            yield error.not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))
        if kind == "ServiceAccount" and not subject.get("namespace"):
            yield error.required(f"{path}.namespace")
    if old is not None and reference != (old.get("roleRef") or {}):
        yield error.invalid("roleRef", reference, "cannot change roleRef")


def _check_definition(definition: Object, old: Object | None) -> Iterator[FieldError]:
    spec = definition.get("spec") or {}
    declared = spec.get("names") or {}
    name = (definition.get("metadata") or {}).get("name")
    if name != f"{declared.get('plural')}.{spec.get('group')}":
        yield error.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    for message in names.dns_subdomain(spec.get("group") or ""):
        yield error.invalid("spec.group", spec.get("group"), message)
    for field in ("plural", "singular"):
        for message in names.dns_1035_label(declared.get(field) or ""):
            yield error.invalid(f"spec.names.{field}", declared.get(field), message)
    versions = spec.get("versions") or ()
    if not versions:
        yield error.required("spec.versions", "must have at least one version")
    elif sum(bool(version.get("storage")) for version in versions) != 1:
        yield error.invalid(
            "spec.versions", versions, "must have exactly one version marked as storage version"
        )
    yield from _check_versions(versions)
    if spec.get("scope") and spec["scope"] not in _SCOPES:
        yield error.not_supported("spec.scope", spec["scope"], _SCOPES)
    if old is not None and spec.get("scope") != (old.get("spec") or {}).get("scope"):
        yield error.immutable("spec.scope", spec.get("scope"))


def _check_versions(versions: Any) -> Iterator[FieldError]:
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        for message in names.dns_1035_label(version.get("name") or ""):
            yield error.invalid(f"{path}.name", version.get("name"), message)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield error.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        elif schema.get("type") and schema["type"] != "object":
            yield error.invalid(
                f"{path}.schema.openAPIV3Schema.type",
                schema.get("type", ""),
                "must be object at the root",
            )
        else:
            yield from _check_structural(schema, _schema_path(versions, index), "at the root")


def _schema_path(versions: Any, index: int) -> str:
    """Kubernetes looks at a schema that all versions share in the place it had before there were
    versions."""
    first = versions[0].get("schema")
    if all(version.get("schema") == first for version in versions):
        return "spec.validation.openAPIV3Schema"
    return f"spec.versions[{index}].schema.openAPIV3Schema"


def _check_structural(schema: Any, path: str, where: str) -> Iterator[FieldError]:
    """Every part of a schema has a type. The other rules of structural schemas, on what may
    stand in ``allOf`` and its like, are not checked."""
    if not isinstance(schema, dict):
        return
    untyped = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not any(schema.get(name) for name in untyped):
        yield error.required(f"{path}.type", f"must not be empty {where}")
    fields = "for specified object fields"
    for name, part in (schema.get("properties") or {}).items():
        yield from _check_structural(part, f"{path}.properties[{name}]", fields)
    more = schema.get("additionalProperties")
    yield from _check_structural(more, f"{path}.additionalProperties", fields)
    items = schema.get("items")
    yield from _check_structural(items, f"{path}.items", "for specified array items")


def _check_lease(lease: Object, _old: Object | None) -> Iterator[FieldError]:
    spec = lease.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        yield error.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if transitions is not None and transitions < 0:
        detail = "must be greater than or equal to 0"
        yield error.invalid("spec.leaseTransitions", transitions, detail)


def _check_event(event: Object, _old: Object | None) -> Iterator[FieldError]:
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    namespace = event["metadata"].get("namespace") or ""
    # What has no namespace is told of in the namespace "default".
    if about not in {namespace, ""} or (not about and namespace not in {"", "default"}):
        yield error.invalid("involvedObject.namespace", about, "does not match event.namespace")


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "ConfigMap"): _check_config_map,
    ("", "Secret"): _check_secret,
    ("rbac.authorization.k8s.io", "Role"): _check_role,
    ("rbac.authorization.k8s.io", "ClusterRole"): _check_role,
    ("rbac.authorization.k8s.io", "RoleBinding"): _check_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _check_binding,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _check_definition,
    ("coordination.k8s.io", "Lease"): _check_lease,
    ("", "Event"): _check_event,
}
