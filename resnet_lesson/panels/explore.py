"""*Explore the results*: the recorded sweep by depth and by learning rate, both arms."""

from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from resnet_lesson.experiments import table
from resnet_lesson.experiments.studies import ARMS, STUDIES
from resnet_lesson.figures import COLORS, GREY, arm_look
from resnet_lesson.findings import comparison
from resnet_lesson.findings.comparison import KINDS
from resnet_lesson.findings.intervals import Interval
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.words import listed, signed

NORMS = {"batch norm": "depth", "none": "no-norm"}
METRICS = {"training error": "train_error", "validation error": "validation_error",
           "test error": "test_error"}
BEST = "best of each arm"
RATES = sorted({rate for study in NORMS.values() for depth in STUDIES[study].depths
                for rate in STUDIES[study].rates_at(depth)})
PLACES = {8: 0, 20: 1, 32: 2, 56: 3, 18: 4.5, 34: 5.5}  # the ImageNet kind stands apart


class View(NamedTuple):
    """One metric of the recorded runs; the values of each ``comparison.Side`` are those of it."""

    by_depth: dict  # {arm: {depth: Side}} at the chosen rate, or at each arm's best
    by_rate: dict  # {arm: {rate: Side}} at the chosen depth
    chosen: dict  # {arm: Side} at the chosen depth and rate
    paired: Interval | None  # of plain − residual over shared seeds


@lru_cache(maxsize=1)
def recorded():
    """Return the rows of the two studies that are shown."""
    return [row for row in table.read("sweep") if row["study"] in NORMS.values()]


@lru_cache(maxsize=512)
def side(study, arm, depth, rate, column):
    """Return a ``Side``, ``None`` where nothing is recorded."""
    try:
        return comparison.side(recorded(), study, arm, depth, rate, column)
    except ValueError:
        return None


@lru_cache(maxsize=512)
def paired(study, depth, rate, column):
    """Return the interval of plain − residual over shared seeds, ``None`` where none is known."""
    try:
        return comparison.paired(recorded(), study, depth, column, rate).interval
    except ValueError:
        return None


def forget():
    """Read the table anew at the next use."""
    for cached in (recorded, side, paired):
        cached.cache_clear()


class Explore(FigurePanel):
    """Every recorded run: by depth on the left, by learning rate on the right.

    Controls: ``depth``, which the right side shows and the left side marks; ``rate``, which the
    left side shows and the right side marks; ``norm``; ``metric``.
    """

    title = "Explore the results"
    size = (10.5, 4.8)

    def make_controls(self):
        """Return what to look at."""
        def choice(name, options, value):
            return widgets.Dropdown(options=options, value=value, description=name,
                                    layout=widgets.Layout(width="max-content",
                                                          margin="2px 14px 2px 2px"))
        rates = [(BEST, BEST), *((f"{rate:g}", rate) for rate in RATES)]
        return {"depth": widgets.SelectionSlider(
                    options=sorted(PLACES), value=56, description="depth in layers",
                    layout=widgets.Layout(width="330px", margin="2px 14px 2px 2px")),
                "rate": choice("learning rate", rates, BEST),
                "norm": choice("norm", list(NORMS), "batch norm"),
                "metric": choice("show", list(METRICS), "training error")}

    @staticmethod
    def compute(depth, rate, norm, metric="training error"):
        """Return a ``View``.

        Raises:
            ValueError: an unknown setting, or nothing recorded for it.
        """
        for name, value, known in (("norm", norm, NORMS), ("metric", metric, METRICS),
                                   ("depth", depth, PLACES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, "
                                 f"got {value!r}")
        study, column = NORMS[norm], METRICS[metric]
        try:
            rates = sorted({lr for arm in ARMS
                            for lr in comparison.by_rate(recorded(), study, arm, depth)})
        except FileNotFoundError as error:
            raise ValueError(f"{error}; python -m resnet_lesson.experiments.sweep "
                             "makes it") from None
        if not rates or rate not in (BEST, *rates):
            grid = f"; the rates there are {listed(f'{r:g}' for r in rates)}" if rates else ""
            at = "" if rate == BEST else f" at a learning rate of {rate}"
            raise ValueError(f"{_norm(norm).capitalize()}, {depth} layers{at}: nothing is "
                             f"recorded{grid}.")
        wanted = None if rate == BEST else rate  # the best one of each side
        by_depth = {arm: {layers: found for layers in PLACES
                          if (found := side(study, arm, layers, wanted, column))} for arm in ARMS}
        by_rate = {arm: {lr: found for lr in rates
                         if (found := side(study, arm, depth, lr, column))} for arm in ARMS}
        here = {arm: found[depth] for arm, found in by_depth.items() if depth in found}
        return View(by_depth, by_rate, here, paired(study, depth, wanted, column))

    def make_figure(self, figure):
        """Make lines, bands and dots of both sides."""
        self._axes = figure.subplots(1, 2, width_ratios=(1.35, 1), sharey=True)
        left, right = self._axes
        self._lines, self._bands, self._dots, self._rings = {}, {}, {}, {}
        for arm in ARMS:
            for part, ax in (("6n + 2", left), ("ImageNet", left), ("rate", right)):
                key = arm, part
                self._lines[key], = ax.plot([], [], label=arm if part == "rate" else None,
                                            **arm_look(arm))
                self._bands[key] = ax.fill_between([0, 1], 0, 0, color=COLORS[arm], alpha=0.22,
                                                   linewidth=0)
            for half, ax in (("left", left), ("right", right)):
                self._dots[arm, half], = ax.plot([], [], ".", color=COLORS[arm], alpha=0.6)
                self._rings[arm, half], = ax.plot([], [], "o", markersize=17, fillstyle="none",
                                                  color=COLORS[arm], markeredgewidth=2)
        self._here = left.axvline(0, color="black", linewidth=1.2)
        left.set_xticks(list(PLACES.values()), [str(depth) for depth in PLACES])
        left.set(xlim=(-0.45, 6.05), xlabel=" ")
        behind = {"zorder": 0.6}  # what stays in place is drawn once, with the background
        for x, kind in ((1.5, "6n + 2"), (4.95, "ImageNet")):
            left.text(x, -0.105, f"layers, {kind} kind", transform=left.get_xaxis_transform(),
                      ha="center", va="top", fontsize=14, **behind)
        for ax in self._axes:
            ax.axhline(comparison.GUESSING, color=GREY, linestyle=":", linewidth=1.5, **behind)
        left.text(-0.4, comparison.GUESSING + 0.01, "guessing", fontsize=13, color=GREY,
                  va="bottom", **behind)
        right.set(xscale="log", xlim=(RATES[0] / 1.5, RATES[-1] * 1.5), xlabel="learning rate")
        right.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
        right.minorticks_off()
        figure.legend(loc="outside upper center", ncols=2)
        left.set(ylim=(0, 1), ylabel=" ")
        left.set_title("each arm at its best rate")
        right.set_title("56 layers")
        return [*self._bands.values(), *self._lines.values(), *self._dots.values(),
                *self._rings.values(), self._here, left.title, right.title]

    def draw(self, result, values):
        """Move lines, bands and dots; new scales only with another metric."""
        if values["metric"] != self.look:
            self.look = values["metric"]
            self._axes[0].set_ylabel(self.look)
        left, right = self._axes
        place = PLACES[values["depth"]]
        left.title.set_text("each arm at its best rate" if values["rate"] == BEST else
                            f"learning rate {values['rate']:g}")
        right.title.set_text(f"{values['depth']} layers")
        self._here.set_xdata([place, place])
        for arm in ARMS:
            depths, rates = result.by_depth[arm], result.by_rate[arm]
            for kind, layers in KINDS.items():
                self._put((arm, kind), {PLACES[depth]: found for depth, found in depths.items()
                                        if depth in layers})
            self._put((arm, "rate"), rates)
            self._dots[arm, "left"].set_data(*_spread(
                {PLACES[depth]: found for depth, found in depths.items()}))
            self._dots[arm, "right"].set_data(*_spread(rates))
            found = result.chosen.get(arm)
            height = [found.mean] if found else []
            self._rings[arm, "left"].set_data([place] * len(height), height)
            self._rings[arm, "right"].set_data([found.rate] if found else [], height)

    def _put(self, key, sides):
        x = list(sides)
        self._lines[key].set_data(x, [found.mean for found in sides.values()])
        low, high = ([end(found.values) for found in sides.values()] for end in (min, max))
        around = np.concatenate([np.column_stack([x, low]), np.column_stack([x, high])[::-1]])
        self._bands[key].set_verts([around] if sides else [])

    def describe(self, result, values):
        """Return both means with their spread, the paired difference, and words of caution."""
        arms = []
        for arm in ARMS:
            found = result.chosen.get(arm)
            arms.append(f"{arm} not recorded" if found is None else
                        f"{arm} {found.mean:.3f} at rate {found.rate:g} ({_range(found.values)})")
        steps = next(found.runs[0].steps for found in result.chosen.values())
        words = (f"{values['depth']} layers, {_norm(values['norm'])}, {values['metric']} after "
                 f"{steps} steps, mean over seeds: {'; '.join(arms)}.")
        if result.paired is not None and result.paired.verdict != "unknown":
            low, middle, high = map(signed, result.paired[:3])
            inside = "0 lies inside" if result.paired.verdict == "tie" else "0 lies outside"
            words += (f" Plain − residual, seed by seed: {middle} ({low} to {high} in a 95 % "
                      f"interval; {inside}).")
        for arm, found in result.chosen.items():
            if found.edge:
                words += (f" The best rate of {arm} is the {found.edge} of the grid: a better one "
                          "may lie beyond.")
        for arm, found in result.chosen.items():
            if found.diverged:
                words += f" {found.diverged} of {len(found.runs)} {arm} runs diverged."
        return words


def _norm(norm):
    return "batch norm" if norm == "batch norm" else "no norm"


def _range(values):
    if len(values) == 1:
        return "one seed"
    return f"{min(values):.3f} to {max(values):.3f}, {len(values)} seeds"


def _spread(sides):
    return ([place for place, found in sides.items() for _ in found.values],
            [value for found in sides.values() for value in found.values])
