"""Figures of notebook 01: way-stations, learning to do nothing, what a block can do at zero."""

import numpy as np
from matplotlib.patches import Ellipse

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, DASHES, MARKERS
from resnet_lesson.figures.axes import band, running_mean

ARMS = ("plain", "residual")


@figures.style()
def way_stations(legs, silent):
    """Draw a journey four ways: in one leap, by stations, with one silent station, twice.

    Args:
        legs: how far each station tells you to go on, at least two numbers above 0.
        silent: which station says 0 in the lower two rows, counted from 0.

    Raises:
        ValueError: fewer than two legs, one that does not lead on, or no such station.
    """
    legs = [float(leg) for leg in legs]
    if len(legs) < 2 or min(legs) <= 0:
        raise ValueError(f"way_stations needs at least two legs above 0, got {legs}")
    if not 0 <= silent < len(legs):
        raise ValueError(f"silent must name one of the {len(legs)} stations, 0 to "
                         f"{len(legs) - 1}, got {silent}")
    goal = sum(legs)
    reached = np.cumsum([0, *legs[:silent], 0, *legs[silent + 1:]])
    rows = {"straight for the goal": [0, goal],
            "stations: “go on by …”": np.cumsum([0, *legs]),
            f"station {silent + 1} says 0: add": reached,
            f"station {silent + 1} says 0: replace": [*reached[:silent + 1], 0]}
    figure, ax = figures.new_figure(size=(10, 5.6))
    for row, stops in enumerate(rows.values()):
        replace = row == 3
        color = figures.ORANGE if replace else figures.BLUE
        ax.plot([0, goal], [-row, -row], color=figures.GREY, linewidth=1)
        ax.plot(goal, -row, marker="*", markersize=24, color=figures.AMBER)
        ax.plot(stops, np.full(len(stops), -row), "o", color=color, markersize=9)
        for start, end in zip(stops, stops[1:], strict=False):
            _leap(ax, start, end, -row, color, replace)
    ax.text(goal, -0.22, "goal", ha="center", va="top")
    ax.set(yticks=[-row + 0.1 for row in range(4)], yticklabels=list(rows), ylim=(-3.8, 0.8),
           xlabel="kilometres from the start", xlim=(-0.03 * goal, 1.03 * goal))
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    figure.caption = (
        f"Straight for the goal: one leap of {goal:g} km. By stations: "
        f"{' + '.join(f'{leg:g}' for leg in legs)} = {goal:g} km, and no station has to know "
        f"about more than {max(legs):g} km. When station {silent + 1} says 0 and its answer is "
        f"added, you keep the {reached[silent]:g} km you had and end at {reached[-1]:g} km; when "
        "its answer replaces the place where you were, you are back at 0 km.")
    return figure


def _leap(ax, start, end, height, color, replace):
    """Draw one leg as an arc with what the station says, or a ring where it adds 0 km."""
    words = f"= {end:g}" if replace else f"+{end - start:g}"
    if start == end:
        ax.plot(start, height, "o", markersize=20, markerfacecolor="none", markeredgecolor=color,
                markeredgewidth=2)
        ax.text(start, height + 0.24, words, ha="center", color=color)
        return
    side, dash, va = (-1, "--", "top") if end < start else (1, "-", "bottom")
    along = np.linspace(0, 1, 60)
    x = start + (end - start) * along
    y = height + side * (0.06 + 0.36 * 4 * along * (1 - along))
    ax.plot(x, y, dash, color=color, linewidth=2)
    ax.annotate("", (x[-1], y[-1]), (x[-4], y[-4]), arrowprops={
        "arrowstyle": "-|>", "color": color, "mutation_scale": 18, "shrinkA": 0, "shrinkB": 0})
    ax.text((start + end) / 2, height + side * 0.46, words, ha="center", va=va, color=color)


@figures.style()
def loss_curves(runs, levels=None):
    """Draw losses over steps, one plot per target and depth, with a band over the seeds.

    Args:
        runs: losses of shape (steps, seeds) by (target, depth, arm).
        levels: for each target a dict of named losses to compare with, drawn as lines.

    Raises:
        ValueError: a (target, depth) that lacks one of the two arms.
    """
    targets = list(dict.fromkeys(target for target, _, _ in runs))
    depths = sorted({depth for _, depth, _ in runs})
    figure, axes = figures.new_figure(len(targets), len(depths), squeeze=False, sharex=True,
                                      sharey=True, size=(11, 0.8 + 3.1 * len(targets)))
    words = []
    for row, target in zip(axes, targets, strict=True):
        ends = []
        for ax, depth in zip(row, depths, strict=True):
            for arm in ARMS:
                if (target, depth, arm) not in runs:
                    raise ValueError(f"loss_curves has no {arm} run for {target} at depth "
                                     f"{depth}; it needs both arms of every pair")
                losses = running_mean(runs[target, depth, arm], 9)
                band(ax, np.arange(1, len(losses) + 1), losses.min(1), np.median(losses, axis=1),
                     losses.max(1), color=COLORS[arm], linestyle=DASHES[arm], label=arm)
            for name, level in (levels or {}).get(target, {}).items():
                ax.axhline(level, color="black", linestyle=":", linewidth=1.5)
                ax.text(1, level, name, ha="right", va="bottom", fontsize=12,
                        transform=ax.get_yaxis_transform())
            ax.set(yscale="log", title=f"{target}, {depth} blocks")
            plain, residual = (np.median(final(runs[target, depth, arm])) for arm in ARMS)
            ends.append(f"{plain:.2g} plain against {residual:.2g} residual at {depth} blocks")
        row[0].set_ylabel("loss")
        words.append(f"{target}: the loss ends at {', '.join(ends)}.")
    for ax in axes[-1]:
        ax.set_xlabel("training step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.caption = (f"Line: median of {losses.shape[1]} seeds. Band: lowest to highest seed. "
                      + " ".join(words))
    return figure


def final(losses, steps=25):
    """Return the mean loss of the last steps, one number per seed: (steps, seeds) → (seeds,)."""
    return np.asarray(losses, dtype=float)[-steps:].mean(0)


@figures.style()
def starts(runs, levels=None):
    """Draw where training begins and ends, for several ways to draw the first weights.

    ``runs`` holds losses (steps, seeds) by (start, arm), ``levels`` named losses to compare with.
    """
    levels = levels or {}
    figure, ax = figures.new_figure(size=(10, 1.4 + 0.62 * len(runs)))
    words = []
    for row, ((start, arm), losses) in enumerate(runs.items()):
        ends, color = final(losses), COLORS[arm]
        first, last = np.median(np.asarray(losses)[0]), np.median(ends)
        ax.annotate("", (last, row), (first, row), arrowprops={
            "arrowstyle": "-|>", "color": color, "linewidth": 2.5, "mutation_scale": 20,
            "linestyle": DASHES[arm], "shrinkA": 0, "shrinkB": 4})
        ax.plot(first, row, marker="|", markersize=16, markeredgewidth=3, color=color)
        ax.plot(ends, np.full(len(ends), row), MARKERS[arm], color=color, alpha=0.8)
        words.append(f"{start}, {arm}: {first:.2g} → {last:.2g}")
    for row, (name, level) in enumerate(levels.items()):
        ax.axvline(level, color="black", linestyle=":", linewidth=1.5)
        ax.text(level, -0.6 - 0.5 * row, f" {name}", fontsize=12, va="center")
    ax.set(xscale="log", xlabel="loss: bar at the first step, arrow to the end, dots per seed",
           yticks=range(len(runs)), yticklabels=[f"{start}, {arm}" for start, arm in runs],
           ylim=(len(runs) - 0.5, -0.9 - 0.5 * len(levels)))
    figure.caption = "Loss at the first step → at the end, medians. " + "; ".join(words) + "."
    return figure


@figures.style()
def nested(losses, small, large):
    """Draw the small stack's functions inside the large one's, beside the losses measured.

    Args:
        losses: one loss per seed, by name.
        small, large: blocks of the two stacks.

    Raises:
        ValueError: the large stack has no more blocks than the small one.
    """
    if not 0 < small < large:
        raise ValueError(f"nested needs 0 < small < large, got {small} and {large}")
    figure, (left, right) = figures.new_figure(1, 2, size=(11, 4.4), width_ratios=(1, 1.5))
    for blocks, center, text, width, height, color, alpha in (
            (large, 0, 1.9, 9.8, 7.8, figures.SKY, 0.35),
            (small, -2, -2, 7, 3.4, figures.AMBER, 0.55)):
        left.add_patch(Ellipse((0, center), width, height, facecolor=color, edgecolor="black",
                               alpha=alpha))
        left.text(0, text, f"all functions of\n{blocks} blocks", ha="center", va="center")
    left.set(xlim=(-5, 5), ylim=(-4.1, 4.1), aspect="equal", title="a sketch, not measured")
    left.axis("off")
    words = []
    for row, (name, values) in enumerate(losses.items()):
        arm = "residual" if "residual" in name else "plain"
        middle = np.median(values)
        right.plot(values, np.full(len(values), row), MARKERS[arm], alpha=0.7, color=COLORS[arm])
        right.plot(middle, row, marker="|", markersize=24, markeredgewidth=3, color="black")
        words.append(f"{name}: {middle:.2g}")
    right.set(xscale="log", xlabel="loss: a dot per seed, a bar at the median", title="measured",
              yticks=range(len(losses)), yticklabels=list(losses), ylim=(len(losses) - 0.5, -0.5))
    figure.caption = (f"Every function of {small} blocks is also one of {large} blocks. Measured "
                      f"losses, medians: {'; '.join(words)}.")
    return figure


@figures.style()
def input_output(cases):
    """Draw outputs over inputs, number by number, with the identity: {name: (input, output)}.

    Raises:
        ValueError: an input and an output of different shapes.
    """
    figure, axes = figures.new_figure(1, len(cases), size=(11, 4), squeeze=False, sharey=True)
    words = []
    for ax, (name, pair) in zip(axes[0], cases.items(), strict=True):
        before, after = (np.asarray(values) for values in pair)
        if before.shape != after.shape:
            raise ValueError(f"input_output needs equal shapes, got {before.shape} and "
                             f"{after.shape} for {name}")
        before, after = before.ravel(), after.ravel()
        ends = np.array([before.min(), before.max()])
        ax.plot(ends, ends, ":", color=figures.GREY, linewidth=4)
        ax.plot(before, after, ".", color=figures.BLUE, markersize=5)
        ax.set(title=name, xlabel="number that goes in")
        words.append(f"{name}: {(before != after).mean():.0%} of the numbers changed, the largest "
                     f"difference is {np.abs(after - before).max():.2g}")
    axes[0, 0].set_ylabel("number that comes out")
    figure.caption = "Dotted: the identity. " + "; ".join(words) + "."
    return figure
