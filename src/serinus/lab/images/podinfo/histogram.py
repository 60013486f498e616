"""podinfo's own metrics in Prometheus' text format: request counts and durations."""

from bisect import bisect_left
from collections import Counter

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds."""

Labels = tuple[str, str, str]
"""Method, route and status of a request."""


class RequestMetrics:
    """Counts every request; `exposition` is what a scrape reads."""

    def __init__(self) -> None:
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._totals: Counter[str] = Counter()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. ``route`` is a pattern, so that series stay few."""
        labels = (method, route, str(status))
        buckets = self._buckets.setdefault(labels, [0] * (len(BOUNDS) + 1))
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds
        self._totals[labels[2]] += 1

    def exposition(self) -> str:
        """The metrics as text."""
        name = "http_request_duration_seconds"
        lines = [
            f"# HELP {name} Seconds spent serving HTTP requests.",
            f"# TYPE {name} histogram",
        ]
        for labels, buckets in self._buckets.items():
            method, route, status = labels
            text = f'method="{method}",path="{route}",status="{status}"'
            count = 0
            for bound, hits in zip((*BOUNDS, "+Inf"), buckets, strict=True):
                count += hits
                lines.append(f'{name}_bucket{{{text},le="{bound}"}} {count}')
            lines.append(f"{name}_sum{{{text}}} {self._sums[labels]}")
            lines.append(f"{name}_count{{{text}}} {count}")
        lines.append("# HELP http_requests_total The total number of HTTP requests.")
        lines.append("# TYPE http_requests_total counter")
        lines.extend(
            f'http_requests_total{{status="{status}"}} {count}'
            for status, count in self._totals.items()
        )
        return "\n".join(lines) + "\n"
