"""Figures of notebook 02: paths, the gradient's flow by depth, its shattering."""

import itertools
import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from resnet_lesson import figures
from resnet_lesson.experiments.gradients import INITIALISATIONS, NORMS
from resnet_lesson.figures.axes import above, band, bounds, log_axis
from resnet_lesson.findings.gradient_flow import FACTOR, mean_length, name, summarise, verdict
from resnet_lesson.words import listed


@figures.style()
def path_lengths(carried, expected):
    """Draw how many paths there are of each length, and what they carry, network by network.

    Args:
        carried: ``{network: measured shares of the gradient}``, of paths of 0 … L branches.
        expected: the same, as the lengths of both terms in each block let us expect.
    """
    figure, axes = figures.new_figure(1, len(carried), size=(11, 4.2), sharey=True, squeeze=False)
    words = []
    for ax, (title, shares) in zip(axes[0], carried.items(), strict=True):
        k, depth = np.arange(len(shares)), len(shares) - 1
        ax.bar(k, [math.comb(depth, i) / 2 ** depth for i in k], 0.9, color=figures.GREY,
               alpha=0.4, label="share of the paths")
        ax.bar(k, shares, 0.5, color=figures.BLUE, label="share of the gradient, measured")
        ax.plot(k, expected[title], "D", color="black", markersize=6, markerfacecolor="none",
                label="expected from a²")
        ax.axhline(0, color="black", linewidth=1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="branches on the path", title=title)
        ax.grid(axis="x", visible=False)
        words.append(f"{title}: {mean_length(shares):.1f} measured, "
                     f"{mean_length(expected[title]):.1f} expected")
    axes[0, 0].set_ylabel("share")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.caption = (f"Mean number of branches, by what the paths carry. {'; '.join(words)}. By "
                      f"their number alone it is {depth / 2:g}.")
    return figure


@figures.style()
def flow(rows, shortcuts=("plain", "residual")):
    """Draw first ÷ last block by depth, one field for each norm and initialisation.

    Lines join medians over seeds, bands reach from the smallest to the largest seed, small marks
    are single seeds. ``rows`` are ``experiments.gradients.Row``, ``shortcuts`` the arms to draw.
    """
    figure, axes = figures.new_figure(2, 3, size=(11, 6.6), sharex=True, sharey=True)
    rows = [row for row in rows if row.shortcut in shortcuts]
    found, depths = summarise(rows), sorted({row.depth for row in rows})
    low, high = bounds([value for s in found.values() for value in (s.low, s.high)])
    ends = low, high + 1  # room for the highest mark
    zeros = sum(s.zeros for s in found.values())
    for ax, (norm, initialisation) in zip(
            axes.flat, itertools.product(NORMS, INITIALISATIONS), strict=True):
        zero = log_axis(ax, *ends, zeros)
        ax.axhspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
        for arm in shortcuts:
            summaries = [found[(arm, norm, initialisation, depth)] for depth in depths]
            low, middle, high = (above([getattr(s, part) for s in summaries], zero)
                                 for part in ("low", "median", "high"))
            band(ax, depths, low, middle, high, alpha=0.2, label=arm, **figures.arm_look(arm))
            seeds = [row for row in rows if row[:3] == (arm, norm, initialisation)]
            ax.plot([row.depth for row in seeds],
                    above([row.gradient_ratio for row in seeds], zero), ".", markersize=3,
                    color="black", alpha=0.5)
        _double(ax, depths)
        ax.set_title(name(norm, initialisation).replace(", ", "\n"))
    for ax in axes[1]:
        ax.set_xlabel("blocks")
    figure.supylabel("gradient, first block ÷ last block", fontsize=14)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center",
                  ncols=len(shortcuts))
    figure.caption = _flow_caption(found, depths, zeros, shortcuts)
    return figure


def _double(ax, ticks):
    """Give an axis a scale on which doubling is one step, and these whole numbers as ticks."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])


def _flow_caption(found, depths, zeros, shortcuts):
    words, depth = [], depths[-1]
    limits = listed(f"{FACTOR ** (1 / (some - 1)):.2f} at {some}" for some in (depths[0], depth))
    for arm in shortcuts:
        here = [verdict(s.median) for key, s in found.items() if key[::3] == (arm, depth)]
        words.append(f"{arm}: {here.count('vanishes')} vanish, {here.count('holds')} hold, "
                     f"{here.count('explodes')} explode")
    seeds = next(iter(found.values())).seeds
    caption = (f"Median and range over {seeds} seeds. At {depth} blocks, of {len(here)} settings "
               f"each, {'; '.join(words)}. Yellow is 1/{FACTOR} to {FACTOR}: per "
               f"block, a factor of up to {limits} blocks.")
    if zeros:
        caption += f" In {zeros} networks it is exactly 0 (grey strip)."
    return caption


@figures.style()
def shattered(alike, distances):
    """Draw how alike a network's gradients are at points of a line, by their distance.

    Args:
        alike: ``{(shortcut, norm): array (seeds, points)}`` of
            ``inside.gradients.correlation_by_distance``.
        distances: the distances to draw, in points along the line.
    """
    figure, ax = figures.new_figure(size=(9, 4.4))
    words = []
    for (arm, norm), values in alike.items():
        chosen = np.asarray(values)[:, distances]
        means, look = chosen.mean(0), figures.arm_look(arm)
        look |= {"linestyle": ":"} if norm == "none" else {}
        label = f"{arm}, {'no norm' if norm == 'none' else norm}"
        band(ax, distances, chosen.min(0), means, chosen.max(0), alpha=0.12, label=label,
             markerfacecolor="white" if norm == "none" else look["color"], **look)
        words.append(f"{label} {means[0]:.2f}")
    ax.axhline(0, color="black", linewidth=1)
    _double(ax, distances)
    ax.set(xlabel="distance in steps along the line", ylabel="cosine of the gradients",
           ylim=(-0.15, 1.05))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
    seeds = len(next(iter(alike.values())))
    figure.caption = (f"One step apart, mean of {seeds} seeds: {'; '.join(words)}. Bands: from "
                      "smallest to largest.")
    return figure
