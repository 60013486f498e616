"""The operator's own metrics, under Flagger's names.

What describes canaries is read from the caches when it is scraped, so a canary that is gone
leaves no series behind.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serinus import __version__
from serinus.api.canary import Canary, Phase
from serinus.rollout.strategy import strategy_of
from serinus.routing.providers import KUBERNETES

_RUNNING = frozenset(
    {
        Phase.INITIALIZING,
        Phase.WAITING,
        Phase.PROGRESSING,
        Phase.WAITING_PROMOTION,
        Phase.PROMOTING,
        Phase.FINALISING,
    }
)


class Telemetry:
    """One registry; ``canaries`` gives the ones that the cache holds.

    ``leads`` tells whether this operator is the one that acts; one that stands by tells nothing
    of the canaries, else sums over the replicas would count them twice.
    """

    def __init__(
        self,
        provider: str,
        canaries: Callable[[], Iterable[Canary]],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._provider = provider
        self.registry = CollectorRegistry()
        info = Gauge(
            "flagger_info",
            "What is running",
            ["version", "mesh_provider"],
            registry=self.registry,
        )
        info.labels(__version__, provider).set(1)
        self._durations = Histogram(
            "flagger_canary_duration_seconds",
            "Seconds that a tick took which took a step",
            ["name", "namespace"],
            registry=self.registry,
        )
        self._analysis = Gauge(
            "flagger_canary_metric_analysis",
            "Last value of each metric; request-duration in seconds",
            ["name", "namespace", "metric"],
            registry=self.registry,
        )
        self._successes = Counter(
            "flagger_canary_successes_total",
            "Promotions",
            ["name", "namespace", "deployment_strategy", "analysis_status"],
            registry=self.registry,
        )
        self._failures = Counter(
            "flagger_canary_failures_total",
            "Rollbacks",
            ["name", "namespace", "deployment_strategy", "analysis_status"],
            registry=self.registry,
        )
        leader = Gauge("serinus_leader", "1 if this operator acts", registry=self.registry)
        leader.set_function(lambda: float(leads()))
        self.registry.register(_Canaries(lambda: canaries() if leads() else ()))

    def stepped(self, canary: Canary, seconds: float) -> None:
        """A tick that took a step took ``seconds``."""
        self._durations.labels(canary.target_name, canary.namespace).observe(seconds)

    def measured(self, canary: Canary, metric: str, value: float) -> None:
        """A metric's value, in its own unit."""
        in_seconds = value / 1000 if metric == "request-duration" else value
        self._analysis.labels(canary.target_name, canary.namespace, metric).set(in_seconds)

    def ended(self, before: Phase, canary: Canary) -> None:
        """Count an end, when the canary has just come to one from phase ``before``."""
        phase = canary.status.phase
        if before == phase or before not in _RUNNING:
            return
        strategy = strategy_of(
            canary, splits=(canary.spec.provider or self._provider) != KUBERNETES
        ).value
        how = "skipped" if canary.spec.skip_analysis else "completed"
        labels = (canary.target_name, canary.namespace, strategy, how)
        if phase is Phase.SUCCEEDED:
            self._successes.labels(*labels).inc()
        elif phase is Phase.FAILED:
            self._failures.labels(*labels).inc()

    def forget(self, canary: Canary) -> None:
        """Drop the series of a canary that is gone."""
        labels = {"name": canary.target_name, "namespace": canary.namespace}
        for family in (self._durations, self._analysis, self._successes, self._failures):
            family.remove_by_labels(labels)


class _Canaries(Collector):
    """What the canaries' statuses say, at the moment of the scrape."""

    def __init__(self, canaries: Callable[[], Iterable[Canary]]) -> None:
        self._canaries = canaries

    def collect(self) -> Iterator[GaugeMetricFamily]:
        total = GaugeMetricFamily(
            "flagger_canary_total", "Canaries in each namespace", labels=["namespace"]
        )
        status = GaugeMetricFamily(
            "flagger_canary_status",
            "0 running, 1 at rest, 2 failed",
            labels=["name", "namespace"],
        )
        weight = GaugeMetricFamily(
            "flagger_canary_weight",
            "Percent of the traffic of each workload",
            labels=["workload", "namespace"],
        )
        canaries = list(self._canaries())
        for namespace, count in Tally(canary.namespace for canary in canaries).items():
            total.add_metric([namespace], count)
        for canary in canaries:
            phase = canary.status.phase
            state = 0 if phase in _RUNNING else 2 if phase is Phase.FAILED else 1
            share = canary.status.canary_weight
            status.add_metric([canary.target_name, canary.namespace], state)
            weight.add_metric([canary.primary_name, canary.namespace], 100 - share)
            weight.add_metric([canary.target_name, canary.namespace], share)
        yield from (total, status, weight)
