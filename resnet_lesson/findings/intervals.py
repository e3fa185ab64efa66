"""Intervals around what was measured: of a mean over seeds, and of a share of pictures."""

import math
import statistics
from functools import lru_cache
from typing import NamedTuple

LEVEL = 0.95


class Interval(NamedTuple):
    """A 95 % interval around ``middle``, from ``count`` values."""

    low: float
    middle: float
    high: float
    count: int

    @property
    def verdict(self):
        """Return ``"above"`` or ``"below"`` 0, ``"tie"`` (0 lies inside), or ``"unknown"``."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return "unknown"
        return "above" if self.low > 0 else "below" if self.high < 0 else "tie"


@lru_cache(maxsize=256)
def quantile(count, level=LEVEL):
    """Return how many standard errors a two-sided t interval of ``count`` values reaches."""
    from scipy.special import stdtrit  # scipy.stats has it too, and takes seconds to import

    return float(stdtrit(count - 1, (1 + level) / 2))


def t_interval(values):
    """Return the 95 % t interval of the mean of some values (Student 1908).

    One value alone says nothing about its spread: its interval is the whole line. So is that of
    values some of which are no numbers.

    Raises:
        ValueError: no value at all.
    """
    values = [float(value) for value in values]
    if not values:
        raise ValueError("t_interval needs at least one value, got none")
    middle, count = statistics.fmean(values), len(values)
    if count == 1 or not math.isfinite(middle):
        return Interval(-math.inf, middle, math.inf, count)
    half = quantile(count) * statistics.stdev(values) / math.sqrt(count)
    return Interval(middle - half, middle, middle + half, count)


def wilson(hits, total):
    """Return the 95 % interval of a share, ``hits`` of ``total`` (Wilson 1927).

    Of a share of nothing nothing is known: its interval goes from 0 to 1 around nan.

    Raises:
        ValueError: ``hits`` does not lie between 0 and ``total``.
    """
    if not 0 <= hits <= total:
        raise ValueError(f"wilson needs 0 ≤ hits ≤ total, got {hits} of {total}")
    if total == 0:
        return Interval(0.0, math.nan, 1.0, 0)
    z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, shrink = hits / total, 1 + z ** 2 / total
    center = (share + z ** 2 / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z ** 2 / (4 * total ** 2))
    return Interval(max(center - half, 0.0), share, min(center + half, 1.0), total)
