"""How much the canaries' counters grew: one question to Prometheus for many canaries at once.

They count what *reached the pods*: series of the pods' own sidecars (chosen by the service tag of
a Service in front of them), and of those only the inbound clusters. (Flagger's queries lack the
second, and so count the canary's calls to its dependencies too; they also go by the name of the
target where Kuma goes by the name of the Service.)
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serinus.analysis.verdict import Unavailable
from serinus.metrics.counters import increase
from serinus.metrics.prometheus import Prometheus, Series
from serinus.metrics.signals import SIGNALS, Selection, Service, Signals, World

LOOKBACK = 150.0
"""Seconds before the window in which a series' last value is searched: two and a half scrapes of
one a minute. A series that was not there counts from zero, as a new one does; that adds nothing
foreign, since the counters of a canary's pods know no other revision's requests."""


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

    @property
    def signals(self) -> Signals:
        """What requests are counted with there."""
        return SIGNALS[self.world]


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
    for selection in scope.signals.selections:
        missing = [service for service, found in counted.items() if not found.grown]
        if not missing:
            break
        selector = f"{metric}{{{selection.matchers(missing, scope.mesh)}}}"
        answer = await prometheus.instant(f"{selector}[{span}ms]", at=now)
        if isinstance(answer, Unavailable):
            return answer
        for service, series in _by_service(answer, selection, missing).items():
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
    answer: Iterable[Series], selection: Selection, services: Sequence[Service]
) -> dict[Service, list[Series]]:
    owner = selection.sorter(services)
    sorted_out: dict[Service, list[Series]] = {}
    for series in answer:
        service = owner(series.labels)
        if service is not None:
            sorted_out.setdefault(service, []).append(series)
    return sorted_out
