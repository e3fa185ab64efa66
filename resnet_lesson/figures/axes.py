"""What several figures and panels draw on their axes."""

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
    exponents = range(math.ceil(low / step) * step, high + 1, step)
    ticks = [10.0 ** exponent for exponent in exponents]
    labels = ["1" if exponent == 0 else f"$10^{{{exponent}}}$" for exponent in exponents]
    gap = (high - low) * 0.09
    place, bottom = 10.0 ** (low - gap), 10.0 ** low
    for patch in [patch for patch in ax.patches if patch.get_gid() == "zero"]:
        patch.remove()
    ax.set_yscale("log")
    if zero:
        bottom, top = 10.0 ** (low - 1.7 * gap), 10.0 ** (low - 0.35 * gap)
        ticks, labels = [place, *ticks], ["0", *labels]
        ax.add_patch(Rectangle((0, bottom), 1, top - bottom, color=figures.GREY, alpha=0.25,
                               zorder=0.2, linewidth=0, gid="zero",
                               transform=ax.get_yaxis_transform()))
    ax.set_ylim(bottom, 10.0 ** high)
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_yticklabels(labels)
    return place


def bounds(values, low=-3, high=3):
    """Return whole exponents (low, high) between which all positive values lie, at least these."""
    exponents = [math.log10(value) for value in values if 0 < value < math.inf]
    return min([low, *map(math.floor, exponents)]), max([high, *map(math.ceil, exponents)])


def above(values, zero):
    """Return values as an array for a ``log_axis``: exact zeros at their strip, not missing."""
    values = np.asarray(values, float)
    return np.where(values == 0, zero, values)


def band(ax, x, low, middle, high, *, color, alpha=0.25, **line):
    """Draw a line over a band from ``low`` to ``high``; ``line`` are options of ``plot``."""
    ax.fill_between(x, low, high, color=color, alpha=alpha, linewidth=0)
    ax.plot(x, middle, color=color, **line)


def dots_and_bars(ax, places, intervals, *, color, marker="o", upright=True, **look):
    """Draw each ``Interval`` at its place: a bar from end to end, and a dot at its middle."""
    low, middle, high = ([getattr(interval, part) for interval in intervals]
                         for part in ("low", "middle", "high"))
    look |= {"color": color, "marker": marker, "linestyle": "none"}
    if upright:
        ax.vlines(places, low, high, color=color)
        ax.plot(places, middle, **look)
    else:
        ax.hlines(places, low, high, color=color)
        ax.plot(middle, places, **look)


def image(ax, values, **options):
    """Show an array (height, width) as a picture without ticks and grid; options: ``imshow``."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    return ax.imshow(values, **options)
