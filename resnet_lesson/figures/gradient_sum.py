"""Figures of notebook 02: paths, two terms of a gradient, its flow by depth, its shattering."""

import itertools
import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from resnet_lesson import figures
from resnet_lesson.experiments.gradients import INITIALISATIONS, NORMS
from resnet_lesson.figures.axes import above, band, bounds, log_axis
from resnet_lesson.findings.gradient_flow import FACTOR, name, summarise, verdict
from resnet_lesson.words import short


@figures.style()
def path_lengths(counts, shares, title):
    """Draw how many paths there are of each length, and how much of the gradient they carry.

    Args:
        counts: number of paths through k branches, k = 0 … L.
        shares: share of the gradient carried by them, same length.
        title: what the gradient belongs to.

    Raises:
        ValueError: two lists of different length.
    """
    if len(counts) != len(shares):
        raise ValueError(f"counts and shares need one length, got {len(counts)}, {len(shares)}")
    figure, ax = figures.new_figure(size=(9, 4))
    k, total = np.arange(len(counts)), sum(counts)
    ax.bar(k - 0.2, [count / total for count in counts], 0.4, color=figures.GREY, alpha=0.6,
           label="share of the paths")
    ax.bar(k + 0.2, shares, 0.4, color=figures.BLUE, hatch="//", edgecolor="white",
           label="share of the gradient")
    ax.axhline(0, color="black", linewidth=1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="branches on the path", ylabel="share", title=title)
    ax.grid(axis="x", visible=False)
    ax.legend()
    most, peak = int(np.argmax(counts)), int(np.argmax(shares))
    half = (len(counts) - 1) // 2
    figure.caption = (
        f"Of {total:,} paths the largest group, {counts[most] / total:.0%}, goes through {most} of "
        f"{len(counts) - 1} branches; the largest part of the gradient, {shares[peak]:.0%}, comes "
        f"through {peak}. Paths through fewer than {half} branches are "
        f"{sum(counts[:half]) / total:.0%} of all and carry {sum(shares[:half]):.0%} of it.")
    return figure


@figures.style()
def terms(before, after):
    """Draw the skip term's share of the gradient in each block, before and after training.

    Both arguments are what ``inside.gradients.shares`` returned for one network.
    """
    figure, ax = figures.new_figure(size=(9, 3.8))
    means = []
    for shares, label, color, look in ((before, "before training", figures.SKY, "s--"),
                                       (after, "after training", figures.BLUE, "o-")):
        parts = [share.skip_share for share in shares]
        ax.plot([share.name for share in shares], parts, look, color=color, label=label)
        means.append(np.mean(parts))
    ax.axhline(0.5, color=figures.GREY, linestyle=":")
    ax.set(xlabel="block, from input to output", ylabel="share of the skip term", ylim=(0, 1.02))
    ax.legend(loc="lower right")
    figure.caption = (f"Of the gradient at a block's input, the skip term carries {means[0]:.0%} "
                      f"on average before training and {means[1]:.0%} after it; the branch carries "
                      "the rest.")
    return figure


@figures.style()
def profiles(found):
    """Draw the gradient's norm at each block's output, before and after training.

    ``found`` holds two ``inside.gradients.Profile`` for each arm: ``{arm: (before, after)}``.
    """
    figure, axes = figures.new_figure(1, 2, size=(10, 4), sharey=True)
    words = []
    for i, (ax, when) in enumerate(zip(axes, ("before training", "after training"), strict=True)):
        ratios = []
        for arm, pair in found.items():
            gradients = pair[i].gradients
            ax.plot(pair[i].names, gradients, label=arm, **figures.arm_look(arm))
            ratios.append(f"{arm} {short(gradients[0] / gradients[-1])}")
        ax.set(title=when, yscale="log", xlabel="block, from input to output")
        ax.tick_params(axis="x", labelrotation=60)
        words.append(f"{when} " + ", ".join(ratios))
    axes[0].set_ylabel("norm of the gradient")
    axes[0].legend()
    figure.caption = f"First block ÷ last block: {'; '.join(words)}."
    return figure


@figures.style()
def flow(rows, shortcuts=("plain", "residual")):
    """Draw first ÷ last block by depth, one field for each norm and initialisation.

    Lines join medians over seeds, bands reach from the smallest to the largest seed, small marks
    are single seeds. ``rows`` are ``experiments.gradients.Row``, ``shortcuts`` the arms to draw.
    """
    figure, axes = figures.new_figure(2, 3, size=(11, 6.6), sharex=True, sharey="row")
    rows = [row for row in rows if row.shortcut in shortcuts]
    found, depths = summarise(rows), sorted({row.depth for row in rows})
    for ax, (norm, initialisation) in zip(
            axes.flat, itertools.product(NORMS, INITIALISATIONS), strict=True):
        same_norm = [s for key, s in found.items() if key[1] == norm]
        zero = log_axis(ax, *bounds([value for s in same_norm for value in (s.low, s.high)]),
                        any(s.zeros for s in same_norm))
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
        ax.set_title(name(norm, initialisation).replace("PyTorch's", "PyTorch"))
    for ax in axes[1]:
        ax.set_xlabel("blocks")
    figure.supylabel("gradient, first block ÷ last block", fontsize=14)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center",
                  ncols=len(shortcuts))
    figure.caption = _flow_caption(found, depths[-1], shortcuts)
    return figure


def _double(ax, ticks):
    """Give an axis a scale on which doubling is one step, and these whole numbers as ticks."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])


def _flow_caption(found, depth, shortcuts):
    words = []
    for arm in shortcuts:
        here = [verdict(s.median) for key, s in found.items() if key[::3] == (arm, depth)]
        words.append(f"{arm}: {here.count('vanishes')} vanish, {here.count('holds')} hold, "
                     f"{here.count('explodes')} explode")
    zeros, seeds = sum(s.zeros for s in found.values()), next(iter(found.values())).seeds
    caption = (f"Median and range over {seeds} seeds. At {depth} blocks, of {len(here)} settings "
               f"each, {'; '.join(words)}. The yellow band is 1/{FACTOR} to {FACTOR}.")
    if zeros:
        caption += f" {zeros} networks sit in the grey strip: their gradient is exactly 0."
    return caption


@figures.style()
def two_ratios(rows, depth, shortcuts=("plain", "residual")):
    """Draw first ÷ last block twice for each setting: gradients of activations, of weights.

    Arguments as in ``flow``, and the depth in blocks.

    Raises:
        ValueError: a setting that was not measured at this depth.
    """
    figure, ax = figures.new_figure(size=(10, 6))
    gradients, weights = summarise(rows), summarise(rows, "weight_ratio")
    keys = [(arm, *key, depth) for *key, arm in
            itertools.product(NORMS, INITIALISATIONS, shortcuts)]
    missing = [key for key in keys if key not in gradients]
    if missing:
        raise ValueError(f"nothing was measured for {missing[0]}")
    values = np.array([(gradients[key].median, weights[key].median) for key in keys])
    zero = 10.0 ** (math.floor(math.log10(values[values > 0].min())) - 3)
    ax.set_xscale("log")
    ax.axvspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
    drawn = above(values, zero)
    ax.hlines(range(len(keys)), *drawn.T, color=figures.GREY, linewidth=1.5, zorder=1)
    for column, marker, size, color, label in (
            (0, "o", 10, figures.BLUE, "gradient of activations"),
            (1, "D", 8, figures.AMBER, "gradient of weights")):
        ax.plot(drawn[:, column], range(len(keys)), marker, markersize=size, color=color,
                label=label)
    for i in np.flatnonzero((values == 0).any(1)):
        ax.annotate("exactly 0", (zero, i), (10, -5), textcoords="offset points", fontsize=13)
    ax.set_yticks(range(len(keys)), [f"{arm}, {name(norm, initialisation)}"
                                     for arm, norm, initialisation, _ in keys])
    ax.invert_yaxis()
    ax.set(xlabel=f"first block ÷ last block, {depth} blocks")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    shown = [(verdict(one), verdict(other)) for one, other in values if verdict(one) != "holds"]
    hidden = sum(other == "holds" for _, other in shown)
    figure.caption = (f"At {depth} blocks {len(shown)} of {len(values)} settings vanish or explode "
                      f"by the gradient of the activations. In {hidden} of them the gradient of "
                      f"the weights stays within 1/{FACTOR} to {FACTOR} (yellow) and hides it.")
    return figure


@figures.style()
def shattered(curves, correlations, distances):
    """Draw a logit's slope along a line of pictures, and how alike its gradients are.

    Args:
        curves: ``{network: slopes}``, slopes of shape (points,), at most three networks.
        correlations: ``{network: array (seeds, points)}`` of
            ``inside.gradients.correlation_by_distance``.
        distances: the distances to draw, in points along the line.
    """
    figure, _ = figures.new_figure(size=(11, 1.5 + 1.6 * len(curves)))
    figure.clear()
    left, right = figure.subfigures(1, 2)
    rows = left.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for row, (label, slopes) in zip(rows, curves.items(), strict=True):
        row.plot(np.linspace(0, 1, len(slopes)), slopes / np.abs(slopes).max(), color="black",
                 linewidth=1.3)
        row.axhline(0, color=figures.GREY, linewidth=1)
        row.set(title=label, ylim=(-1.1, 1.1), yticks=[-1, 0, 1])
    rows[-1].set_xlabel("way from the first picture to the second")
    left.supylabel("slope ÷ its largest", fontsize=14)
    ax, words = right.subplots(), []
    for i, (label, values) in enumerate(correlations.items()):
        chosen = np.asarray(values)[:, distances]
        means = chosen.mean(0)
        band(ax, distances, chosen.min(0), means, chosen.max(0), alpha=0.15, label=label,
             **figures.line_look(i))
        words.append(f"{label} {means[0]:.2f}")
    ax.axhline(0, color="black", linewidth=1)
    _double(ax, distances)
    ax.set(xlabel="distance in points", ylabel="correlation of gradients", ylim=(-0.15, 1.05))
    right.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    seeds = len(next(iter(correlations.values())))
    figure.caption = (f"Correlation of the gradients at neighbouring points, mean of {seeds} "
                      f"seeds: {'; '.join(words)}. Bands reach from the smallest to the largest.")
    return figure
