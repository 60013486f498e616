"""The policies since Kuma 2: each one a top targetRef and entries for what it rules."""

from dataclasses import dataclass

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
from serinus.lab.mesh.versions import KumaVersion

_HEADER_NAME = "^[a-z0-9!#$%&'*+\\-.^_\\x60|~]+$"


@dataclass(frozen=True, slots=True)
class _References:
    """How one version's policies refer to what they are for, and to where requests go."""

    version: KumaVersion

    def ref(self) -> Json:
        """A `targetRef`."""
        return struct(["kind"], kind=string(*self._kinds()), **self._fields())

    def backend_ref(self) -> Json:
        """An entry of `backendRefs`, and a mirror's `backendRef`."""
        ref = self.ref()
        ref["properties"] |= {
            "port": integer(),
            "weight": {**integer(minimum=0), "default": 1},
        }
        return ref

    def _kinds(self) -> list[str]:
        kinds = ["Mesh", "MeshService", "MeshExternalService", "MeshHTTPRoute"]
        if self.version.targets_by_name:
            kinds += ["MeshSubset", "MeshGateway", "MeshServiceSubset"]
        if self.version.targets_by_labels:
            kinds += ["MeshMultiZoneService", "Dataplane"]
        return kinds

    def _fields(self) -> Json:
        by_name = {
            "mesh": string(),
            "name": string(),
            "proxyTypes": array(string("Sidecar", "Gateway")),
            "tags": strings(),
        }
        by_labels = {"labels": strings(), "sectionName": string()}
        both = {"namespace": string()}
        fields: Json = {}
        if self.version.targets_by_name:
            fields |= by_name
        if self.version.targets_by_labels:
            fields |= by_labels
        if self.version.targets_by_name and self.version.targets_by_labels:
            fields |= both
        return fields


def _columns(version: KumaVersion) -> list[Json]:
    shown = ["Kind", "Name"] if version.targets_by_name else ["Kind"]
    return [
        {
            "name": f"TargetRef {field}",
            "type": "string",
            "jsonPath": f".spec.targetRef.{field.lower()}",
        }
        for field in shown
    ]


def _ruling(refs: _References, item: Json) -> Json:
    return struct(targetRef=refs.ref(), to=array(item))


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


def _filter(refs: _References) -> Json:
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
            backendRef=refs.backend_ref(),
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


def _http_route(refs: _References) -> Json:
    rule = struct(
        ["default", "matches"],
        matches=array(_match(), minItems=1),
        default=struct(filters=array(_filter(refs)), backendRefs=array(refs.backend_ref())),
    )
    to = struct(["targetRef"], targetRef=refs.ref(), hostnames=array(string()), rules=array(rule))
    return _ruling(refs, to)


def _tcp_route(refs: _References) -> Json:
    rule = struct(
        ["default"], default=struct(["backendRefs"], backendRefs=array(refs.backend_ref()))
    )
    return _ruling(refs, struct(["targetRef"], targetRef=refs.ref(), rules=array(rule, maxItems=1)))


def _timeout(refs: _References) -> Json:
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
    entry = struct(["targetRef"], targetRef=refs.ref(), default=default)
    spec = _ruling(refs, entry)
    if refs.version.targets_by_name:
        spec["properties"]["from"] = array(entry)
    if refs.version.targets_by_labels:
        spec["properties"]["rules"] = array(struct(default=default))
    return spec


def _retry(refs: _References) -> Json:
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
    return _ruling(refs, struct(["targetRef"], targetRef=refs.ref(), default=default))


def _metric(refs: _References) -> Json:
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
    return struct(targetRef=refs.ref(), default=default)


def policy_definitions(version: KumaVersion) -> list[Json]:
    """The CustomResourceDefinitions of the policies that this Kuma has and the lab knows."""
    refs = _References(version)
    specs = {
        ("MeshHTTPRoute", "meshhttproutes", "mhttpr"): _http_route(refs),
        ("MeshTCPRoute", "meshtcproutes", "mtcpr"): _tcp_route(refs),
        ("MeshTimeout", "meshtimeouts", "mt"): _timeout(refs),
        ("MeshRetry", "meshretries", "mr"): _retry(refs),
        ("MeshMetric", "meshmetrics", "mm"): _metric(refs),
        ("MeshCircuitBreaker", "meshcircuitbreakers", "mcb"): free(),
        ("MeshProxyPatch", "meshproxypatches", "mpp"): struct(
            ["default"],
            targetRef=refs.ref(),
            default=struct(appendModifications=array(modification())),
        ),
        ("MeshTrafficPermission", "meshtrafficpermissions", "mtp"): free(),
    }
    return [
        definition(kind, plural, spec=spec, short=short, columns=_columns(version))
        for (kind, plural, short), spec in specs.items()
    ]
