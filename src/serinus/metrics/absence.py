"""Why there is nothing to judge a canary by; other series tell the likely reasons apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from serinus.analysis.verdict import NoData, Unavailable
from serinus.metrics.counting import Counted, Scope, count
from serinus.metrics.presence import Sidecars, look_for, nothing
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.signals import Service


async def explain(
    prometheus: Prometheus,
    scope: Scope,
    primaries: Mapping[Service, Service],
    counted: Mapping[Service, Counted],
    *,
    timed: bool,
) -> dict[Service, NoData | Unavailable]:
    """A reason for each canary in ``primaries`` (canary to primary).

    ``counted`` is what was found of the canaries; ``timed`` tells that response times were
    looked for, so that the requests themselves may yet be there.
    """
    others = await count(
        prometheus,
        scope,
        scope.signals.requests,
        [*primaries.values(), *(primaries if timed else ())],
    )
    if isinstance(others, Unavailable):
        return dict.fromkeys(primaries, others)
    sides = {
        canary: _Sides(
            scope,
            canary,
            primary,
            counted[canary],
            others[primary],
            others[canary] if timed else None,
        )
        for canary, primary in primaries.items()
    }
    sidecars = None
    unknown = [canary for canary, side in sides.items() if not side.canary.known]
    if scope.signals.meshed and unknown:
        seen = await look_for(prometheus, scope, [*unknown, *(primaries[one] for one in unknown)])
        if isinstance(seen, Unavailable):
            return dict.fromkeys(primaries, seen)
        sidecars = seen
    return {canary: NoData(side.reason(sidecars)) for canary, side in sides.items()}


@dataclass(frozen=True, slots=True)
class _Sides:
    """What was counted of a canary, its primary, and, where times were looked for, of the
    canary's requests."""

    scope: Scope
    name: Service
    other: Service
    canary: Counted
    primary: Counted
    untimed: Counted | None

    @property
    def _window(self) -> str:
        return _words(self.scope.window_seconds)

    def reason(self, sidecars: Sidecars | None) -> str:
        """In words for a person, with the remedy where there is one."""
        name, tellers = self.name, self.scope.signals.tellers
        if self.untimed is not None and self.untimed.total > 0:
            return self._without_times(sidecars)
        if self.canary.known and not self.canary.grown:
            return (
                f"Prometheus has had no new samples of {name} in the last {self._window}:"
                f" are its {tellers} still there and scraped?"
            )
        if self.canary.known:
            return (
                f"no requests reached {name} in the last {self._window}"
                f" ({self.primary.total:.0f} reached {self.other})"
            )
        return self._of_sidecars(sidecars) if sidecars is not None else self._of_pods()

    def _without_times(self, sidecars: Sidecars | None) -> str:
        assert self.untimed is not None
        signals = self.scope.signals
        told = (
            f"{self.untimed.total:.0f} requests reached {self.name} in the last {self._window},"
            f" but its {signals.tellers} have told no response times yet"
        )
        if sidecars is None or sidecars.mesh.durations:
            return told
        return (
            f"{told}, nor has any other of mesh {self.scope.mesh}: Envoy tells times up to 5s after"
            f" the requests; if it never does, see that no MeshMetric excludes {signals.durations}"
        )

    def _of_sidecars(self, sidecars: Sidecars) -> str:
        """No series of the canary's requests, in a mesh."""
        name, other, mesh = self.name, self.other, self.scope.mesh
        metric = self.scope.signals.requests
        if not sidecars.mesh.sidecars:
            return nothing(mesh)
        connections = sidecars.connections.get(name)
        if connections is None and (self.primary.known or other in sidecars.connections):
            return (
                f"Prometheus has series of the sidecars of {other}, but none of those of {name}:"
                " do its pods have sidecars, and are they scraped?"
            )
        if connections is None:
            return (
                f"Prometheus has series of sidecars of mesh {mesh}, but none of {name} and {other}:"
                " their pods have no sidecars (is the namespace labelled"
                " kuma.io/sidecar-injection: enabled?), are not scraped, a MeshMetric for them"
                " drops everything, or their series carry neither kuma_io_service (Kuma 2) nor"
                " namespace and pod, which relabelling in the scrape configuration adds (Kuma 3)"
            )
        if connections > 0 and not self.primary.known:
            return (
                f"{connections:.0f} connections reached {name}, but none of its sidecars tells"
                f" {metric}: is its protocol HTTP (set appProtocol: http in the Canary's"
                " spec.service), and does no MeshMetric exclude that series?"
            )
        if not sidecars.mesh.requests:
            return (
                f"no sidecar of mesh {mesh} tells {metric}: there has been no request yet, or the"
                " profile or an exclude of a MeshMetric drops it"
            )
        return (
            f"Prometheus has no series for {name}: no request has reached it yet"
            f" ({self.primary.total:.0f} reached {other})"
        )

    def _of_pods(self) -> str:
        """No series of the canary's requests, in plain Kubernetes."""
        metric, code = self.scope.signals.requests, self.scope.signals.code
        if self.primary.known:
            return (
                f"Prometheus has no series for {self.name}: no request has reached it yet"
                f" ({self.primary.total:.0f} reached {self.other})"
            )
        return (
            f"Prometheus has no series for {self.name}, nor for {self.other}: no request has"
            " reached them, or their pods are not scraped (do they export"
            f" {metric.removesuffix('_count')}, with the label {code}?)"
        )


def _words(seconds: float) -> str:
    """A duration as people write it: 90s, 1m, 500ms."""
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
