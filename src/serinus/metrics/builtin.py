"""The two checks that need no query of the user's: success rate and duration, from the sidecars.

They count what *reached the canary's pods*: series of the pods' own sidecars (chosen by the
service tag of the ``-canary`` Service), and of those only the inbound clusters. (Flagger's queries
lack the second, and so count the canary's calls to its dependencies too; they also go by the name
of the target where Kuma goes by the name of the Service.)
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from serinus.analysis.verdict import Measurement, NoData, Unavailable, Value
from serinus.metrics.counters import increases
from serinus.metrics.prometheus import Prometheus, Series
from serinus.metrics.quantile import quantile

World = Literal["trafficroute", "meshservice"]
Name = Literal["request-success-rate", "request-duration"]

REQUESTS = "envoy_cluster_upstream_rq"
DURATIONS = "envoy_cluster_upstream_rq_time_bucket"
INBOUND = "localhost_.*|self_inbound_dp_.*"

LOOKBACK = "5m"
"""How far before the window a series' last value is searched. One that was not scraped for so
long counts from zero, as a new one does; that adds nothing foreign, since the counters of a
canary's pods know no other revision's requests."""

_SERVICE_LABELS: dict[World, tuple[str, ...]] = {
    # `service` comes from the scrape configuration that Kuma <= 2.8 installs, `kuma_io_service`
    # from any that maps the dataplane's tags.
    "trafficroute": ("service", "kuma_io_service"),
    "meshservice": ("kuma_io_service",),
}


@dataclass(frozen=True, slots=True)
class BuiltinQuery:
    """A built-in check of one canary over the last ``window_seconds``.

    ``canary_service`` and ``primary_service`` are the names of the Services in ``namespace``.
    ``world`` says how routes, and so labels, are made in this mesh. ``mesh`` tells meshes of one
    Prometheus apart; series without that label are taken too, for old scrape configurations do
    not set it.
    """

    name: Name
    namespace: str
    canary_service: str
    primary_service: str
    world: World
    window_seconds: float
    mesh: str = ""


@dataclass(frozen=True, slots=True)
class _Counted:
    """How much the series of one service grew; ``known`` tells whether there were any."""

    grown: list[tuple[Series, float]]
    known: bool

    @property
    def requests(self) -> float:
        return sum(grown for _, grown in self.grown)


async def measure(prometheus: Prometheus, query: BuiltinQuery) -> Measurement:
    """The success rate in percent (answers that are no 5xx), or the 99th percentile of the
    response time in milliseconds."""
    metric = REQUESTS if query.name == "request-success-rate" else DURATIONS
    counted = await _count(prometheus, query, metric, query.canary_service)
    if isinstance(counted, Unavailable):
        return counted
    if query.name == "request-success-rate":
        value = success_rate(counted.grown)
    else:
        value = quantile(0.99, buckets(counted.grown))
    if value is not None:
        return Value(value)
    return await _explain(prometheus, query, counted)


def success_rate(grown: Iterable[tuple[Series, float]]) -> float | None:
    """Percent of requests that were not answered with a 5xx; None without requests."""
    total = good = 0.0
    for series, requests in grown:
        total += requests
        if not series.labels.get("envoy_response_code", "").startswith("5"):
            good += requests
    return 100.0 * good / total if total > 0 else None


def buckets(grown: Iterable[tuple[Series, float]]) -> dict[float, float]:
    """The sum of all series' buckets by upper bound."""
    sums: dict[float, float] = defaultdict(float)
    for series, count in grown:
        bound = series.labels.get("le", "")
        sums[math.inf if bound == "+Inf" else float(bound)] += count
    return dict(sums)


async def _count(
    prometheus: Prometheus, query: BuiltinQuery, metric: str, service: str
) -> _Counted | Unavailable:
    window = f"{max(1, round(query.window_seconds * 1000))}ms"
    known = False
    for label in _SERVICE_LABELS[query.world]:
        selector = f"{metric}{{{_matchers(query, label, service)}}}"
        # This order: what Prometheus scrapes between the two questions is then in neither's past.
        before = await prometheus.instant(f"last_over_time({selector}[{LOOKBACK}] offset {window})")
        if isinstance(before, Unavailable):
            return before
        within = await prometheus.instant(f"{selector}[{window}]")
        if isinstance(within, Unavailable):
            return within
        if within:
            return _Counted(increases(within, before), True)
        known = known or bool(before)
    return _Counted([], known)


def _matchers(query: BuiltinQuery, label: str, service: str) -> str:
    tag = f"{_literal(service)}_{_literal(query.namespace)}_svc_[0-9a-zA-Z-]+"
    matchers = [f'{label}=~"{tag}"', f'envoy_cluster_name=~"{INBOUND}"']
    if query.mesh:
        matchers.append(f'mesh=~"|{_literal(query.mesh)}"')
    return ",".join(matchers)


def _literal(text: str) -> str:
    """``text`` as a regular expression inside a PromQL string."""
    escaped = re.sub(r"[^0-9A-Za-z_-]", lambda match: re.escape(match[0]), text)
    return escaped.replace("\\", "\\\\").replace('"', '\\"')


async def _explain(prometheus: Prometheus, query: BuiltinQuery, counted: _Counted) -> Measurement:
    """Why there is nothing to judge by; the primary's traffic tells the likely reasons apart."""
    canary = f"{query.canary_service}.{query.namespace}"
    primary = f"{query.primary_service}.{query.namespace}"
    window = _words(query.window_seconds)
    if counted.known and not counted.grown:
        return NoData(
            f"Prometheus has had no new samples of {canary} in the last {window}:"
            " are its sidecars still there and scraped?"
        )
    if query.name == "request-duration":
        own = await _count(prometheus, query, REQUESTS, query.canary_service)
        if isinstance(own, Unavailable):
            return own
        if own.requests > 0:
            return NoData(
                f"{own.requests:.0f} requests reached {canary} in the last {window}, but its"
                " sidecars have told no response times yet"
            )
    other = await _count(prometheus, query, REQUESTS, query.primary_service)
    if isinstance(other, Unavailable):
        return other
    if not counted.known and not other.known:
        return NoData(
            f"Prometheus has no series for {canary}, nor for {primary}: no request has reached"
            " them, or their sidecars are not scraped (does a MeshMetric, or the Mesh's metrics"
            " backend, expose them?)"
        )
    what = (
        f"no requests reached {canary} in the last {window}"
        if counted.known
        else f"Prometheus has no series for {canary}: no request has reached it yet"
    )
    return NoData(f"{what} ({other.requests:.0f} reached {primary})")


def _words(seconds: float) -> str:
    """A duration as people write it: 90s, 1m, 500ms."""
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
