"""*The chain*: a product of slopes, and the same product with a 1 added to each."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.patches import Rectangle

from resnet_lesson import figures
from resnet_lesson.figures.axes import above, log_axis
from resnet_lesson.findings.gradient_flow import FACTOR, verdict
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.words import count, short

DEEPEST, LOWEST, HIGHEST = 64, -3.0, 2.0
SLOPES = np.linspace(LOWEST, HIGHEST, 501)
WORDS = ("vanishes", "holds", "explodes")
TINTS = ("#9BD3F2", "#FFFFFF", "#F3C16B")
MOST = 10  # at most five stretches in each of the two rows
NARROWEST = 0.85  # a region of slopes narrower than this has no room for its name


class Products(NamedTuple):
    """The product of L slopes w, and of as many slopes 1 + w."""

    plain: float
    residual: float
    curves: tuple  # absolute values of both after 0, 1, … L layers, two arrays (L + 1,)
    regions: tuple  # for both, the index in WORDS at each of SLOPES


class Chain(FigurePanel):
    """L layers with one local slope w: Π w without shortcuts, Π (1 + w) with them.

    Controls: ``depth``, the number of layers L; ``w``, the slope of each branch.
    """

    title = "The chain"
    size = (10, 4.4)

    def make_controls(self):
        return {"depth": widgets.IntSlider(50, description="depth L", min=1, max=DEEPEST,
                                           layout=widgets.Layout(width="330px")),
                "w": widgets.FloatSlider(0.5, description="local slope w", min=LOWEST,
                                         max=HIGHEST, step=0.05, readout_format=".2f",
                                         layout=widgets.Layout(width="360px"))}

    @staticmethod
    def compute(depth, w):
        """Return the ``Products`` of ``depth`` slopes w and of as many slopes 1 + w.

        Raises:
            ValueError: a depth below 1.
        """
        if depth < 1:
            raise ValueError(f"a chain needs at least one layer, got a depth of {depth}")
        w = round(w, 6)  # a slider's −1.00 is −0.9999…, and 1 + w has to be 0 there
        layers = np.arange(depth + 1)
        curves = tuple(np.abs(float(slope)) ** layers for slope in (w, 1 + w))
        limit = FACTOR ** (1 / depth)
        regions = tuple(np.digitize(np.abs(slopes), (1 / limit, limit))
                        for slopes in (SLOPES, 1 + SLOPES))
        return Products(w ** depth, (1 + w) ** depth, curves, regions)

    def make_figure(self, figure):
        """Make the two products by layer on the left, the map of slopes on the right."""
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
        self._zero = log_axis(left, -20, 20, zero=True)
        left.axhspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
        for y, word in ((1e-18, "vanishes"), (1, "holds"), (1e18, "explodes")):
            left.text(DEEPEST - 1, y, word, ha="right", va="center", fontsize=13,
                      zorder=1.5)  # behind the lines, so that it is drawn only once
        self._lines = [left.plot([], [], style, color=color, marker=marker, label=label)[0]
                       for style, color, marker, label in (
                           ("--", figures.ORANGE, "s", "plain: |Π w|"),
                           ("-", figures.BLUE, "o", "shortcut: |Π (1 + w)|"))]
        left.set(xlim=(0, DEEPEST), xlabel="layers", ylabel="size of the product")
        figure.legend(loc="outside upper center", ncols=2)
        self._regions = [right.add_patch(Rectangle((0, 0), 0, 1, linewidth=0))
                         for _ in range(MOST)]
        right.set(xlim=(LOWEST, HIGHEST), ylim=(1.5, -0.5), yticks=[0, 1],
                  yticklabels=["Π w", "Π (1 + w)"],
                  xlabel="local slope w (white: holds)")
        right.grid(visible=False)
        self._mark = right.axvline(0, color="black", linewidth=2)
        self._names = [right.text(0, 0, "", ha="center", va="center", fontsize=13)
                       for _ in range(MOST)]
        return [*self._lines, *self._regions, *self._names, self._mark]

    def draw(self, result, values):
        layers = np.arange(values["depth"] + 1)
        for line, curve in zip(self._lines, result.curves, strict=True):
            line.set_data(layers, above(curve, self._zero))
            line.set_markevery([*range(0, len(curve) - 1, 8), len(curve) - 1])
        self._mark.set_xdata([values["w"]] * 2)
        found = [(row, *run) for row, regions in enumerate(result.regions)
                 for run in runs(regions)]
        for i, (region, text) in enumerate(zip(self._regions, self._names, strict=True)):
            region.set_visible(i < len(found))
            text.set_visible(i < len(found) and found[i][3] - found[i][2] >= NARROWEST)
            if i < len(found):
                row, word, start, end = found[i]
                region.set(bounds=(start, row - 0.47, end - start, 0.94), facecolor=TINTS[word])
                text.set(position=((start + end) / 2, row), text=WORDS[word])

    def describe(self, result, values):
        depth, w = values["depth"], round(values["w"], 2) + 0.0
        plain, residual = (f"{short(value)}, which {verdict(abs(value))}"
                           for value in (result.plain, result.residual))
        words = (f"{count(depth, 'layer')} with slope w = {w:.2f}: "
                 f"w^{depth} = {plain}; (1 + w)^{depth} = {residual}")
        edge = FACTOR ** (1 / depth) - 1
        return (f"{words}. With shortcuts it explodes for w above {edge:.2f} and below "
                f"{-2 - edge:.2f}.").replace("-", "−")


def runs(regions):
    """Return (word, from, to) for each stretch of equal entries over ``SLOPES``."""
    edges = np.flatnonzero(np.diff(regions)) + 1
    ends = [LOWEST, *((SLOPES[edges - 1] + SLOPES[edges]) / 2), HIGHEST]
    return [(int(regions[i]), float(start), float(end)) for i, start, end
            in zip([0, *edges], ends[:-1], ends[1:], strict=True)]
