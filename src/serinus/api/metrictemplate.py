"""The MetricTemplate: a query against a metrics provider, to be shared between canaries."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api.fields import doc
from serinus.api.meta import ObjectMeta, SecretRef
from serinus.api.resource import Resource

PROVIDERS = (
    "prometheus",
    "influxdb",
    "datadog",
    "externalmetrics",
    "stackdriver",
    "cloudwatch",
    "newrelic",
    "graphite",
    "dynatrace",
    "keptn",
    "splunk",
)


class MetricProvider(Resource, frozen=True, kw_only=True):
    """The server that is asked."""

    type: Annotated[
        str,
        doc("Kind of the metrics server; of these only prometheus is asked.", enum=list(PROVIDERS)),
    ]
    address: Annotated[str, doc("Address of the server, http or https; needed.")] = ""
    headers: Annotated[
        Mapping[
            str,
            Annotated[tuple[Annotated[str, doc("One value.")], ...], doc("The header's values.")],
        ],
        doc("Headers that are sent along, by name."),
    ] = field(default_factory=dict)
    secret_ref: Annotated[
        SecretRef | None,
        doc("Secret of the template's namespace, with a token, or a username and a password."),
    ] = None
    region: Annotated[
        str, doc("Region of the server, for cloud providers; prometheus has none.")
    ] = ""
    insecure_skip_verify: Annotated[
        bool, doc("Whether the server's certificate goes unverified.")
    ] = False


class MetricTemplateSpec(Resource, frozen=True, kw_only=True):
    """Whom to ask, and what."""

    provider: Annotated[MetricProvider, doc("Server that is asked.")]
    query: Annotated[str, doc("Query in the server's language, a Go text/template.")]


class MetricTemplate(Resource, frozen=True, kw_only=True):
    """The resource as the API server keeps it."""

    api_version: str = "flagger.app/v1beta1"
    kind: str = "MetricTemplate"
    metadata: ObjectMeta
    spec: MetricTemplateSpec
