"""The interval of a proportion: so many of so many samples."""

from __future__ import annotations

import math

from edgekd.bench.statistics import Interval

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(share: float, count: int) -> Interval:
    """95 % interval of a proportion (Wilson 1927, JASA 22, eq. for z = 1.96).

    Args:
        share: the fraction that was seen.
        count: of how many samples.

    Raises:
        ValueError: if `share` is no fraction or there are no samples.
    """
    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"want a fraction of at least one sample, got {share} of {count}")
    z2 = NORMAL_95**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
