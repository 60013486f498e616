"""HTTPRoutes with a Service for a parent (GAMMA), as Kuma translates them to MeshHTTPRoutes.

One MeshHTTPRoute in the control plane's namespace for each route and Service. Where they are of
one namespace it is for all callers, else for those of the route's namespace only.

What is left out on the way, as in Kuma: host names, timeouts, filters of single backends, the
percentage of a mirror, and whatever a parent of another kind is about.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serinus.lab.mesh import names
from serinus.lab.mesh.model import Obj, mesh_of
from serinus.lab.mesh.versions import DEFAULT_MESH, SYSTEM_NAMESPACE, ZONE, KumaVersion

Json = dict[str, Any]

CONTROLLER = "gateways.kuma.io/controller"
OWNER = "gateways.kuma.io/gateway.networking.k8s.io-owner"
"""Label of what was made from a route: which one."""

_NAMESPACE = "k8s.kuma.io/namespace"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a translation depends on beside the route: Services by namespace and name, the
    namespaces by name, and the ReferenceGrants."""

    services: Mapping[tuple[str, str], Obj]
    namespaces: Mapping[str, Obj]
    grants: Sequence[Obj] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """The MeshHTTPRoutes of an HTTPRoute, and its ``status.parents`` but for the times."""

    routes: tuple[Json, ...]
    parents: tuple[Json, ...]


def owner(route: Obj) -> str:
    """The value of the label `OWNER` for what is made from ``route``."""
    meta = route["metadata"]
    text = f"{meta['namespace']}/{meta['name']}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def translate(version: KumaVersion, route: Obj, cluster: Cluster) -> Translation:
    """What Kuma makes of ``route``."""
    meta, spec = route["metadata"], route["spec"]
    resolved = next(_unresolved(version, route, cluster), ("", ""))
    rules = [_rule(version, meta["namespace"], rule, cluster) for rule in spec.get("rules") or ()]
    routes: dict[str, Json] = {}
    parents: list[Json] = []
    for ref in spec.get("parentRefs") or ():
        if (ref.get("group"), ref.get("kind")) != ("", "Service"):
            continue
        key = (ref.get("namespace") or meta["namespace"], ref["name"])
        service = cluster.services.get(key)
        ports = [] if service is None else _ports(service, ref.get("port"))
        accepted = ("", "")
        if not ports:
            accepted = ("NoMatchingParent", f'there is no Service "{key[0]}/{key[1]}" of that port')
        conditions = [
            _condition(meta, "Accepted", *accepted),
            _condition(meta, "ResolvedRefs", *resolved),
        ]
        parents.append({"parentRef": ref, "controllerName": CONTROLLER, "conditions": conditions})
        to = [{"targetRef": _target(version, key, port), "rules": rules} for port in ports]
        name = f"{meta['name']}-{meta['namespace']}-{key[1]}.{key[0]}"
        if name in routes:
            routes[name]["spec"]["to"] += to
        elif to:
            routes[name] = _mesh_http_route(version, name, route, key[0], to, cluster)
    return Translation(tuple(routes.values()), tuple(parents))


def _mesh_http_route(
    version: KumaVersion,
    name: str,
    route: Obj,
    service_namespace: str,
    to: list[Json],
    cluster: Cluster,
) -> Json:
    own = route["metadata"]["namespace"]
    callers: Json = {"kind": "Mesh"}
    if own != service_namespace and version.targets_by_name:
        callers = {"kind": "MeshSubset", "tags": {_NAMESPACE: own}}
    elif own != service_namespace:
        callers = {"kind": "Dataplane", "labels": {_NAMESPACE: own}}
    said = (mesh_of(version, one) for one in (route, cluster.namespaces.get(own)) if one)
    mesh = next(filter(None, said), DEFAULT_MESH)
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshHTTPRoute",
        "metadata": {
            "name": name,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {"kuma.io/mesh": mesh, OWNER: owner(route)},
        },
        "spec": {"targetRef": callers, "to": to},
    }


def _ports(service: Obj, wanted: int | None) -> list[Json]:
    ports = list(service["spec"].get("ports") or ())
    return [port for port in ports if wanted in (None, port["port"])]


def _target(version: KumaVersion, key: tuple[str, str], port: Obj) -> Json:
    namespace, name = key
    if version.targets_by_name:
        return {"kind": "MeshService", "name": names.service_tag(name, namespace, port["port"])}
    return _labelled(namespace, name, port.get("name") or str(port["port"]))


def _labelled(namespace: str, name: str, section: str) -> Json:
    labels = {"kuma.io/display-name": name, _NAMESPACE: namespace}
    return {"kind": "MeshService", "labels": labels, "sectionName": section}


def _backend(version: KumaVersion, namespace: str, ref: Obj, cluster: Cluster) -> Json:
    """A reference to a Service as a backend. One that is not there leads nowhere by itself."""
    key = (ref.get("namespace") or namespace, ref["name"])
    number = ref.get("port", 0)
    if version.targets_by_name:
        tag = names.service_tag(key[1], key[0], number)
        return {"kind": "MeshServiceSubset", "name": tag, "tags": {"kuma.io/zone": ZONE}}
    service = cluster.services.get(key)
    found = [] if service is None else _ports(service, number)
    section = found[0].get("name") if found else None
    return _labelled(*key, section or str(number))


def _rule(version: KumaVersion, namespace: str, rule: Obj, cluster: Cluster) -> Json:
    default: Json = {
        "backendRefs": [
            {**_backend(version, namespace, ref, cluster), "weight": ref.get("weight", 1)}
            for ref in rule.get("backendRefs") or ()
        ]
    }
    filters = [
        made
        for one in rule.get("filters") or ()
        if (made := _filter(version, namespace, one, cluster))
    ]
    if filters:
        default["filters"] = filters
    return {"matches": [_match(match) for match in rule.get("matches") or ()], "default": default}


def _match(match: Obj) -> Json:
    path = dict(match["path"])
    if path["type"] == "PathPrefix" and path["value"] != "/":
        path["value"] = path["value"].removesuffix("/")
    found: Json = {"path": path}
    if headers := match.get("headers"):
        found["headers"] = [{**header, "name": header["name"].lower()} for header in headers]
    if query := match.get("queryParams"):
        found["queryParams"] = [dict(one) for one in query]
    if method := match.get("method"):
        found["method"] = method
    return found


def _filter(version: KumaVersion, namespace: str, one: Obj, cluster: Cluster) -> Json | None:
    kind = one["type"]
    field = {
        "RequestHeaderModifier": "requestHeaderModifier",
        "ResponseHeaderModifier": "responseHeaderModifier",
        "RequestRedirect": "requestRedirect",
        "URLRewrite": "urlRewrite",
        "RequestMirror": "requestMirror",
    }.get(kind)
    if field is None:
        return None
    said = dict(one.get(field) or {})
    match kind:
        case "RequestHeaderModifier" | "ResponseHeaderModifier":
            for part in ("set", "add"):
                if part in said:
                    said[part] = [{**pair, "name": pair["name"].lower()} for pair in said[part]]
        case "RequestMirror":
            ref = _backend(version, namespace, said["backendRef"], cluster)
            said = {"backendRef": {**ref, "weight": 1}}
        case "RequestRedirect":
            port = {"http": 80, "https": 443}.get(said.get("scheme", ""))
            said = ({"port": port} if port else {}) | said
    return {"type": kind, field: said}


def _unresolved(version: KumaVersion, route: Obj, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Reason and message for each backend that is none."""
    own = route["metadata"]["namespace"]
    for rule in route["spec"].get("rules") or ():
        for ref in rule.get("backendRefs") or ():
            namespace = ref.get("namespace") or own
            where = f"{namespace}/{ref['name']}"
            if (ref.get("group", ""), ref.get("kind", "Service")) != ("", "Service"):
                yield "InvalidKind", "backend reference must be Service"
            elif (namespace, ref["name"]) not in cluster.services:
                yield "BackendNotFound", f'there is no Service "{where}" for a backend reference'
            elif not version.targets_by_name and not _granted(own, namespace, ref, cluster):
                yield "RefNotPermitted", f'no ReferenceGrant allows a reference to "{where}"'


def _granted(own: str, namespace: str, ref: Obj, cluster: Cluster) -> bool:
    return namespace == own or any(
        grant["metadata"]["namespace"] == namespace
        and any(
            (one.get("kind"), one.get("namespace")) == ("HTTPRoute", own)
            for one in grant["spec"].get("from") or ()
        )
        and any(
            one.get("kind") == "Service" and one.get("name") in (None, "", ref["name"])
            for one in grant["spec"].get("to") or ()
        )
        for grant in cluster.grants
    )


def _condition(meta: Obj, kind: str, reason: str, message: str) -> Json:
    """A condition that holds, or does not for that reason."""
    return {
        "type": kind,
        "status": "False" if reason else "True",
        "observedGeneration": meta.get("generation", 0),
        "reason": reason or kind,
        "message": message,
    }
