"""The policies of Kuma 2: each one a top targetRef and entries for what it rules."""

from serinus.lab.mesh.crds.definition import (
    Json,
    array,
    definition,
    free,
    integer,
    string,
    strings,
    struct,
)
from serinus.lab.mesh.crds.modification import modification

_TARGET_KINDS = (
    "Mesh",
    "MeshSubset",
    "MeshGateway",
    "MeshService",
    "MeshExternalService",
    "MeshMultiZoneService",
    "MeshServiceSubset",
    "MeshHTTPRoute",
    "Dataplane",
)
_HEADER_NAME = "^[a-z0-9!#$%&'*+\\-.^_\\x60|~]+$"


def _ref() -> Json:
    return struct(
        ["kind"],
        kind=string(*_TARGET_KINDS),
        labels=strings(),
        mesh=string(),
        name=string(),
        namespace=string(),
        proxyTypes=array(string("Sidecar", "Gateway")),
        sectionName=string(),
        tags=strings(),
    )


def _backend_ref() -> Json:
    ref = _ref()
    ref["properties"] |= {
        "port": integer(),
        "weight": {**integer(minimum=0), "default": 1},
    }
    return ref


def _mesh_column() -> list[Json]:
    return [
        {"name": "TargetRef Kind", "type": "string", "jsonPath": ".spec.targetRef.kind"},
        {"name": "TargetRef Name", "type": "string", "jsonPath": ".spec.targetRef.name"},
    ]


def _ruling(item: Json) -> Json:
    return struct(targetRef=_ref(), to=array(item))


def _header_modifier() -> Json:
    pair = struct(["name", "value"], name=string(pattern=_HEADER_NAME), value=string())
    return struct(
        set=array(pair, maxItems=16),
        add=array(pair, maxItems=16),
        remove=array(string(), maxItems=16),
    )


def _path_rewrite() -> Json:
    return struct(
        ["type"],
        type=string("ReplaceFullPath", "ReplacePrefixMatch"),
        replaceFullPath=string(),
        replacePrefixMatch=string(),
    )


def _filter() -> Json:
    return struct(
        ["type"],
        type=string(
            "RequestHeaderModifier",
            "ResponseHeaderModifier",
            "RequestRedirect",
            "URLRewrite",
            "RequestMirror",
        ),
        requestHeaderModifier=_header_modifier(),
        responseHeaderModifier=_header_modifier(),
        requestRedirect=struct(
            scheme=string("http", "https"),
            hostname=string(),
            port=integer(1, 65535),
            statusCode={**integer(), "enum": [301, 302, 303, 307, 308]},
            path=_path_rewrite(),
        ),
        urlRewrite=struct(
            hostname=string(),
            hostToBackendHostname={"type": "boolean"},
            path=_path_rewrite(),
        ),
        requestMirror=struct(
            ["backendRef"],
            backendRef=_backend_ref(),
            percentage={"x-kubernetes-int-or-string": True},
        ),
    )


def _match() -> Json:
    return struct(
        path=struct(
            ["type", "value"],
            type=string("Exact", "PathPrefix", "RegularExpression"),
            value={"type": "string", "minLength": 1},
        ),
        method=string(
            "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"
        ),
        headers=array(
            struct(
                ["name"],
                type={
                    **string("Exact", "Present", "RegularExpression", "Absent", "Prefix"),
                    "default": "Exact",
                },
                name={**string(pattern=_HEADER_NAME), "minLength": 1, "maxLength": 256},
                value=string(),
            )
        ),
        queryParams=array(
            struct(
                ["name", "type", "value"],
                type=string("Exact", "RegularExpression"),
                name={"type": "string", "minLength": 1},
                value=string(),
            )
        ),
    )


def _http_route() -> Json:
    rule = struct(
        ["default", "matches"],
        matches=array(_match(), minItems=1),
        default=struct(filters=array(_filter()), backendRefs=array(_backend_ref())),
    )
    to = struct(["targetRef"], targetRef=_ref(), hostnames=array(string()), rules=array(rule))
    return _ruling(to)


def _tcp_route() -> Json:
    rule = struct(["default"], default=struct(["backendRefs"], backendRefs=array(_backend_ref())))
    return _ruling(struct(["targetRef"], targetRef=_ref(), rules=array(rule, maxItems=1)))


def _timeout() -> Json:
    default = struct(
        connectionTimeout=string(),
        idleTimeout=string(),
        http=struct(
            requestTimeout=string(),
            streamIdleTimeout=string(),
            maxStreamDuration=string(),
            maxConnectionDuration=string(),
            requestHeadersTimeout=string(),
        ),
    )
    entry = struct(["targetRef"], targetRef=_ref(), default=default)
    spec = _ruling(entry)
    spec["properties"] |= {"from": array(entry), "rules": array(struct(default=default))}
    return spec


def _retry() -> Json:
    http = struct(
        numRetries=integer(),
        perTryTimeout=string(),
        backOff=struct(baseInterval=string(), maxInterval=string()),
        retryOn=array(string()),
        rateLimitedBackOff=free(),
        retriableRequestHeaders=array(free()),
        retriableResponseHeaders=array(free()),
        hostSelection=array(free()),
        hostSelectionMaxAttempts=integer(),
    )
    default = struct(http=http, grpc=free(), tcp=struct(maxConnectAttempt=integer()))
    return _ruling(struct(["targetRef"], targetRef=_ref(), default=default))


def _metric() -> Json:
    default = struct(
        sidecar=struct(
            includeUnused={"type": "boolean"},
            profiles=struct(
                appendProfiles=array(struct(["name"], name=string("All", "Basic", "None"))),
                exclude=array(free()),
                include=array(free()),
            ),
        ),
        backends=array(
            struct(
                ["type"],
                type=string("Prometheus", "OpenTelemetry"),
                prometheus=struct(
                    clientId=string(),
                    port=integer(),
                    path=string(),
                    tls=free(),
                ),
                openTelemetry=free(),
            )
        ),
        applications=array(free()),
    )
    return struct(targetRef=_ref(), default=default)


def policy_definitions() -> list[Json]:
    """The CustomResourceDefinitions of the policies that Kuma 2.14 has and the lab knows."""
    specs = {
        ("MeshHTTPRoute", "meshhttproutes", "mhttpr"): _http_route(),
        ("MeshTCPRoute", "meshtcproutes", "mtcpr"): _tcp_route(),
        ("MeshTimeout", "meshtimeouts", "mt"): _timeout(),
        ("MeshRetry", "meshretries", "mr"): _retry(),
        ("MeshMetric", "meshmetrics", "mm"): _metric(),
        ("MeshCircuitBreaker", "meshcircuitbreakers", "mcb"): free(),
        ("MeshProxyPatch", "meshproxypatches", "mpp"): struct(
            ["default"],
            targetRef=_ref(),
            default=struct(appendModifications=array(modification())),
        ),
        ("MeshTrafficPermission", "meshtrafficpermissions", "mtp"): free(),
    }
    return [
        definition(kind, plural, spec=spec, short=short, columns=_mesh_column())
        for (kind, plural, short), spec in specs.items()
    ]
