"""OpenAPI v3, as far as clients ask for it: an index, and one document per group and version.

kubectl takes three things from here: whether a PATCH knows ``fieldValidation`` (then it leaves
validation to the server), the merge keys for the patches that ``apply`` computes, and what
``explain`` prints. The sentences in Kubernetes' own documents are not repeated; a CRD's are.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from serinus.lab.apiserver.schema.data import load
from serinus.lab.apiserver.schema.registry import Kind, Registry

Object = dict[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCHEMAS: Final = "#/components/schemas/"
_COMMON: Final = (_META + "DeleteOptions", _META + "Status", _META + "Patch", _META + "ListMeta")
_SUBRESOURCE_TYPES: Final[Mapping[str, str]] = {
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}
_PATCH_TYPES: Final = (
    *("application/json-patch+json", "application/merge-patch+json"),
    *("application/strategic-merge-patch+json", "application/apply-patch+yaml"),
)
_WRITES: Final = ("dryRun", "fieldManager", "fieldValidation")
_LISTS: Final = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit"),
    *("resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
_DELETES: Final = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_OPERATIONS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "list": ("get", "list", _LISTS),
    "create": ("post", "post", _WRITES),
    "deletecollection": ("delete", "deletecollection", (*_LISTS, *_DELETES)),
    "get": ("get", "get", ()),
    "update": ("put", "put", _WRITES),
    "patch": ("patch", "patch", (*_WRITES, "force")),
    "delete": ("delete", "delete", _DELETES),
}
"""Verb to HTTP method, ``x-kubernetes-action`` and query parameters."""

_BOOLEANS: Final = frozenset(
    {"allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"}
)
_INTEGERS: Final = frozenset({"gracePeriodSeconds", "limit", "timeoutSeconds"})


def index(registry: Registry) -> Object:
    """``/openapi/v3``. The hash in each address changes with the document behind it."""
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(registry, path)}"}
            for group, versions in registry.groups().items()
            for path in (_path(group, version) for version in versions)
        }
    }


def document(registry: Registry, path: str) -> Object | None:
    """The document of ``api/v1`` or ``apis/GROUP/VERSION``; None if nothing is served there."""
    for group, versions in registry.groups().items():
        for version in versions:
            if _path(group, version) == path:
                return _document(registry.kinds(group, version))
    return None


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _hash(registry: Registry, path: str) -> str:
    group, version = "", path.rsplit("/", 1)[1]
    if path.startswith("apis/"):
        group = path.split("/")[1]
    custom = [
        [kind.crd["spec"]["names"], kind.crd["spec"]["scope"], kind.crd_version]
        for kind in registry.kinds(group, version)
        if kind.crd is not None
    ]
    content = _builtin_digest() + path.encode() + msgspec.json.encode(custom, order="sorted")
    return hashlib.sha256(content).hexdigest().upper()


@lru_cache(maxsize=1)
def _builtin_digest() -> bytes:
    return hashlib.sha256(msgspec.json.encode([load("kinds"), load("types")])).digest()


def _document(kinds: Iterable[Kind]) -> Object:
    paths: Object = {}
    schemas: Object = {}
    names = set(_COMMON)
    for kind in kinds:
        if kind.is_custom:
            schemas |= _custom_schemas(kind)
            names.add(_META + "ObjectMeta")
        else:
            names |= {_type_name(kind), _list_name(kind)}
        names |= {
            _SUBRESOURCE_TYPES[sub.kind]
            for sub in kind.subresource_details
            if sub.kind in _SUBRESOURCE_TYPES
        }
        paths |= _paths(kind)
    schemas |= _reachable(names, load("types"))
    for kind in kinds:
        for name, suffix in ((_type_name(kind), ""), (_list_name(kind), "List")):
            if name in schemas:
                schemas[name] = {**schemas[name], **_gvk(kind, kind.kind + suffix)}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


# -- schemas -------------------------------------------------------------------


def _type_name(kind: Kind) -> str:
    if not kind.is_custom:
        return kind.schema.name
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _list_name(kind: Kind) -> str:
    return _type_name(kind) + "List"


def _gvk(kind: Kind, name: str) -> Object:
    return {
        "x-kubernetes-group-version-kind": [
            {"group": kind.group, "version": kind.version, "kind": name}
        ]
    }


def _reachable(names: Iterable[str], types: Mapping[str, Any]) -> Object:
    found: Object = {}
    todo = [name for name in names if name in types]
    while todo:
        name = todo.pop()
        if name not in found:
            referred: list[str] = []
            found[name] = _published(types[name], referred)
            todo += referred
    return found


def _published(node: Any, referred: list[str]) -> Any:
    """The schema in OpenAPI's spelling: a reference with siblings stands in an ``allOf``."""
    if isinstance(node, list):
        return [_published(item, referred) for item in node]
    if not isinstance(node, dict):
        return node
    published = {
        key: (
            {name: _published(schema, referred) for name, schema in value.items()}
            if key == "properties"
            else _published(value, referred)
        )
        for key, value in node.items()
        if key != "$ref"
    }
    if isinstance(node.get("$ref"), str):
        referred.append(node["$ref"])
        published["allOf"] = [{"$ref": _SCHEMAS + node["$ref"]}]
    return published


def _custom_schemas(kind: Kind) -> Object:
    """The CRD's schema with the fields of every object, and its list."""
    declared = ((kind.crd_version or {}).get("schema") or {}).get("openAPIV3Schema") or {}
    string = {"type": "string"}
    item = {
        **declared,
        "type": "object",
        "properties": {
            **(declared.get("properties") or {}),
            "apiVersion": string,
            "kind": string,
            "metadata": {"allOf": [{"$ref": f"{_SCHEMAS}{_META}ObjectMeta"}]},
        },
    }
    listed = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": string,
            "kind": string,
            "metadata": {"allOf": [{"$ref": f"{_SCHEMAS}{_META}ListMeta"}]},
            "items": {
                "type": "array",
                "items": {"allOf": [{"$ref": _SCHEMAS + _type_name(kind)}]},
            },
        },
    }
    return {_type_name(kind): item, _list_name(kind): listed}


# -- paths ---------------------------------------------------------------------


def _paths(kind: Kind) -> Object:
    base = f"/{_path(kind.group, kind.version)}"
    within = f"{base}/namespaces/{{namespace}}" if kind.namespaced else base
    all_namespaces = f"{base}/{kind.plural}"
    collection, item = f"{within}/{kind.plural}", f"{within}/{kind.plural}/{{name}}"
    found = {
        collection: _path_item(kind, collection, ("list", "create", "deletecollection"), kind.verbs)
    }
    if kind.namespaced and "list" in kind.verbs:
        found[all_namespaces] = _path_item(kind, all_namespaces, ("list",), kind.verbs)
    item_verbs = ("get", "update", "patch", "delete")
    if set(item_verbs) & set(kind.verbs):
        found[item] = _path_item(kind, item, item_verbs, kind.verbs)
    for sub in kind.subresource_details:
        path = f"{item}/{sub.name}"
        gvk = {"group": sub.group, "version": sub.version, "kind": sub.kind}
        verbs = ("create", "get", "update", "patch", "delete")
        found[path] = _path_item(kind, path, verbs, sub.verbs, gvk)
    return found


def _path_item(
    kind: Kind,
    path: str,
    possible: Iterable[str],
    verbs: Iterable[str],
    gvk: Object | None = None,
) -> Object:
    served = set(verbs)
    in_path = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    return {
        **{
            _OPERATIONS[verb][0]: _operation(kind, verb, path, gvk)
            for verb in possible
            if verb in served
        },
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in in_path
        ],
    }


def _operation(kind: Kind, verb: str, path: str, gvk: Object | None) -> Object:
    _, action, parameters = _OPERATIONS[verb]
    own = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    spoken = gvk or own
    if spoken == own:
        type_name = _list_name(kind) if verb == "list" else _type_name(kind)
    else:
        type_name = _SUBRESOURCE_TYPES.get(spoken["kind"], _META + "Status")
    content: Object = {"schema": {"$ref": _SCHEMAS + type_name}}
    operation: Object = {
        "operationId": verb + "".join(part.title() for part in path.strip("/{}").split("/")),
        "parameters": [_parameter(name) for name in parameters],
        "responses": {"200": {"description": "OK", "content": {"application/json": content}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": spoken,
    }
    if verb == "patch":
        patch = {"schema": {"$ref": _SCHEMAS + _META + "Patch"}}
        types = [name for name in _PATCH_TYPES if not (kind.is_custom and "strategic" in name)]
        operation["requestBody"] = {"content": dict.fromkeys(types, patch), "required": True}
    elif verb in ("create", "update"):
        operation["requestBody"] = {"content": {"*/*": content}, "required": True}
    elif verb in ("delete", "deletecollection"):
        options = {"schema": {"$ref": f"{_SCHEMAS}{_META}DeleteOptions"}}
        operation["requestBody"] = {"content": {"*/*": options}}
    return operation


def _parameter(name: str) -> Object:
    kind = "boolean" if name in _BOOLEANS else "integer" if name in _INTEGERS else "string"
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}
