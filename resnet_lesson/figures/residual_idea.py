"""Figures of notebook 01: way-stations, learning to do nothing, what a block can do at zero."""

import numpy as np
from matplotlib.patches import Ellipse

from resnet_lesson import figures

MARKERS = {"plain": "s", "residual": "o"}


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
    quiet = [0 if i == silent else leg for i, leg in enumerate(legs)]
    reached = np.cumsum([0, *quiet])
    rows = [("straight for the goal", [0, goal]),
            ("stations: “go on by …”", np.cumsum([0, *legs])),
            (f"station {silent + 1} says 0: add", reached),
            (f"station {silent + 1} says 0: replace", [*reached[:silent + 1], 0])]
    figure, axes = figures.new_figure(size=(10, 5.6))
    for row, (_, stops) in enumerate(rows):
        colour = figures.ORANGE if row == 3 else figures.BLUE
        axes.plot([0, goal], [-row, -row], color=figures.GREY, linewidth=1)
        axes.plot(goal, -row, marker="*", markersize=24, color=figures.AMBER)
        axes.plot(stops, np.full(len(stops), -row), "o", color=colour, markersize=9)
        for start, end in zip(stops, stops[1:], strict=False):
            _leap(axes, start, end, -row, colour, replace=row == 3)
    axes.text(goal, -0.22, "goal", ha="center", va="top")
    axes.set(yticks=[-row + 0.1 for row in range(4)], yticklabels=[name for name, _ in rows],
             xlabel="kilometres from the start", ylim=(-3.8, 0.8),
             xlim=(-0.03 * goal, 1.03 * goal))
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.caption = (
        f"Straight for the goal: one leap of {goal:g} km. By stations: "
        f"{' + '.join(f'{leg:g}' for leg in legs)} = {goal:g} km, and no station has to know "
        f"about more than {max(legs):g} km. When station {silent + 1} says 0 and its answer is "
        f"added, you keep the {reached[silent]:g} km you had and end at {reached[-1]:g} km; when "
        "its answer replaces the place where you were, you are back at 0 km.")
    return figure


def _leap(axes, start, end, height, colour, *, replace):
    """Draw one leg as an arc with what the station says, or a ring where it adds 0 km."""
    if start == end:
        axes.plot(start, height, "o", markersize=20, markerfacecolor="none",
                  markeredgecolor=colour, markeredgewidth=2)
        axes.text(start, height + 0.24, "= 0" if replace else "+0", ha="center", color=colour)
        return
    back = end < start
    side = -1 if back else 1
    along = np.linspace(0, 1, 60)
    x = start + (end - start) * along
    y = height + side * (0.06 + 0.36 * 4 * along * (1 - along))
    axes.plot(x, y, "--" if back else "-", color=colour, linewidth=2)
    axes.annotate("", (x[-1], y[-1]), (x[-4], y[-4]), arrowprops={
        "arrowstyle": "-|>", "color": colour, "mutation_scale": 18, "shrinkA": 0, "shrinkB": 0})
    axes.text((start + end) / 2, height + side * 0.46, ha="center", color=colour,
              va="top" if back else "bottom", s=f"= {end:g}" if replace else f"+{end - start:g}")


@figures.style()
def loss_curves(runs, levels=None):
    """Draw losses over steps, one plot per target and depth, with a band over the seeds.

    Args:
        runs: a dict from (target, depth, arm) to losses of shape (steps, seeds); ``arm`` is
            ``"plain"`` or ``"residual"``.
        levels: for each target a dict of named losses to compare with, drawn as lines.

    Raises:
        ValueError: a (target, depth) that lacks one of the two arms.
    """
    runs = {key: np.asarray(losses, dtype=float) for key, losses in runs.items()}
    targets = list(dict.fromkeys(target for target, _, _ in runs))
    depths = sorted({depth for _, depth, _ in runs})
    for target in targets:
        for depth in depths:
            for arm in ("plain", "residual"):
                if (target, depth, arm) not in runs:
                    raise ValueError(f"loss_curves has no {arm} run for {target} at depth "
                                     f"{depth}; it needs both arms of every pair")
    figure, grid = figures.new_figure(len(targets), len(depths), squeeze=False, sharex=True,
                                      sharey=True, size=(11, 0.8 + 3.1 * len(targets)))
    for row, target in enumerate(targets):
        for column, depth in enumerate(depths):
            axes = grid[row, column]
            for arm in ("plain", "residual"):
                _band(axes, smooth(runs[target, depth, arm]), arm)
            for name, level in (levels or {}).get(target, {}).items():
                axes.axhline(level, color="black", linestyle=":", linewidth=1.5)
                axes.text(1, level, name, ha="right", va="bottom", fontsize=12,
                          transform=axes.get_yaxis_transform())
            axes.set_yscale("log")
            axes.set_title(f"{target}, {depth} blocks")
            if row == len(targets) - 1:
                axes.set_xlabel("training step")
        grid[row, 0].set_ylabel("loss")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    seeds = next(iter(runs.values())).shape[1]
    figure.caption = (f"Line: median of {seeds} seeds. Band: lowest to highest seed. "
                      + " ".join(_compare(runs, target, depths) for target in targets))
    return figure


def _compare(runs, target, depths):
    parts = []
    for depth in depths:
        plain, residual = (np.median(final(runs[target, depth, arm]))
                           for arm in ("plain", "residual"))
        parts.append(f"{plain:.2g} plain against {residual:.2g} residual at {depth} blocks")
    return f"{target}: the loss ends at {', '.join(parts)}."


def final(losses, steps=25):
    """Return the mean loss of the last steps, one number per seed: (steps, seeds) → (seeds,)."""
    return np.asarray(losses, dtype=float)[-steps:].mean(0)


def smooth(losses, window=9):
    """Return the mean over the steps up to each one, at most ``window`` of them: same shape."""
    total = np.cumsum(np.concatenate([np.zeros((1, losses.shape[1])), losses]), axis=0)
    stop = np.arange(1, len(losses) + 1)
    begin = np.maximum(stop - window, 0)
    return (total[stop] - total[begin]) / (stop - begin)[:, None]


def _band(axes, losses, arm):
    steps = np.arange(1, len(losses) + 1)
    axes.fill_between(steps, losses.min(1), losses.max(1), color=figures.COLORS[arm], alpha=0.25,
                      linewidth=0)
    axes.plot(steps, np.median(losses, axis=1), figures.DASHES[arm], color=figures.COLORS[arm],
              label=arm)


@figures.style()
def starts(runs, levels=None):
    """Draw where training begins and ends, for several ways to draw the first weights.

    Args:
        runs: a dict from (start, arm) to losses of shape (steps, seeds).
        levels: a dict of named losses to compare with, drawn as lines.
    """
    figure, axes = figures.new_figure(size=(10, 1.4 + 0.62 * len(runs)))
    words = []
    for row, ((start, arm), losses) in enumerate(runs.items()):
        first, last = np.median(np.asarray(losses)[0]), np.median(final(losses))
        colour = figures.COLORS[arm]
        axes.annotate("", (last, row), (first, row), arrowprops={
            "arrowstyle": "-|>", "color": colour, "linewidth": 2.5, "mutation_scale": 20,
            "linestyle": figures.DASHES[arm], "shrinkA": 0, "shrinkB": 4})
        axes.plot(first, row, marker="|", markersize=16, markeredgewidth=3, color=colour)
        axes.plot(final(losses), np.full(len(final(losses)), row), MARKERS[arm], color=colour,
                  alpha=0.8)
        words.append(f"{start}, {arm}: {first:.2g} → {last:.2g}")
    for row, (name, level) in enumerate((levels or {}).items()):
        axes.axvline(level, color="black", linestyle=":", linewidth=1.5)
        axes.text(level, -0.6 - 0.5 * row, f" {name}", fontsize=12, va="center")
    axes.set(xscale="log", xlabel="loss: bar at the first step, arrow to the end, dots per seed",
             yticks=range(len(runs)), yticklabels=[f"{start}, {arm}" for start, arm in runs],
             ylim=(len(runs) - 0.5, -0.9 - 0.5 * len(levels or {})))
    figure.caption = "Loss at the first step → at the end, medians. " + "; ".join(words) + "."
    return figure


@figures.style()
def nested(losses, small, large):
    """Draw the small stack's functions inside the large one's, beside the losses measured.

    Args:
        losses: a dict from a name to one loss per seed; the order is that of the drawing.
        small: blocks of the small stack.
        large: blocks of the large stack.

    Raises:
        ValueError: the large stack has no more blocks than the small one.
    """
    if not 0 < small < large:
        raise ValueError(f"nested needs 0 < small < large, got {small} and {large}")
    figure, (left, right) = figures.new_figure(1, 2, size=(11, 4.4), width_ratios=(1, 1.5))
    for width, height, colour, alpha in ((9.8, 7.8, figures.SKY, 0.35),
                                         (7, 3.4, figures.AMBER, 0.55)):
        left.add_patch(Ellipse((0, -2 if width < 8 else 0), width, height, facecolor=colour,
                               edgecolor="black", alpha=alpha))
    left.text(0, 1.9, f"all functions of\n{large} blocks", ha="center", va="center")
    left.text(0, -2, f"all functions of\n{small} blocks", ha="center", va="center")
    left.set(xlim=(-5, 5), ylim=(-4.1, 4.1), aspect="equal", title="a sketch, not measured")
    left.axis("off")
    for row, (name, values) in enumerate(losses.items()):
        arm = "residual" if "residual" in name else "plain"
        values = np.asarray(values, dtype=float)
        right.plot(values, np.full(len(values), row), MARKERS[arm], alpha=0.7,
                   color=figures.COLORS[arm])
        right.plot(np.median(values), row, marker="|", markersize=24, markeredgewidth=3,
                   color="black")
    right.set(xscale="log", xlabel="loss: a dot per seed, a bar at the median",
              yticks=range(len(losses)), yticklabels=list(losses),
              ylim=(len(losses) - 0.5, -0.5), title="measured")
    figure.caption = (f"Every function of {small} blocks is also one of {large} blocks. Measured "
                      "losses, medians: " + "; ".join(
                          f"{name}: {np.median(values):.2g}" for name, values in losses.items())
                      + ".")
    return figure


@figures.style()
def input_output(cases):
    """Draw outputs over inputs, number by number, one plot per case, with the identity.

    Args:
        cases: a dict from a name to a pair (input, output) of equal shapes.

    Raises:
        ValueError: an input and an output of different shapes.
    """
    figure, row = figures.new_figure(1, len(cases), size=(11, 4), squeeze=False, sharey=True)
    words = []
    for axes, (name, (before, after)) in zip(row[0], cases.items(), strict=True):
        before, after = np.asarray(before), np.asarray(after)
        if before.shape != after.shape:
            raise ValueError(f"input_output needs equal shapes, got {before.shape} and "
                             f"{after.shape} for {name}")
        before, after = before.ravel(), after.ravel()
        ends = np.array([before.min(), before.max()])
        axes.plot(ends, ends, ":", color=figures.GREY, linewidth=4)
        axes.plot(before, after, ".", color=figures.BLUE, markersize=5)
        axes.set(title=name, xlabel="number that goes in")
        changed = (before != after).mean()
        words.append(f"{name}: {changed:.0%} of the numbers changed, the largest difference is "
                     f"{np.abs(after - before).max():.2g}")
    row[0][0].set_ylabel("number that comes out")
    figure.caption = "Dotted: the identity. " + "; ".join(words) + "."
    return figure
