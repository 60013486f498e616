"""How much counters grew in a window, from their raw samples.

PromQL's ``increase`` and ``rate`` extrapolate to the window's edges and drop what a series counted
before its first sample. Envoy makes a series with the first request that it counts, so they would
drop a canary's first errors. Here every request counts once, in the window of the first sample
that shows it; windows that follow on one another add up.
"""

from collections.abc import Iterable

from serinus.metrics.prometheus import Sample


def increase(samples: Iterable[Sample], before: float | None) -> float:
    """How much one counter grew over ``samples``, which come in order of time.

    ``before`` is its last value ahead of them; None means that it was not there, and so began at
    zero. A value that falls is a counter that was reset, and began at zero again.
    """
    grown, last = 0.0, before or 0.0
    for sample in samples:
        grown += sample.value - last if sample.value >= last else sample.value
        last = sample.value
    return grown
