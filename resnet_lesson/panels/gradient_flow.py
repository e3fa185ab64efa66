"""*Gradient flow, measured*: the gradient at every block of real networks, by depth."""

from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from resnet_lesson import figures
from resnet_lesson.experiments import gradients as experiment
from resnet_lesson.figures import COLORS, DASHES, MARKERS
from resnet_lesson.figures.axes import above, bounds, log_axis
from resnet_lesson.findings import gradient_flow
from resnet_lesson.findings.gradient_flow import FACTOR, verdict
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.words import short

# What is shown → (field with a value per block, column with the ratio).
QUANTITIES = {"gradient of activations": ("gradients", "gradient_ratio"),
              "gradient of weights": ("weights", "weight_ratio"),
              "activation spread": ("activations", "activation_ratio")}
NEW_SEED = 1000  # none of the recorded ones


class Flow(NamedTuple):
    """What ``GradientFlow.compute`` returns.

    Attributes:
        profiles: by shortcut, an array (seeds, blocks) of the chosen quantity.
        ratios: by shortcut, ``{depth: array (seeds,)}``, the ratio of the ends.
        live: the network measured just now, (blocks,), or ``None``.
        live_ratio: its ratio of the ends, or ``None``.
        limits: ((low, high), zero) of the profiles and of the ratios: exponents that hold every
            depth of this setting, and whether any value is exactly 0.
    """

    profiles: dict
    ratios: dict
    live: np.ndarray
    live_ratio: float
    limits: tuple


@lru_cache(maxsize=1)
def recorded():
    """Return the recorded rows by setting: ``{(shortcut, norm, initialisation, depth): rows}``."""
    rows = {}
    for row in experiment.load():
        rows.setdefault(row.setting, []).append(row)
    return rows


@lru_cache(maxsize=512)
def measured(shortcut, norm, initialisation, depth, seed):
    """Measure one network now, with the function that wrote the recorded table."""
    return experiment.measure_network(shortcut, norm, initialisation, depth, seed)


def networks(shortcut, norm, initialisation, depth):
    """Return the rows of one setting: recorded ones, or one measured now if there are none."""
    setting = (shortcut, norm, initialisation, depth)
    return recorded().get(setting) or [measured(*setting, 0)]


@lru_cache(maxsize=64)
def _limits(norm, initialisation, quantity):
    field, column = QUANTITIES[quantity]
    rows = [row for setting, group in recorded().items() for row in group
            if setting[1:3] == (norm, initialisation)]
    groups = [[value for row in rows for value in getattr(row, field)],
              [getattr(row, column) for row in rows]]
    # Steps of four decades, so that many settings share one scale and its kept background.
    return tuple(((low // 4 * 4, -(-high // 4) * 4), 0 in values)
                 for values, (low, high) in ((group, bounds(group)) for group in groups))


class GradientFlow(FigurePanel):
    """Gradients in networks of one stage at initialisation, recorded over seeds or measured now.

    Controls: ``shortcut``, ``norm``, ``initialisation`` and ``depth`` (in blocks) of the network;
    ``quantity``, what is shown; ``live``, which measures one more network with new weights.
    """

    title = "Gradient flow, measured"
    size = (10.5, 4.6)

    def make_controls(self):
        """Return the settings of the network, what to show, and the switch to measure now."""
        def choice(name, options):
            return widgets.Dropdown(options=options, description=name, layout=widgets.Layout(
                width="max-content", margin="2px 14px 2px 2px"))
        return {"shortcut": choice("shortcut", experiment.SHORTCUTS),
                "norm": choice("norm", experiment.NORMS),
                "initialisation": choice("initialisation", experiment.INITIALISATIONS),
                "depth": widgets.SelectionSlider(
                    options=experiment.DEPTHS, value=32, description="depth in blocks",
                    layout=widgets.Layout(width="330px", margin="2px 14px 2px 2px")),
                "quantity": choice("show", tuple(QUANTITIES)),
                "live": widgets.Checkbox(description="measure one more network now",
                                         indent=False,
                                         layout=widgets.Layout(width="max-content"))}

    @staticmethod
    def compute(shortcut, norm, initialisation, depth, quantity="gradient of activations",
                live=False):
        """Return a ``Flow``: all three shortcuts at this depth, and their ratios at every depth.

        Raises:
            ValueError: an unknown quantity, or a setting that makes no network.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {quantity!r}")
        field, column = QUANTITIES[quantity]
        profiles, ratios = {}, {}
        for arm in experiment.SHORTCUTS:
            rows = networks(arm, norm, initialisation, depth)
            profiles[arm] = np.array([getattr(row, field) for row in rows])
            ratios[arm] = {d: np.array([getattr(row, column) for row in
                                        recorded()[(arm, norm, initialisation, d)]])
                           for d in experiment.DEPTHS
                           if (arm, norm, initialisation, d) in recorded()}
            ratios[arm][depth] = np.array([getattr(row, column) for row in rows])
        row = measured(shortcut, norm, initialisation, depth, NEW_SEED) if live else None
        return Flow(profiles, ratios, row and np.array(getattr(row, field)),
                    row and getattr(row, column), _limits(norm, initialisation, quantity))

    def make_figure(self, figure):
        """Make the profile over the blocks on the left, the ratio by depth on the right."""
        self._left, self._right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._bands, self._profiles, self._ratios = {}, {}, {}
        for arm in experiment.SHORTCUTS:
            look = {"color": COLORS[arm], "linestyle": DASHES[arm], "marker": MARKERS[arm]}
            self._profiles[arm], = self._left.plot([], [], label=arm, **look)
            self._ratios[arm], = self._right.plot([], [], **look)
            self._bands[arm] = [ax.fill_between([0, 1], 1, 1, color=COLORS[arm], alpha=0.25,
                                                linewidth=0) for ax in (self._left, self._right)]
        self._live = [ax.plot([], [], "x", color="black", markersize=9, markeredgewidth=2,
                              label=label)[0]
                      for ax, label in ((self._left, "measured now"), (self._right, None))]
        self._here = self._right.axvline(4, color="black", linewidth=1.2)
        ends = self._left.get_xaxis_transform()
        self._blocks = [self._left.text(x, -0.04, "", transform=ends, ha="center", va="top",
                                        fontsize=13) for x in (0, 1)]
        self._left.set(xlim=(-0.04, 1.04), xticks=[0, 1], xticklabels=["", ""],
                       xlabel="\nblock, from input to output", ylabel="size")
        depths = experiment.DEPTHS
        self._right.set_xscale("log", base=2)
        self._right.set_xticks(depths, [str(depth) for depth in depths])
        self._right.minorticks_off()
        self._right.set(xlim=(depths[0] * 0.85, depths[-1] * 1.18), xlabel="blocks")
        self._right.axhspan(1 / FACTOR, FACTOR, color=figures.YELLOW,
                            alpha=0.35, linewidth=0)
        figure.legend(loc="outside upper center", ncols=4)
        self._right.set_title("first ÷ last block")
        # The layout is found once, with the widest tick labels, so that backgrounds can be kept.
        for ax in (self._left, self._right):
            log_axis(ax, -50, 10, zero=True)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return [*[band for pair in self._bands.values() for band in pair],
                *self._profiles.values(), *self._ratios.values(), *self._live, self._here,
                *self._blocks]

    def draw(self, result, values):
        """Move the lines; new scales only where norm, initialisation or quantity changed."""
        look = (result.limits, values["quantity"] == "activation spread")
        if look != self.look:
            self.look = look
            self._zeros = [log_axis(ax, *limits, zero) for ax, (limits, zero) in
                           zip((self._left, self._right), result.limits, strict=True)]
            self._right.set_title("last ÷ first block" if look[1] else "first ÷ last block")
        for arm, profile in result.profiles.items():
            depths = np.array(sorted(result.ratios[arm]))
            chosen = arm == values["shortcut"]
            x = np.linspace(0, 1, profile.shape[1])
            ratios = np.array([(r.min(), np.median(r), r.max())
                               for r in (result.ratios[arm][d] for d in depths)]).T
            edges = np.array([profile.min(0), np.median(profile, 0), profile.max(0)])
            for line, band, x_values, spread, zero in (
                    (self._profiles[arm], self._bands[arm][0], x, edges, self._zeros[0]),
                    (self._ratios[arm], self._bands[arm][1], depths, ratios, self._zeros[1])):
                low, middle, high = above(spread, zero)
                line.set_data(x_values, middle)
                line.set(alpha=1 if chosen else 0.35, linewidth=3.5 if chosen else 2,
                         zorder=2.5 if chosen else 2)
                band.set_verts([np.concatenate([np.column_stack([x_values, low]),
                                                np.column_stack([x_values, high])[::-1]])])
                band.set_visible(chosen)
            self._profiles[arm].set_markevery(max(1, profile.shape[1] // 8))
        self._here.set_xdata([values["depth"]] * 2)
        self._blocks[0].set_text("block 1")
        self._blocks[1].set_text(f"block {values['depth']}")
        live = result.live
        self._live[0].set_markevery(max(1, values["depth"] // 8))
        self._live[0].set_data(*(([], []) if live is None else (
            np.linspace(0, 1, len(live)), above(live, self._zeros[0]))))
        self._live[1].set_data(*(([], []) if live is None else (
            [values["depth"]], above([result.live_ratio], self._zeros[1]))))

    def describe(self, result, values):
        """Return both ends, their ratio with its spread, and what becomes of the gradient."""
        arm, depth = values["shortcut"], values["depth"]
        first, last = (short(np.median(result.profiles[arm][:, i])) for i in (0, -1))
        ratios = result.ratios[arm][depth]
        middle = float(np.median(ratios))
        activations = values["quantity"] == "activation spread"
        words = (f"{arm}, {gradient_flow.name(values['norm'], values['initialisation'])}, {depth} "
                 f"blocks ({2 * depth} convolutions), {values['quantity']}: {first} at the first "
                 f"block, {last} at the last. {'Last ÷ first' if activations else 'First ÷ last'} "
                 f"is {short(middle)} ({_spread(ratios)}): it {verdict(middle)}.")
        zeros = int((result.profiles[arm] == 0).any(1).sum())
        if zeros:
            words += (f" In {zeros} of {len(ratios)} networks it is exactly 0 somewhere: smaller "
                      "than the smallest float32, drawn in the grey strip.")
        if result.live is not None:
            words += f" One more network, measured now: {short(result.live_ratio)}."
        return words[0].upper() + words[1:]


def _spread(values):
    if len(values) == 1:
        return "one network, measured now"
    if values.min() == values.max():
        return f"in all of {len(values)} networks"
    return (f"median of {len(values)} networks; {short(values.min())} to "
            f"{short(values.max())}")
