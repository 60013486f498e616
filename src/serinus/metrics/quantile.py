"""Quantiles from a histogram's buckets."""

import math
from collections.abc import Mapping


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """The value that ``share`` (0 to 1) of all observations do not exceed; None without any.

    ``buckets`` maps upper bounds, one of them infinite, to the number of observations up to there.
    As Prometheus' ``histogram_quantile`` does, it interpolates linearly inside a bucket, from zero
    in the first one, and gives the highest finite bound for what lies beyond it. Counts that
    decrease (buckets scraped mid-update) are lifted to the highest before them.
    """
    bounds = sorted(buckets)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return None
    counts: list[float] = []
    for bound in bounds:
        counts.append(max(buckets[bound], counts[-1] if counts else 0.0))
    total = counts[-1]
    if total <= 0:
        return None
    rank = share * total
    index = next(i for i, count in enumerate(counts) if count >= rank)
    if index == len(bounds) - 1:
        return bounds[-2]
    upper, count = bounds[index], counts[index]
    if index == 0:
        if upper <= 0:
            return upper
        lower, below = 0.0, 0.0
    else:
        lower, below = bounds[index - 1], counts[index - 1]
    inside = count - below
    return upper if inside <= 0 else lower + (upper - lower) * (rank - below) / inside
