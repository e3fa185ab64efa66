"""Figures of notebook 01: way-stations, and where trainings end."""

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, MARKERS


@figures.style()
def way_stations(legs):
    """Draw a journey four ways: one leap, stations, and the last station silent, twice.

    Args:
        legs: how far each station tells you to go on, at least two numbers above 0.

    Raises:
        ValueError: fewer than two legs, or one that does not lead on.
    """
    legs = [float(leg) for leg in legs]
    if len(legs) < 2 or min(legs) <= 0:
        raise ValueError(f"way_stations needs at least two legs above 0, got {legs}")
    goal, last = sum(legs), len(legs)
    reached = np.cumsum([0, *legs[:-1], 0])
    rows = {"straight for the goal": [0, goal],
            "stations: “go on by …”": np.cumsum([0, *legs]),
            f"station {last} says 0: add": reached,
            f"station {last} says 0: replace": [*reached[:-1], 0]}
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
        f"about more than {max(legs):g} km. When station {last} says 0 and its answer is added, "
        f"you keep the {reached[-1]:g} km you had; when its answer replaces the place where you "
        "were, you are back at 0 km. Neither reaches the goal.")
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


def final(losses, target=0, steps=25):
    """Return the mean loss of the last steps: (steps, targets, seeds) → one number per seed."""
    return losses[-steps:, target].mean(0)


def best(by_rate, target=0):
    """Return a target's final losses at the rate with the lowest median."""
    found = [final(losses, target) for losses in by_rate.values()]
    return min(found, key=lambda ends: float(np.median(ends)))


@figures.style()
def ends(groups, levels=None):
    """Draw a dot per seed and a bar at the median, one plot per group, one row per arm.

    Args:
        groups: final losses by row name, by group; a name with "residual" is a residual stack.
        levels: named losses to compare with, by group, drawn as dotted lines.
    """
    columns = min(len(groups), 2)
    rows = -(-len(groups) // columns)
    deep = max(len(group) for group in groups.values())
    figure, axes = figures.new_figure(rows, columns, size=(11, rows * (1.6 + 0.42 * deep)),
                                      squeeze=False)
    words = []
    for ax, (title, group) in zip(axes.flat, groups.items(), strict=True):
        for row, (name, values) in enumerate(group.items()):
            arm = "residual" if "residual" in name else "plain"
            ax.plot(values, np.full(len(values), row), MARKERS[arm], alpha=0.7, color=COLORS[arm])
            ax.plot(np.median(values), row, "|", markersize=20, markeredgewidth=3, color="black")
        for name, level in (levels or {}).get(title, {}).items():
            ax.axvline(level, color="black", linestyle=":", linewidth=1.5)
            ax.text(level, -0.6, f" {name}", fontsize=12, va="bottom")
        ax.set(xscale="log", title=title, yticks=range(len(group)), yticklabels=list(group),
               ylim=(len(group) - 0.5, -1.3), xlabel="loss at the end")
        middle = {float(np.median(values)): name for name, values in group.items()}
        low, high = min(middle), max(middle)
        words.append(f"{title}: {low:.2g} ({middle[low]}) to {high:.2g} ({middle[high]})")
    figure.caption = "A dot per seed, a bar at the median. Medians: " + "; ".join(words) + "."
    return figure
