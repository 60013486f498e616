"""The two checks that need no query of the user's: success rate and duration, from the sidecars."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from serinus.analysis.verdict import Measurement, Unavailable, Value
from serinus.api import duration
from serinus.api.canary import Canary, Metric
from serinus.metrics.absence import explain
from serinus.metrics.counting import Counted, Scope, count
from serinus.metrics.prometheus import Prometheus, Series
from serinus.metrics.quantile import quantile
from serinus.metrics.signals import Service, Signals, World

Name = Literal["request-success-rate", "request-duration"]

CALLERS_VIEW = "as its callers' sidecars count: Prometheus has no series of its own"


@dataclass(frozen=True, slots=True)
class BuiltinQuery:
    """A built-in check of one canary."""

    name: Name
    scope: Scope
    canary: Service
    primary: Service


def builtin_query(canary: Canary, metric: Metric, world: World) -> BuiltinQuery:
    """The question about this canary that the metric, which has a built-in name, is. Raises
    ValueError for an interval that is no duration."""
    name: Name = "request-duration" if metric.name == "request-duration" else "request-success-rate"
    home, target, primary = canary.namespace, canary.target_name, canary.primary_name
    window = duration.seconds(metric.interval_or_default)
    if world == "kubernetes":
        scope = Scope(world, "", window)
        return BuiltinQuery(
            name, scope, Service(target, home, target), Service(primary, home, primary)
        )
    return BuiltinQuery(
        name,
        Scope(world, canary.mesh, window),
        Service(canary.canary_service, home, target),
        Service(canary.primary_service, home, primary),
    )


async def measure(prometheus: Prometheus, query: BuiltinQuery) -> Measurement:
    """The success rate in percent (answers that are no 5xx), or the 99th percentile of the
    response time in milliseconds."""
    measured = await measure_all(prometheus, [query])
    return measured[query]


async def measure_all(
    prometheus: Prometheus, queries: Sequence[BuiltinQuery]
) -> dict[BuiltinQuery, Measurement]:
    """The same for many canaries, whose queries share their name and scope: the questions to
    Prometheus are as many as for one."""
    name, scope = queries[0].name, queries[0].scope
    signals = scope.signals
    timed = name == "request-duration"
    metric = signals.durations if timed else signals.requests
    counted = await count(prometheus, scope, metric, [query.canary for query in queries])
    if isinstance(counted, Unavailable):
        return dict.fromkeys(queries, counted)
    measured: dict[BuiltinQuery, Measurement] = {}
    silent: list[BuiltinQuery] = []
    for query in queries:
        value = _value(name, signals, counted[query.canary])
        if value is None:
            silent.append(query)
        else:
            view = CALLERS_VIEW if counted[query.canary].by_callers else ""
            measured[query] = Value(value, view)
    if silent:
        pairs = {query.canary: query.primary for query in silent}
        reasons = await explain(prometheus, scope, pairs, counted, timed=timed)
        measured |= {query: reasons[query.canary] for query in silent}
    return measured


def _value(name: Name, signals: Signals, counted: Counted) -> float | None:
    if name == "request-success-rate":
        return success_rate(counted.grown, signals.code)
    found = quantile(0.99, buckets(counted.grown))
    return None if found is None else found * signals.milliseconds


def success_rate(grown: Iterable[tuple[Series, float]], code: str) -> float | None:
    """Percent of requests that were not answered with a 5xx, by the label ``code``; None without
    requests."""
    total = good = 0.0
    for series, requests in grown:
        total += requests
        if not series.labels.get(code, "").startswith("5"):
            good += requests
    return 100.0 * good / total if total > 0 else None


def buckets(grown: Iterable[tuple[Series, float]]) -> dict[float, float]:
    """The sum of all series' buckets by upper bound."""
    sums: dict[float, float] = defaultdict(float)
    for series, requests in grown:
        bound = series.labels.get("le", "")
        sums[math.inf if bound == "+Inf" else float(bound)] += requests
    return dict(sums)
