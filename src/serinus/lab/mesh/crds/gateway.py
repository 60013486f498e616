"""The Gateway API's kinds that a mesh reads, at v1 and as its standard channel has them.

Written from the public API. HTTPRoute's fields, enums, bounds, patterns and defaults are those of
Gateway API 1.4; its rules in CEL, which the lab's API server does not evaluate, are not there.
"""

from serinus.lab.mesh.crds.definition import Json, array, free, integer, string, struct

GROUP = "gateway.networking.k8s.io"

_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_GROUP_NAME = f"^$|^{_DNS}$"
_HOST = rf"^(\*\.)?{_DNS}$"
_KIND = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_TOKEN = "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$"
_DURATION = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_CONDITION = rf"^({_DNS}/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
_REASON = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_CONTROLLER = rf"^{_DNS}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def gateway_definitions() -> list[Json]:
    """The CustomResourceDefinitions of HTTPRoute and ReferenceGrant."""
    return [
        _definition(
            "HTTPRoute",
            "httproutes",
            "v1",
            struct(["spec"], spec=_http_route(), status=_route_status()),
            columns=[{"name": "Hostnames", "type": "string", "jsonPath": ".spec.hostnames"}],
        ),
        _definition("ReferenceGrant", "referencegrants", "v1beta1", struct(spec=_grant())),
    ]


def _definition(
    kind: str, plural: str, version: str, parts: Json, columns: list[Json] | None = None
) -> Json:
    for field in ("apiVersion", "kind"):
        parts["properties"][field] = {"type": "string"}
    parts["properties"]["metadata"] = {"type": "object"}
    served: Json = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": parts},
    }
    if "status" in parts["properties"]:
        served["subresources"] = {"status": {}}
    if columns:
        served["additionalPrinterColumns"] = columns
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "annotations": {
                # Names in that group are the project's own; this is how an API server lets them in.
                "api-approved.kubernetes.io": "unapproved, a stand-in for tests",
            },
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "categories": ["gateway-api"],
            },
            "scope": "Namespaced",
            "versions": [served],
        },
    }


def _http_route() -> Json:
    duration = string(pattern=_DURATION)
    everything = [{"path": {"type": "PathPrefix", "value": "/"}}]
    rule = struct(
        name={**_text(1, 253), "pattern": f"^{_DNS}$"},
        matches={**array(_match(), maxItems=64), "default": everything},
        filters=array(_filter(), maxItems=16),
        backendRefs=array(_weighted(), maxItems=16),
        timeouts=struct(request=duration, backendRequest=duration),
    )
    return struct(
        parentRefs=array(_parent_ref(), maxItems=32),
        hostnames=array({**_text(1, 253), "pattern": _HOST}, maxItems=16),
        rules={**array(rule, maxItems=16), "default": [{"matches": everything}]},
    )


def _parent_ref() -> Json:
    return struct(
        ["name"],
        group={**string(pattern=_GROUP_NAME), "maxLength": 253, "default": GROUP},
        kind={**_text(1, 63), "pattern": _KIND, "default": "Gateway"},
        namespace={**_text(1, 63), "pattern": _LABEL},
        name=_text(1, 253),
        sectionName={**_text(1, 253), "pattern": f"^{_DNS}$"},
        port=integer(1, 65535),
    )


def _backend() -> Json:
    return struct(
        ["name"],
        group={**string(pattern=_GROUP_NAME), "maxLength": 253, "default": ""},
        kind={**_text(1, 63), "pattern": _KIND, "default": "Service"},
        name=_text(1, 253),
        namespace={**_text(1, 63), "pattern": _LABEL},
        port=integer(1, 65535),
    )


def _weighted() -> Json:
    backend = _backend()
    backend["properties"] |= {
        "weight": {**integer(0, 1_000_000), "default": 1},
        "filters": array(_filter(), maxItems=16),
    }
    return backend


def _match() -> Json:
    def condition(longest: int) -> Json:
        return struct(
            ["name", "value"],
            type={**string("Exact", "RegularExpression"), "default": "Exact"},
            name={**_text(1, 256), "pattern": _TOKEN},
            value=_text(1, longest),
        )

    path = struct(
        type={**string("Exact", "PathPrefix", "RegularExpression"), "default": "PathPrefix"},
        value={"type": "string", "maxLength": 1024, "default": "/"},
    )
    return struct(
        path={**path, "default": {"type": "PathPrefix", "value": "/"}},
        headers=_by_name(condition(4096)),
        queryParams=_by_name(condition(1024)),
        method=string(*_METHODS),
    )


def _filter() -> Json:
    pair = struct(
        ["name", "value"], name={**_text(1, 256), "pattern": _TOKEN}, value=_text(1, 4096)
    )
    modifier = struct(
        set=_by_name(pair),
        add=_by_name(pair),
        remove={**array(string(), maxItems=16), "x-kubernetes-list-type": "set"},
    )
    path = struct(
        ["type"],
        type=string("ReplaceFullPath", "ReplacePrefixMatch"),
        replaceFullPath={"type": "string", "maxLength": 1024},
        replacePrefixMatch={"type": "string", "maxLength": 1024},
    )
    host = {**_text(1, 253), "pattern": f"^{_DNS}$"}
    return struct(
        ["type"],
        type=string(
            *("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror"),
            *("RequestRedirect", "URLRewrite", "ExtensionRef"),
        ),
        requestHeaderModifier=modifier,
        responseHeaderModifier=modifier,
        requestMirror=struct(
            ["backendRef"],
            backendRef=_backend(),
            percent=integer(0, 100),
            fraction=struct(
                ["numerator"],
                numerator=integer(0),
                denominator={**integer(1), "default": 100},
            ),
        ),
        requestRedirect=struct(
            scheme=string("http", "https"),
            hostname=host,
            path=path,
            port=integer(1, 65535),
            statusCode={"type": "integer", "enum": [301, 302], "default": 302},
        ),
        urlRewrite=struct(hostname=host, path=path),
        extensionRef=struct(
            ["group", "kind", "name"],
            group={**string(pattern=_GROUP_NAME), "maxLength": 253},
            kind={**_text(1, 63), "pattern": _KIND},
            name=_text(1, 253),
        ),
    )


def _by_name(item: Json) -> Json:
    return {
        **array(item, maxItems=16),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }


def _route_status() -> Json:
    condition = struct(
        ["type", "status", "lastTransitionTime", "reason", "message"],
        type={"type": "string", "maxLength": 316, "pattern": _CONDITION},
        status=string("True", "False", "Unknown"),
        observedGeneration={"type": "integer", "format": "int64", "minimum": 0},
        lastTransitionTime={"type": "string", "format": "date-time"},
        reason={**_text(1, 1024), "pattern": _REASON},
        message={"type": "string", "maxLength": 32768},
    )
    parent = struct(
        ["parentRef", "controllerName", "conditions"],
        parentRef=_parent_ref(),
        controllerName={**_text(1, 253), "pattern": _CONTROLLER},
        conditions={
            **array(condition, minItems=1, maxItems=8),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    return struct(["parents"], parents=array(parent, maxItems=32))


def _grant() -> Json:
    return {"type": "object", "properties": {"from": array(free()), "to": array(free())}}


def _text(shortest: int, longest: int) -> Json:
    return {"type": "string", "minLength": shortest, "maxLength": longest}
