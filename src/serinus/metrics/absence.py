"""Why there is nothing to judge a canary by; other series tell the likely reasons apart."""

from collections.abc import Mapping

from serinus.analysis.verdict import NoData, Unavailable
from serinus.metrics.counting import Counted, Scope, count
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
    return {
        canary: NoData(
            _reason(
                scope,
                (canary, counted[canary]),
                (primary, others[primary]),
                _requests(others[canary]) if timed else 0.0,
            )
        )
        for canary, primary in primaries.items()
    }


def _reason(
    scope: Scope,
    canary: tuple[Service, Counted],
    primary: tuple[Service, Counted],
    untimed: float,
) -> str:
    name, counted = canary
    other, others = primary
    window = _words(scope.window_seconds)
    tellers = scope.signals.tellers
    if counted.known and not counted.grown:
        return (
            f"Prometheus has had no new samples of {name} in the last {window}:"
            f" are its {tellers} still there and scraped?"
        )
    if untimed > 0:
        return (
            f"{untimed:.0f} requests reached {name} in the last {window}, but its"
            f" {tellers} have told no response times yet"
        )
    if not counted.known and not others.known:
        return (
            f"Prometheus has no series for {name}, nor for {other}: no request has reached"
            f" them, or their {tellers} are not scraped ({scope.signals.remedy})"
        )
    what = (
        f"no requests reached {name} in the last {window}"
        if counted.known
        else f"Prometheus has no series for {name}: no request has reached it yet"
    )
    return f"{what} ({_requests(others):.0f} reached {other})"


def _requests(counted: Counted) -> float:
    return sum(grown for _, grown in counted.grown)


def _words(seconds: float) -> str:
    """A duration as people write it: 90s, 1m, 500ms."""
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
