"""Axes that several figures share."""

import math

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from resnet_lesson import figures


def log_axis(ax, low, high, zero=False):
    """Give an axis a logarithmic scale from 10^low to 10^high, and a strip for 0 if ``zero``.

    May be called again on the same axis, with other bounds.

    Returns:
        The height at which a value of exactly zero is drawn; it has the tick label "0".
    """
    step = next(step for step in (1, 2, 5, 10, 20) if (high - low) / step <= 6)
    gap = (high - low) * 0.09
    place, bottom = 10.0 ** (low - gap), 10.0 ** (low - 1.7 * gap * zero)
    for patch in [patch for patch in ax.patches if patch.get_gid() == "zero"]:
        patch.remove()
    ax.set_yscale("log")
    ax.set_ylim(bottom, 10.0 ** high)
    if zero:
        top = 10.0 ** (low - 0.35 * gap)
        ax.add_patch(Rectangle((0, bottom), 1, top - bottom, color=figures.GREY, alpha=0.25,
                               linewidth=0, transform=ax.get_yaxis_transform(), gid="zero"))
    exponents = range(math.ceil(low / step) * step, high + 1, step)
    ax.yaxis.set_major_locator(FixedLocator([place] * zero + [10.0 ** e for e in exponents]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_yticklabels(["0"] * zero + ["1" if e == 0 else f"$10^{{{e}}}$" for e in exponents])
    return place


def bounds(values, low=-3, high=3):
    """Return whole exponents (low, high) between which all positive values lie, at least these."""
    exponents = [math.log10(value) for value in values if 0 < value < math.inf]
    return (min([low, *map(math.floor, exponents)]), max([high, *map(math.ceil, exponents)]))


def above(values, zero):
    """Return values as an array for a ``log_axis``: exact zeros at their strip, not missing."""
    values = np.asarray(values, float)
    return np.where(values == 0, zero, values)
