"""How a canary is judged: the `analysis` of its spec."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import field

from serinus.api import duration
from serinus.api.fields import DURATION, Whole, at_most_one_of, doc, one_of
from serinus.api.resource import Resource

DEFAULT_INTERVAL = 60.0
"""Seconds between two checks when the canary does not say (readably) how many."""


class HeaderMatch(Resource, frozen=True, kw_only=True):
    """A condition on the value of a request's header."""

    exact: Annotated[str | None, doc("The value is exactly this.")] = None
    prefix: Annotated[str | None, doc("The value starts with this.")] = None
    suffix: Annotated[str | None, doc("The value ends with this.")] = None
    regex: Annotated[str | None, doc("The whole value matches this RE2 expression.")] = None


class QueryMatch(Resource, frozen=True, kw_only=True):
    """A condition on the value of a query parameter."""

    exact: Annotated[str | None, doc("The value is exactly this.")] = None
    prefix: Annotated[str | None, doc("The value starts with this.")] = None
    regex: Annotated[str | None, doc("The whole value matches this RE2 expression.")] = None


class TrafficMatch(Resource, frozen=True, kw_only=True):
    """The requests that an A/B test sends to the canary."""

    headers: Annotated[
        Mapping[
            str,
            Annotated[
                HeaderMatch,
                doc(
                    "Condition on this header.",
                    oneOf=one_of("exact", "prefix", "suffix", "regex"),
                ),
            ],
        ],
        doc("Conditions on headers, by header name; all must hold."),
    ] = field(default_factory=dict)
    query_params: Annotated[
        Mapping[
            str,
            Annotated[
                QueryMatch,
                doc(
                    "Condition on this parameter.",
                    oneOf=at_most_one_of("exact", "prefix", "regex"),
                ),
            ],
        ],
        doc("Conditions on query parameters, by name; all must hold."),
    ] = field(default_factory=dict)
    source_labels: Annotated[
        Mapping[str, Annotated[str, doc("The label's value.")]],
        doc("Labels that the calling pod must carry; Kuma cannot match them, and says so."),
    ] = field(default_factory=dict)


class ThresholdRange(Resource, frozen=True, kw_only=True):
    """The range in which a metric is good; both ends are good too."""

    min: Annotated[float | None, doc("A lower value fails the check.")] = None
    max: Annotated[float | None, doc("A higher value fails the check.")] = None


class CrossNamespaceRef(Resource, frozen=True, kw_only=True):
    """Another resource by name; its namespace is the canary's unless given."""

    name: Annotated[str, doc("Name of the resource.")]
    namespace: Annotated[str, doc("Its namespace; the canary's own when empty.")] = ""


class Metric(Resource, frozen=True, kw_only=True):
    """One number that is asked for in every check, and the bounds that it must keep."""

    name: Annotated[
        str,
        doc("request-success-rate, request-duration, or a name of your own for a custom query."),
    ]
    interval: Annotated[
        str, doc("Time window that the metric looks back over; 1m when empty.", pattern=DURATION)
    ] = ""
    threshold: Annotated[
        float | None,
        doc(
            "Bound of the good values: the lowest percentage for request-success-rate, the highest"
            " value for every other metric. thresholdRange says the same more clearly."
        ),
    ] = None
    threshold_range: Annotated[
        ThresholdRange | None, doc("The good values, from min to max; wins over threshold.")
    ] = None
    query: Annotated[
        str, doc("PromQL query, a Go template; not beside a templateRef, which can be shared.")
    ] = ""
    template_ref: Annotated[
        CrossNamespaceRef | None, doc("MetricTemplate that holds the provider and the query.")
    ] = None
    template_variables: Annotated[
        Mapping[str, Annotated[str, doc("The variable's value.")]],
        doc("What {{ variables.NAME }} in the query stands for, by name."),
    ] = field(default_factory=dict)

    @property
    def interval_or_default(self) -> str:
        """The time window as it is written, "1m" when none is."""
        return self.interval or "1m"


WEBHOOK_TYPES = (
    "",
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-promotion",
    "post-rollout",
    "event",
    "rollback",
    "confirm-traffic-increase",
)


class Webhook(Resource, frozen=True, kw_only=True):
    """An HTTP service that is asked, or told, at one point of the rollout."""

    name: Annotated[str, doc("Name that events use for this webhook.")]
    url: Annotated[str, doc("Address that gets the POST request, http or https.")]
    type: Annotated[
        str,
        doc(
            "When it is called, and what its answer decides; rollout when empty.",
            enum=list(WEBHOOK_TYPES),
        ),
    ] = ""
    timeout: Annotated[
        str, doc("How long to wait for an answer to one try; 10s when empty.", pattern=DURATION)
    ] = ""
    retries: Annotated[
        Whole, doc("How often a call is repeated when it fails, with growing pauses from 1s on.")
    ] = 0
    disable_tls: Annotated[bool, doc("Whether the server's certificate goes unverified.")] = field(
        name="disableTLS", default=False
    )
    mute_alert: Annotated[
        bool, doc("Whether this gate (confirm-*) waits without sending an alert.")
    ] = False
    metadata: Annotated[
        Mapping[str, Annotated[str, doc("The entry's value.")]],
        doc("Text entries that are sent along in the payload."),
    ] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The type, with its default spelled out."""
        return self.type or "rollout"

    @property
    def timeout_seconds(self) -> float:
        """Seconds to wait for an answer; 10 when not given or not readable as positive time."""
        try:
            wanted = duration.seconds(self.timeout)
        except ValueError:
            return 10.0
        return wanted if wanted > 0 else 10.0


class Alert(Resource, frozen=True, kw_only=True):
    """Where to send a message about this canary, and from which severity on."""

    name: Annotated[str, doc("Name of the alert.")]
    provider_ref: Annotated[CrossNamespaceRef, doc("AlertProvider that delivers the message.")]
    severity: Annotated[
        str,
        doc(
            "Lowest severity that is sent; info, which is everything, when empty.",
            enum=["", "info", "warn", "error"],
        ),
    ] = ""


class SessionAffinity(Resource, frozen=True, kw_only=True):
    """A cookie that keeps a caller on the version that first served it."""

    cookie_name: Annotated[
        str, doc("Name of the cookie that keeps callers of the canary there; takes MeshHTTPRoutes.")
    ]
    primary_cookie_name: Annotated[
        str, doc("Name of the cookie for callers of the primary; must differ from cookieName.")
    ] = ""
    domain: Annotated[str, doc("Domain attribute of the cookie.")] = ""
    http_only: Annotated[bool, doc("Whether scripts in a page cannot read the cookie.")] = False
    max_age: Annotated[Whole, doc("Seconds that the cookie is good for.", default=86400)] = 86400
    partitioned: Annotated[bool, doc("Partitioned attribute of the cookie.")] = False
    path: Annotated[str, doc("Path attribute of the cookie.")] = ""
    same_site: Annotated[
        str, doc("SameSite attribute of the cookie.", enum=["Strict", "Lax", "None"])
    ] = ""
    secure: Annotated[bool, doc("Whether the cookie is sent over HTTPS only.")] = False


class Analysis(Resource, frozen=True, kw_only=True):
    """The pace of a rollout and what it is judged by.

    Exactly one of ``iterations``, ``step_weight`` and ``step_weights`` is given.
    """

    interval: Annotated[
        str,
        doc(
            "Time between two checks; 60s when empty, and at least the operator's minimum of 10s.",
            pattern=DURATION,
        ),
    ] = ""
    threshold: Annotated[
        Whole, doc("Failed checks after which the canary is rolled back; 1 when 0.")
    ] = 0
    iterations: Annotated[
        Whole | None,
        doc("Checks to pass in a blue/green rollout or, with match, in an A/B test; from 1."),
    ] = None
    max_weight: Annotated[
        Whole,
        doc("Percent of traffic up to which the canary is stepped before promotion; 100 when 0."),
    ] = 0
    step_weight: Annotated[
        Whole | None,
        doc("Percent of traffic that each passed check adds to the canary; from 1 to 100."),
    ] = None
    step_weights: Annotated[
        tuple[Annotated[Whole, doc("Percent of traffic.")], ...] | None,
        doc(
            "The canary's percent of traffic after each passed check, ascending; the last is the"
            " highest, whatever maxWeight says."
        ),
    ] = None
    step_weight_promotion: Annotated[
        Whole,
        doc("Percent by which traffic returns to the promoted primary; all at once when 0."),
    ] = 0
    mirror: Annotated[
        bool,
        doc(
            "Whether requests are copied to the canary, which answers nobody, before any are sent."
        ),
    ] = False
    mirror_weight: Annotated[
        Whole, doc("Percent of the requests that are copied; all of them when 0.")
    ] = 0
    primary_ready_threshold: Annotated[
        Whole | None, doc("Percent of the primary's pods that must be available; 100 by default.")
    ] = None
    canary_ready_threshold: Annotated[
        Whole | None, doc("Percent of the canary's pods that must be available; 100 by default.")
    ] = None
    match: Annotated[
        tuple[Annotated[TrafficMatch, doc("One way for a request to match.")], ...],
        doc(
            "Requests that an A/B test sends to the canary: those that any of the entries matches."
        ),
    ] = ()
    metrics: Annotated[
        tuple[Annotated[Metric, doc("One number and its bounds.")], ...],
        doc("What every check measures; each has to be within its bounds."),
    ] = ()
    alerts: Annotated[
        tuple[Annotated[Alert, doc("One receiver.")], ...],
        doc("Who is told about this canary, instead of the operator's own Slack or Teams."),
    ] = ()
    webhooks: Annotated[
        tuple[Annotated[Webhook, doc("One webhook.")], ...],
        doc("HTTP services that are asked or told during the rollout."),
    ] = ()
    session_affinity: Annotated[
        SessionAffinity | None,
        doc("Cookie that keeps a caller on one version, for rollouts by weights."),
    ] = None

    def interval_seconds(self, minimum: float) -> float:
        """Seconds between two checks: 60 when empty or not readable, never below ``minimum``."""
        try:
            wanted = duration.seconds(self.interval)
        except ValueError:
            wanted = DEFAULT_INTERVAL
        return max(wanted, minimum)

    @property
    def threshold_or_default(self) -> int:
        """Failed checks that end the rollout, at least 1."""
        return max(self.threshold, 1)

    @property
    def max_weight_or_default(self) -> int:
        """The canary's percent of traffic at which it is promoted.

        It is the last of ``step_weights`` where they are given, else ``max_weight``, else 100.
        """
        if self.step_weights:
            return min(100, self.step_weights[-1])
        return self.max_weight or 100

    @property
    def primary_ready_threshold_or_default(self) -> int:
        """Percent of the primary's pods that must be available."""
        return 100 if self.primary_ready_threshold is None else self.primary_ready_threshold

    @property
    def canary_ready_threshold_or_default(self) -> int:
        """Percent of the canary's pods that must be available."""
        return 100 if self.canary_ready_threshold is None else self.canary_ready_threshold
