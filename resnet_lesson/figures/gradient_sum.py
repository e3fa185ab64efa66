"""Figures of notebook 02: paths, two terms of a gradient, its flow by depth, its shattering."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from resnet_lesson import figures
from resnet_lesson.experiments.gradients import INITIALISATIONS, NORMS
from resnet_lesson.figures.axes import above, bounds, log_axis
from resnet_lesson.findings.gradient_flow import FACTOR, name, summarise, verdict
from resnet_lesson.words import short

COLORS = {"plain": figures.ORANGE, "residual": figures.BLUE, "pre-activation": figures.GREEN}
LINES = {"plain": "--", "residual": "-", "pre-activation": "-."}
MARKERS = {"plain": "s", "residual": "o", "pre-activation": "D"}


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

    Args:
        before, after: what ``measure.shares`` returned for one network at two times.
    """
    figure, ax = figures.new_figure(size=(9, 3.8))
    names = [share.name for share in before]
    for shares, label, color, style, marker in (
            (before, "before training", figures.SKY, "--", "s"),
            (after, "after training", figures.BLUE, "-", "o")):
        ax.plot(names, [share.skip_share for share in shares], style, marker=marker, color=color,
                label=label)
    ax.axhline(0.5, color=figures.GREY, linestyle=":")
    ax.set(xlabel="block, from input to output", ylabel="share of the skip term", ylim=(0, 1.02))
    ax.legend(loc="lower right")
    means = [np.mean([share.skip_share for share in shares]) for shares in (before, after)]
    figure.caption = (f"Of the gradient at a block's input, the skip term carries {means[0]:.0%} "
                      f"on average before training and {means[1]:.0%} after it; the branch carries "
                      "the rest.")
    return figure


@figures.style()
def profiles(found):
    """Draw the gradient's norm at each block's output for several networks, before and after.

    Args:
        found: ``{arm: (profile before, profile after)}`` with ``measure.Profile`` values; arms
            are ``"plain"`` and ``"residual"``.
    """
    figure, axes = figures.new_figure(1, 2, size=(10, 4), sharey=True)
    words = []
    for ax, i, when in zip(axes, (0, 1), ("before training", "after training"), strict=True):
        for arm, pair in found.items():
            ax.plot(pair[i].names, pair[i].gradients, LINES[arm], marker=MARKERS[arm],
                    color=COLORS[arm], label=arm)
        ax.set(title=when, yscale="log", xlabel="block, from input to output")
        ax.tick_params(axis="x", labelrotation=60)
        ratios = [f"{arm} {short(pair[i].gradients[0] / pair[i].gradients[-1])}"
                  for arm, pair in found.items()]
        words.append(f"{when} " + ", ".join(ratios))
    axes[0].set_ylabel("norm of the gradient")
    axes[0].legend()
    figure.caption = f"First block ÷ last block: {'; '.join(words)}."
    return figure


@figures.style()
def flow(rows, shortcuts=("plain", "residual")):
    """Draw first ÷ last block by depth, one field for each norm and initialisation.

    Lines join medians over seeds, bands reach from the smallest to the largest seed, small marks
    are single seeds.

    Args:
        rows: measured ``experiments.gradients.Row`` values.
        shortcuts: which arms to draw.
    """
    figure, axes = figures.new_figure(2, 3, size=(11, 6.6), sharex=True, sharey="row")
    found = summarise([row for row in rows if row.shortcut in shortcuts])
    depths = sorted({row.depth for row in rows})
    for ax, (norm, initialisation) in zip(axes.flat, ((n, i) for n in NORMS
                                                      for i in INITIALISATIONS), strict=True):
        row = [s for key, s in found.items() if key[1] == norm]
        zero = log_axis(ax, *bounds([value for s in row for value in (s.low, s.high)]),
                        any(s.zeros for s in row))
        ax.axhspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
        for arm in shortcuts:
            summaries = [found[(arm, norm, initialisation, depth)] for depth in depths]
            low, middle, high = (above([getattr(s, part) for s in summaries], zero)
                                 for part in ("low", "median", "high"))
            ax.fill_between(depths, low, high, color=COLORS[arm], alpha=0.2, linewidth=0)
            ax.plot(depths, middle, LINES[arm], color=COLORS[arm], marker=MARKERS[arm], label=arm)
            seeds = [row for row in rows if row[:3] == (arm, norm, initialisation)]
            ax.plot([row.depth for row in seeds],
                    above([row.gradient_ratio for row in seeds], zero), ".", markersize=3,
                    color="black", alpha=0.5)
        ax.set_xscale("log", base=2)
        ax.set_xticks(depths, [str(depth) for depth in depths])
        ax.set_title(name(norm, initialisation).replace("PyTorch's", "PyTorch"))
    for ax in axes[1]:
        ax.set_xlabel("blocks")
    figure.supylabel("gradient, first block ÷ last block", fontsize=14)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center",
                  ncols=len(shortcuts))
    figure.caption = _flow_caption(found, depths[-1], shortcuts)
    return figure


def _flow_caption(found, depth, shortcuts):
    words = []
    for arm in shortcuts:
        here = {key: s for key, s in found.items() if key[0] == arm and key[3] == depth}
        counts = [sum(verdict(s.median) == word for s in here.values())
                  for word in ("vanishes", "holds", "explodes")]
        words.append(f"{arm}: {counts[0]} vanish, {counts[1]} hold, {counts[2]} explode")
    zeros = sum(s.zeros for s in found.values())
    first = next(iter(found.values()))
    tail = f" {zeros} networks sit in the grey strip: their gradient is exactly 0." if zeros else ""
    return (f"Median and range over {first.seeds} seeds. At {depth} blocks, of {len(here)} "
            f"settings each, {'; '.join(words)}. The yellow band is 1/{FACTOR} to {FACTOR}.{tail}")


@figures.style()
def two_ratios(rows, depth, shortcuts=("plain", "residual")):
    """Draw first ÷ last block twice for each setting: gradients of activations, of weights."""
    figure, ax = figures.new_figure(size=(10, 6))
    gradients, weights = summarise(rows), summarise(rows, "weight_ratio")
    keys = [(arm, norm, initialisation, depth) for norm in NORMS
            for initialisation in INITIALISATIONS for arm in shortcuts]
    missing = [key for key in keys if key not in gradients]
    if missing:
        raise ValueError(f"nothing was measured for {missing[0]}")
    values = [(gradients[key].median, weights[key].median) for key in keys]
    lowest = min(value for pair in values for value in pair if value)
    zero = 10.0 ** (math.floor(math.log10(lowest)) - 3)
    ax.set_xscale("log")
    ax.axvspan(1 / FACTOR, FACTOR, color=figures.YELLOW, alpha=0.35, linewidth=0)
    for i, pair in enumerate(values):
        one, other = above(pair, zero)
        ax.plot([one, other], [i, i], color=figures.GREY, linewidth=1.5, zorder=1)
        ax.plot(one, i, "o", color=figures.BLUE, markersize=10,
                label="gradient of activations" if i == 0 else None)
        ax.plot(other, i, "D", color=figures.AMBER, markersize=8,
                label="gradient of weights" if i == 0 else None)
        if 0 in pair:
            ax.annotate("exactly 0", (zero, i), (10, -5), textcoords="offset points", fontsize=13)
    ax.set_yticks(range(len(keys)), [f"{arm}, {name(norm, initialisation)}"
                                     for arm, norm, initialisation, _ in keys])
    ax.invert_yaxis()
    ax.set(xlabel=f"first block ÷ last block, {depth} blocks")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    hides = sum(verdict(one) != "holds" and verdict(other) == "holds" for one, other in values)
    shows = sum(verdict(one) != "holds" for one, _ in values)
    figure.caption = (f"At {depth} blocks {shows} of {len(values)} settings vanish or explode by "
                      f"the gradient of the activations. In {hides} of them the gradient of the "
                      f"weights stays within 1/{FACTOR} to {FACTOR} (yellow) and hides it.")
    return figure


@figures.style()
def shattered(curves, correlations, distances):
    """Draw a logit's slope along a line of pictures, and how alike its gradients are.

    Args:
        curves: ``{network: slopes}``, slopes of shape (points,), at most three networks.
        correlations: ``{network: array (seeds, points)}`` from ``measure.correlation_by_distance``.
        distances: the distances to draw, in points along the line.
    """
    figure, _ = figures.new_figure(size=(11, 1.5 + 1.6 * len(curves)))
    figure.clear()
    left, right = figure.subfigures(1, 2)
    rows = left.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    ax = right.subplots()
    for row, (label, slopes) in zip(rows, curves.items(), strict=True):
        t = np.linspace(0, 1, len(slopes))
        row.plot(t, slopes / np.abs(slopes).max(), color="black", linewidth=1.3)
        row.axhline(0, color=figures.GREY, linewidth=1)
        row.set(title=label, ylim=(-1.1, 1.1), yticks=[-1, 0, 1])
    rows[-1].set_xlabel("way from the first picture to the second")
    left.supylabel("slope ÷ its largest", fontsize=14)
    words = []
    looks = zip(("-", "--", "-.", ":", "-"), ("o", "s", "D", "^", "v"), figures.PALETTE,
                strict=False)
    for (label, values), (style, marker, color) in zip(correlations.items(), looks, strict=False):
        chosen = np.asarray(values)[:, distances]
        ax.fill_between(distances, chosen.min(0), chosen.max(0), color=color, alpha=0.15,
                        linewidth=0)
        ax.plot(distances, chosen.mean(0), style, marker=marker, color=color, label=label)
        words.append(f"{label} {chosen.mean(0)[0]:.2f}")
    ax.axhline(0, color="black", linewidth=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(distances, [str(d) for d in distances])
    ax.set(xlabel="distance in points", ylabel="correlation of gradients", ylim=(-0.15, 1.05))
    right.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    seeds = len(next(iter(correlations.values())))
    figure.caption = (f"Correlation of the gradients at neighbouring points, mean of {seeds} "
                      f"seeds: {'; '.join(words)}. Bands reach from the smallest to the largest.")
    return figure
