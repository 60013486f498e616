"""How much the canaries' counters grew: one question to Prometheus for many canaries at once.

They count what *reached the pods*: series of the pods' own sidecars, and of those only the inbound
clusters. (Flagger's queries lack the second, and so count the canary's calls to its dependencies
too; they also go by the name of the target where Kuma goes by the name of the Service.) What the
callers' sidecars count is asked only where the pods' own have no series at all, and never added to
it: it is the same requests, less those that a retry has hidden.
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

    ``world`` says what counts requests there, ``mesh`` (empty where there is none) whose.
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

    ``known`` tells whether there were any series at all, ``grown`` those with samples in it;
    ``by_callers`` that they are the callers' series, and not those of the service's own pods.
    """

    grown: tuple[tuple[Series, float], ...] = ()
    known: bool = False
    by_callers: bool = False

    @property
    def total(self) -> float:
        """The sum over all series."""
        return sum(grown for _, grown in self.grown)


async def count(
    prometheus: Prometheus, scope: Scope, metric: str, services: Iterable[Service]
) -> dict[Service, Counted] | Unavailable:
    """Ask about all services at once; the answer for each is as if it had been asked alone."""
    counted = dict.fromkeys(services, Counted())
    now = time.time()
    span = round((scope.window_seconds + LOOKBACK) * 1000)
    signals = scope.signals
    for selection in signals.selections:
        missing = [
            service
            for service, found in counted.items()
            if not (found.known if selection.of_callers else found.grown)
        ]
        if not missing:
            break
        selector = f"{metric}{{{signals.matchers(selection, missing, scope.mesh)}}}"
        answer = await prometheus.instant(f"{selector}[{span}ms]", at=now)
        if isinstance(answer, Unavailable):
            return answer
        for service, series in _by_service(answer, selection, missing).items():
            grown = _grown(series, now - scope.window_seconds)
            counted[service] = Counted(grown, known=True, by_callers=selection.of_callers)
    return counted


def _grown(series: Sequence[Series], begin: float) -> tuple[tuple[Series, float], ...]:
    """The increments since ``begin``, given samples that go back further."""
    grown = []
    for one in series:
        before = [sample.value for sample in one.samples if sample.at <= begin]
        within = [sample for sample in one.samples if sample.at > begin]
        if within:
            grown.append((one, increase(within, before[-1] if before else None)))
    return tuple(grown)


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
