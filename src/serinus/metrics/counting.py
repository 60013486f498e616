"""How much the canaries' counters grew: one question to Prometheus for many canaries at once.

They count what *reached the pods*: series of the pods' own sidecars (chosen by the service tag of
a Service in front of them), and of those only the inbound clusters. (Flagger's queries lack the
second, and so count the canary's calls to its dependencies too; they also go by the name of the
target where Kuma goes by the name of the Service.)
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from serinus.analysis.verdict import Unavailable
from serinus.metrics.counters import increase
from serinus.metrics.prometheus import Prometheus, Series

World = Literal["trafficroute", "meshservice"]

REQUESTS = "envoy_cluster_upstream_rq"
DURATIONS = "envoy_cluster_upstream_rq_time_bucket"
INBOUND = "localhost_.*|self_inbound_dp_.*"

LOOKBACK = 150.0
"""Seconds before the window in which a series' last value is searched: two and a half scrapes of
one a minute. A series that was not there counts from zero, as a new one does; that adds nothing
foreign, since the counters of a canary's pods know no other revision's requests."""

_SERVICE_LABELS: Mapping[World, tuple[str, ...]] = {
    # `service` comes from the scrape configuration that Kuma <= 2.8 installs, `kuma_io_service`
    # from any that maps the dataplane's tags.
    "trafficroute": ("service", "kuma_io_service"),
    "meshservice": ("kuma_io_service",),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What canaries must have in common to be asked about in one question.

    ``world`` says how routes, and so labels, are made in this mesh. ``mesh`` tells meshes of one
    Prometheus apart; series without that label are taken too, for old scrape configurations do
    not set it.
    """

    world: World
    mesh: str
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Service:
    """A Service in front of pods: the ``-canary`` one or the ``-primary`` one."""

    name: str
    namespace: str

    @property
    def tag(self) -> str:
        """How Kuma's tag of any of its ports begins."""
        return f"{self.name}_{self.namespace}_svc_"

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class Counted:
    """How much the series of one service grew in the window.

    ``known`` tells whether there were any series at all, ``grown`` those with samples in it.
    """

    grown: tuple[tuple[Series, float], ...] = ()
    known: bool = False


async def count(
    prometheus: Prometheus, scope: Scope, metric: str, services: Iterable[Service]
) -> dict[Service, Counted] | Unavailable:
    """Ask about all services at once; the answer for each is as if it had been asked alone."""
    counted = dict.fromkeys(services, Counted())
    now = time.time()
    span = round((scope.window_seconds + LOOKBACK) * 1000)
    for label in _SERVICE_LABELS[scope.world]:
        missing = [service for service, found in counted.items() if not found.grown]
        if not missing:
            break
        selector = f"{metric}{{{_matchers(scope, label, missing)}}}"
        answer = await prometheus.instant(f"{selector}[{span}ms]", at=now)
        if isinstance(answer, Unavailable):
            return answer
        for service, series in _by_service(answer, label, missing).items():
            counted[service] = _counted(series, now - scope.window_seconds)
    return counted


def _counted(series: Sequence[Series], begin: float) -> Counted:
    """The increments since ``begin``, given samples that go back further."""
    grown = []
    for one in series:
        before = [sample.value for sample in one.samples if sample.at <= begin]
        within = [sample for sample in one.samples if sample.at > begin]
        if within:
            grown.append((one, increase(within, before[-1] if before else None)))
    return Counted(tuple(grown), known=True)


def _by_service(
    answer: Iterable[Series], label: str, services: Sequence[Service]
) -> dict[Service, list[Series]]:
    by_tag = {service.tag: service for service in services}
    sorted_out: dict[Service, list[Series]] = {}
    for series in answer:
        head, _, _ = series.labels.get(label, "").rpartition("_")
        service = by_tag.get(f"{head}_")
        if service is not None:
            sorted_out.setdefault(service, []).append(series)
    return sorted_out


def _matchers(scope: Scope, label: str, services: Sequence[Service]) -> str:
    tags = "|".join(_literal(service.tag) for service in services)
    tags = f"(?:{tags})" if len(services) > 1 else tags
    matchers = [f'{label}=~"{tags}[0-9a-zA-Z-]+"', f'envoy_cluster_name=~"{INBOUND}"']
    if scope.mesh:
        matchers.append(f'mesh=~"|{_literal(scope.mesh)}"')
    return ",".join(matchers)


def _literal(text: str) -> str:
    """``text`` as a regular expression inside a PromQL string."""
    escaped = re.sub(r"[^0-9A-Za-z_-]", lambda match: re.escape(match[0]), text)
    return escaped.replace("\\", "\\\\").replace('"', '\\"')
