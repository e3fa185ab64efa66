"""*Gradient flow, measured*: the gradient at every block of real networks, by depth."""

import math
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

# What is shown → (a row's value at each block, the row's ratio of the ends).
QUANTITIES = {
    "gradient of activations": (lambda row: row.gradients, lambda row: row.gradient_ratio),
    "activation spread": (lambda row: row.activations, lambda row: row.activation_ratio),
    "gradient × spread": (lambda row: tuple(map(math.prod, zip(row.gradients, row.activations,
                                                               strict=True))),
                          lambda row: row.gradient_ratio / row.activation_ratio),
    "gradient of weights": (lambda row: row.weights, lambda row: row.weight_ratio)}
BESIDE = ("activation spread", "gradient × spread")  # told with whatever is shown
NEW_SEED = 1000  # none of the recorded ones


class Flow(NamedTuple):
    """One quantity in networks of one kind."""

    profiles: dict  # by shortcut, an array (seeds, blocks)
    ratios: dict  # by shortcut, {depth: array (seeds,)}, the ratio of the ends
    beside: list  # of the chosen networks, the median ratio of each quantity in ``BESIDE``
    live: np.ndarray | None  # the network measured just now, (blocks,)
    live_ratio: float | None  # its ratio of the ends
    # ((low, high), zero) of the profiles and of the ratios: exponents that hold every depth of
    # this setting, and whether any value is exactly 0
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


@lru_cache(maxsize=64)
def _limits(norm, initialisation, quantity):
    blocks, ends = QUANTITIES[quantity]
    rows = [row for setting, group in recorded().items() for row in group
            if setting[1:3] == (norm, initialisation)]
    groups = [[value for row in rows for value in blocks(row)], [ends(row) for row in rows]]
    # Steps of four decades, so that many settings share one scale and its kept background.
    return tuple(((low // 4 * 4, -(-high // 4) * 4), 0 in values)
                 for values, (low, high) in ((group, bounds(group)) for group in groups))


class GradientFlow(FigurePanel):
    """Gradients in networks of one stage at initialisation, recorded over seeds.

    Controls: ``shortcut``, ``norm``, ``initialisation`` and ``depth`` (in blocks) of the network;
    ``quantity``, what is shown; ``live``, which measures one more network with new weights.
    """

    title = "Gradient flow, measured"
    size = (10.5, 4.6)

    def make_controls(self):
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
            ValueError: a setting that is not recorded.
        """
        for name, value, known in (
                ("shortcut", shortcut, experiment.SHORTCUTS), ("norm", norm, experiment.NORMS),
                ("initialisation", initialisation, experiment.INITIALISATIONS),
                ("depth", depth, experiment.DEPTHS), ("quantity", quantity, QUANTITIES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, "
                                 f"got {value!r}")
        blocks, ends = QUANTITIES[quantity]
        profiles, ratios = {}, {}
        for arm in experiment.SHORTCUTS:
            rows = {d: recorded()[arm, norm, initialisation, d] for d in experiment.DEPTHS}
            profiles[arm] = np.array([blocks(row) for row in rows[depth]])
            ratios[arm] = {d: np.array([*map(ends, found)]) for d, found in rows.items()}
        chosen = recorded()[shortcut, norm, initialisation, depth]
        beside = [np.median([QUANTITIES[name][1](row) for row in chosen])
                  for name in BESIDE]
        found = Flow(profiles, ratios, beside, None, None, _limits(norm, initialisation, quantity))
        if not live:
            return found
        row = measured(shortcut, norm, initialisation, depth, NEW_SEED)
        return found._replace(live=np.array(blocks(row)), live_ratio=ends(row))

    def make_figure(self, figure):
        """Make the profile over the blocks on the left, the ratio by depth on the right."""
        left, right = self._axes = figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._lines, self._bands = {}, {}
        for arm in experiment.SHORTCUTS:
            for ax, label in ((left, arm), (right, None)):
                self._lines[arm, ax], = ax.plot([], [], DASHES[arm], color=COLORS[arm],
                                                marker=MARKERS[arm], label=label)
                self._bands[arm, ax] = ax.fill_between([0, 1], 1, 1, color=COLORS[arm],
                                                       alpha=0.25, linewidth=0)
        self._live = [ax.plot([], [], "x", color="black", markersize=9, markeredgewidth=2,
                              label=label)[0]
                      for ax, label in ((left, "measured now"), (right, None))]
        self._here = right.axvline(4, color="black", linewidth=1.2)
        ends = left.get_xaxis_transform()
        self._blocks = [left.text(x, -0.04, "", transform=ends, ha="center", va="top",
                                  fontsize=13) for x in (0, 1)]
        left.set(xlim=(-0.04, 1.04), xticks=[0, 1], xticklabels=["", ""],
                 xlabel="\nblock, from input to output", ylabel="size")
        depths = experiment.DEPTHS
        right.set_xscale("log", base=2)
        right.set_xticks(depths, [str(depth) for depth in depths])
        right.minorticks_off()
        right.set(xlim=(depths[0] * 0.85, depths[-1] * 1.18), xlabel="blocks",
                  title="first ÷ last block")
        right.axhspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
        figure.legend(loc="outside upper center", ncols=4)
        for ax in (left, right):  # the widest tick labels
            log_axis(ax, -50, 10, zero=True)
        return [*self._bands.values(), *self._lines.values(), *self._live, self._here,
                *self._blocks]

    def draw(self, result, values):
        """Move the lines; new scales only where norm, initialisation or quantity changed."""
        left, right = self._axes
        look = (result.limits, values["quantity"] == "activation spread")
        if look != self.look:
            self.look = look
            self._zeros = {ax: log_axis(ax, *limits, zero)
                           for ax, (limits, zero) in zip(self._axes, result.limits, strict=True)}
            right.set_title("last ÷ first block" if look[1] else "first ÷ last block")
        for arm, profile in result.profiles.items():
            depths, chosen = sorted(result.ratios[arm]), arm == values["shortcut"]
            self._show(arm, left, np.linspace(0, 1, profile.shape[1]), _edges(profile), chosen)
            self._show(arm, right, depths,
                       np.transpose([_edges(result.ratios[arm][d]) for d in depths]), chosen)
            self._lines[arm, left].set_markevery(max(1, profile.shape[1] // 8))
        self._here.set_xdata([values["depth"]] * 2)
        self._blocks[0].set_text("block 1")
        self._blocks[1].set_text(f"block {values['depth']}")
        for line in self._live:
            line.set_data([], [])
        if result.live is not None:
            self._live[0].set_data(np.linspace(0, 1, len(result.live)),
                                   above(result.live, self._zeros[left]))
            self._live[0].set_markevery(max(1, values["depth"] // 8))
            self._live[1].set_data([values["depth"]],
                                   above([result.live_ratio], self._zeros[right]))

    def _show(self, arm, ax, x, edges, chosen):
        """Move one line to the medians; the chosen arm stands out and has a band around it."""
        low, middle, high = above(edges, self._zeros[ax])
        line, band = self._lines[arm, ax], self._bands[arm, ax]
        line.set_data(x, middle)
        if chosen:
            line.set(alpha=1, linewidth=3.5, zorder=2.5)
        else:
            line.set(alpha=0.35, linewidth=2, zorder=2)
        band.set_verts([np.concatenate([np.column_stack([x, low]),
                                        np.column_stack([x, high])[::-1]])])
        band.set_visible(chosen)

    def describe(self, result, values):
        arm, depth = values["shortcut"], values["depth"]
        first, last = (short(np.median(result.profiles[arm][:, i])) for i in (0, -1))
        ratios = result.ratios[arm][depth]
        middle = float(np.median(ratios))
        activations = values["quantity"] == "activation spread"
        words = (f"{arm}, {gradient_flow.name(values['norm'], values['initialisation'])}, {depth} "
                 f"blocks ({2 * depth} convolutions), {values['quantity']}: {first} at the first "
                 f"block, {last} at the last. {'Last ÷ first' if activations else 'First ÷ last'} "
                 f"is {short(middle)} ({_spread(ratios)}): it {verdict(middle)}. "
                 f"Per block: {middle ** (1 / (depth - 1)):.2f}, the limit is "
                 f"{FACTOR ** (1 / (depth - 1)):.2f}.")
        for name, value in zip(BESIDE, result.beside, strict=True):
            if name != values["quantity"]:
                words += f" {name.capitalize()}: {short(value)}."
        words += " Training mode, before training."
        zeros = int((result.profiles[arm] == 0).any(1).sum())
        if zeros:
            words += (f" In {zeros} of {len(ratios)} networks it is exactly 0 somewhere: smaller "
                      "than the smallest float32, drawn in the grey strip.")
        if result.live is not None:
            words += f" One more network, measured now: {short(result.live_ratio)}."
        return words[0].upper() + words[1:]


def _edges(values):
    """Return lowest, median and highest over the networks."""
    return values.min(0), np.median(values, 0), values.max(0)


def _spread(values):
    if values.min() == values.max():
        return f"in all of {len(values)} networks"
    return f"median of {len(values)} networks; {short(values.min())} to {short(values.max())}"
