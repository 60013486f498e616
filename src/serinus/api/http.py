"""HTTP routing in a canary's service: matches, retries, rewrites, headers, gateways, CORS."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api.fields import GROUP, KIND, LABEL, SUBDOMAIN, Int32, at_most_one_of, doc, one_of
from serinus.api.resource import Resource

_ALTERNATIVES = at_most_one_of("exact", "prefix", "regex")


class StringMatch(Resource, frozen=True, kw_only=True):
    """A condition on a piece of text in a request."""

    exact: Annotated[str | None, doc("The text is exactly this.")] = None
    prefix: Annotated[str | None, doc("The text starts with this.")] = None
    regex: Annotated[str | None, doc("The whole text matches this RE2 expression.")] = None


class HttpMatch(Resource, frozen=True, kw_only=True):
    """The conditions under which a request takes the route; all must hold."""

    authority: Annotated[
        StringMatch | None, doc("Condition on the authority.", oneOf=_ALTERNATIVES)
    ] = None
    gateways: Annotated[
        tuple[Annotated[str, doc("Name of a gateway.")], ...],
        doc("Gateways that the condition is for."),
    ] = ()
    headers: Annotated[
        Mapping[str, Annotated[StringMatch, doc("Condition on this header.", oneOf=_ALTERNATIVES)]],
        doc("Conditions on headers, by lower-case name."),
    ] = field(default_factory=dict)
    ignore_uri_case: Annotated[bool, doc("Whether upper and lower case in the URI match.")] = False
    method: Annotated[
        StringMatch | None, doc("Condition on the HTTP method.", oneOf=_ALTERNATIVES)
    ] = None
    name: Annotated[str, doc("Name of this entry, for logs.")] = ""
    port: Annotated[int | None, doc("Port that the request is for.")] = None
    query_params: Annotated[
        Mapping[
            str, Annotated[StringMatch, doc("Condition on this parameter.", oneOf=_ALTERNATIVES)]
        ],
        doc("Conditions on query parameters, by name."),
    ] = field(default_factory=dict)
    scheme: Annotated[
        StringMatch | None, doc("Condition on the URI's scheme.", oneOf=_ALTERNATIVES)
    ] = None
    source_labels: Annotated[
        Mapping[str, Annotated[str, doc("The label's value.")]],
        doc("Labels that the calling pod must carry."),
    ] = field(default_factory=dict)
    source_namespace: Annotated[str, doc("Namespace that the calling pod must be in.")] = ""
    uri: Annotated[StringMatch | None, doc("Condition on the path.", oneOf=_ALTERNATIVES)] = None
    without_headers: Annotated[
        Mapping[
            str,
            Annotated[StringMatch, doc("Condition that must not hold.", oneOf=_ALTERNATIVES)],
        ],
        doc("Conditions on headers that must not hold, by lower-case name."),
    ] = field(default_factory=dict)


class HttpRetries(Resource, frozen=True, kw_only=True):
    """How failed requests are tried again."""

    attempts: Annotated[Int32 | None, doc("How often a request is tried again.")] = None
    per_try_timeout: Annotated[str, doc("How long one try may take.")] = ""
    retry_on: Annotated[str, doc("Failures that are tried again, by Envoy's names.")] = ""


class HttpRewrite(Resource, frozen=True, kw_only=True):
    """How a request is changed on its way."""

    uri: Annotated[str, doc("New path, or new prefix of it.")] = ""
    authority: Annotated[str, doc("New authority.")] = ""
    type: Annotated[str, doc("How the path is rewritten: by prefix or in full.")] = ""


class BackendRef(Resource, frozen=True, kw_only=True):
    """A backend of the Gateway API."""

    group: Annotated[
        str, doc("API group of the backend.", default="", maxLength=253, pattern=GROUP)
    ] = ""
    kind: Annotated[
        str,
        doc("Kind of the backend.", default="Service", minLength=1, maxLength=63, pattern=KIND),
    ] = "Service"
    name: Annotated[str, doc("Name of the backend.", minLength=1, maxLength=253)]
    namespace: Annotated[
        str,
        doc("Namespace of the backend.", minLength=1, maxLength=63, pattern=LABEL),
    ] = ""
    port: Annotated[Int32 | None, doc("Port of the backend.", minimum=1, maximum=65535)] = None


class HttpMirror(Resource, frozen=True, kw_only=True):
    """A receiver of copies of every request."""

    backend_ref: Annotated[
        BackendRef | None,
        doc(
            "Backend that gets the copies.",
            **{
                "x-kubernetes-validations": [
                    {
                        "message": "Must have port for Service reference",
                        "rule": "(size(self.group) == 0 && self.kind == 'Service')"
                        " ? has(self.port) : true",
                    }
                ]
            },
        ),
    ] = None


class HeaderOperations(Resource, frozen=True, kw_only=True):
    """Changes to a set of headers."""

    add: Annotated[
        Mapping[str, Annotated[str, doc("Value to append.")]],
        doc("Values to append, by header name."),
    ] = field(default_factory=dict)
    remove: Annotated[
        tuple[Annotated[str, doc("Name of a header.")], ...], doc("Headers to take away.")
    ] = ()
    set: Annotated[
        Mapping[str, Annotated[str, doc("Value to write.")]],
        doc("Values to write over what is there, by header name."),
    ] = field(default_factory=dict)


class HeaderRules(Resource, frozen=True, kw_only=True):
    """How headers are changed on their way."""

    request: Annotated[HeaderOperations | None, doc("Changes to a request's headers.")] = None
    response: Annotated[HeaderOperations | None, doc("Changes to a response's headers.")] = None


class GatewayRef(Resource, frozen=True, kw_only=True):
    """A parent that a route of the Gateway API is bound to."""

    group: Annotated[
        str,
        doc(
            "API group of the parent.",
            default="gateway.networking.k8s.io",
            maxLength=253,
            pattern=GROUP,
        ),
    ] = "gateway.networking.k8s.io"
    kind: Annotated[
        str,
        doc("Kind of the parent.", default="Gateway", minLength=1, maxLength=63, pattern=KIND),
    ] = "Gateway"
    name: Annotated[str, doc("Name of the parent.", minLength=1, maxLength=253)]
    namespace: Annotated[
        str, doc("Namespace of the parent.", minLength=1, maxLength=63, pattern=LABEL)
    ] = ""
    section_name: Annotated[
        str,
        doc("Listener or port of the parent.", minLength=1, maxLength=253, pattern=SUBDOMAIN),
    ] = ""
    port: Annotated[Int32 | None, doc("Port of the parent.", minimum=1, maximum=65535)] = None


class OriginMatch(Resource, frozen=True, kw_only=True):
    """A condition on the origin of a page."""

    exact: Annotated[str | None, doc("The origin is exactly this.")] = None
    prefix: Annotated[str | None, doc("The origin starts with this.")] = None
    regex: Annotated[str | None, doc("The whole origin matches this RE2 expression.")] = None


class CorsPolicy(Resource, frozen=True, kw_only=True):
    """Which pages of other origins may call."""

    allow_credentials: Annotated[bool, doc("Whether such a page may send credentials.")] = False
    allow_headers: Annotated[
        tuple[Annotated[str, doc("Name of a header.")], ...], doc("Headers it may send.")
    ] = ()
    allow_methods: Annotated[
        tuple[Annotated[str, doc("An HTTP method.")], ...], doc("Methods it may use.")
    ] = ()
    allow_origin: Annotated[
        tuple[Annotated[str, doc("An origin.")], ...], doc("Origins that may call, exactly.")
    ] = ()
    allow_origins: Annotated[
        tuple[
            Annotated[
                OriginMatch,
                doc("One way to match.", oneOf=one_of("exact", "prefix", "regex")),
            ],
            ...,
        ],
        doc("Origins that may call, by pattern."),
    ] = ()
    expose_headers: Annotated[
        tuple[Annotated[str, doc("Name of a header.")], ...], doc("Headers it may read.")
    ] = ()
    max_age: Annotated[str, doc("How long the answer to a preflight may be kept.")] = ""
