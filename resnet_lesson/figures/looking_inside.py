"""Figures of notebook 09: feature maps, branches, lesions, calibration of a trained network."""

import math

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, MARKERS, new_figure
from resnet_lesson.figures.axes import band, dots_and_bars
from resnet_lesson.findings.intervals import t_interval, wilson
from resnet_lesson.words import signed

NEAR = 0.05  # an accuracy is called close to another within five points


@figures.style()
def feature_maps(picture, maps, columns=8):
    """Show some of the maps that one picture makes on its way.

    Args:
        picture: (1, H, W).
        maps: by name, from input to output: tensors (channels, height, width).
        columns: maps to show of each; those with the largest mean.
    """
    figure, axes = new_figure(len(maps), columns + 1, size=(11, 1.45 * len(maps) + 0.2),
                              squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    first = axes[(len(maps) - 1) // 2, 0]
    first.imshow(picture[0].numpy(), cmap="gray_r")
    first.set_title("picture", fontsize=13)
    sentences = []
    for row, (name, values) in zip(axes, maps.items(), strict=True):
        strongest = values.flatten(1).mean(1).argsort(descending=True)[:columns].tolist()
        titles = [f"{name} #{strongest[0]}", *(f"#{channel}" for channel in strongest[1:])]
        for ax, channel, title in zip(row[1:], strongest, titles, strict=False):
            ax.imshow(values[channel].numpy())
            ax.set_title(title, fontsize=12)
        channels, height, width = values.shape
        zeros = (values == 0).float().mean()
        sentences.append(f"{name}: {channels} maps of {height}×{width}, {zeros:.0%} zeros")
    figure.caption = (f"{'; '.join(sentences)}. Shown are the {columns} maps with the largest mean "
                      "of each; bright is large.")
    return figure


@figures.style()
def shares(values):
    """Draw each block's norm of the branch ÷ (norm of the branch + norm of the shortcut)."""
    figure, ax = new_figure(size=(10, 4))
    ax.bar(list(values), list(values.values()), color=COLORS["residual"])
    for i, value in enumerate(values.values()):
        ax.text(i, value + 0.02, f"{value:.2f}", ha="center", fontsize=13)
    ax.set(ylim=(0, 1.05), ylabel="share of the branch", xlabel="block")
    ax.grid(axis="x", visible=False)
    low, high = (pick(values, key=values.get) for pick in (min, max))
    figure.caption = (
        f"Norm of the branch ÷ (norm of the branch + norm of the shortcut). Largest: "
        f"{high} with {values[high]:.2f}; smallest: {low} with {values[low]:.2f}. "
        "At 0.5 both are equally large.")
    return figure


@figures.style()
def effects(intact, changed, total, what="switched off"):
    """Draw the accuracy after each change, both networks side by side, with 95 % intervals.

    Args:
        intact: pictures classified correctly by the intact network, by arm.
        changed: by arm, ``{change: right}`` in the order in which they are drawn; ``None``
            where the network cannot be changed that way.
        total: number of pictures.
        what: what was done to the network, for the axis.
    """
    figure, ax = new_figure(size=(11, 4.6))
    labels = list(next(iter(changed.values())))
    sentences = []
    for shift, (arm, rights) in zip((-0.13, 0.13), changed.items(), strict=True):
        measured = {i + shift: wilson(rights[label], total) for i, label in enumerate(labels)
                    if rights[label] is not None}
        ax.axhline(intact[arm] / total, color=COLORS[arm], linestyle=figures.DASHES[arm],
                   linewidth=1.5)
        dots_and_bars(ax, list(measured), list(measured.values()), color=COLORS[arm],
                      marker=MARKERS[arm], label=f"{arm} (line: intact)")
        for place in {i + shift for i in range(len(labels))} - set(measured):
            ax.text(place, 0.02, "not\npossible", color=COLORS[arm], fontsize=12, ha="center",
                    va="bottom")
        sentences.append(_effect_sentence(arm, intact[arm] / total, {
            label: right / total for label, right in rights.items() if right is not None}))
    ax.set_xticks(range(len(labels)), [label.replace(" ↔ ", "\n↔ ") for label in labels])
    ax.set(ylim=(0, 1.02), xlim=(-0.6, len(labels) - 0.4), ylabel="test accuracy", xlabel=what)
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=2)
    figure.caption = " ".join(sentences) + f" Bars are 95 % intervals from {total:,} pictures."
    return figure


def _effect_sentence(arm, intact, accuracies):
    close = sum(value >= intact - NEAR for value in accuracies.values())
    worst, best = (pick(accuracies, key=accuracies.get) for pick in (min, max))
    return (f"{arm.capitalize()}, intact {intact:.3f}: within five points of that after {close} of "
            f"{len(accuracies)} changes; from {accuracies[worst]:.3f} ({worst}) to "
            f"{accuracies[best]:.3f} ({best}).")


def survival(intact, changed, total, classes=10):
    """Return, one line per network, after which lesions it keeps at least half of its skill.

    Skill is what the accuracy lies above that of guessing. Arguments as in ``effects``.
    """
    guess, sentences = 1 / classes, []
    for arm, rights in changed.items():
        half = guess + (intact[arm] / total - guess) / 2
        possible = {name: right for name, right in rights.items() if right is not None}
        lost = [name for name, right in possible.items() if right / total < half]
        kept = len(possible) - len(lost)
        which = f"; not without {', '.join(lost)}" if lost and kept else ""
        sentences.append(f"The {arm} network keeps at least half of its skill (an accuracy of "
                         f"{half:.2f}) after {kept} of {len(possible)} lesions{which}.")
    return "\n".join(sentences)


@figures.style()
def several(results, total, classes=10):
    """Draw the error against the number of deleted blocks: median and range over the draws.

    Args:
        results: by arm, ``{number of deleted blocks: [right, …]}``.
        total: number of pictures.
        classes: number of classes, for the error of guessing.
    """
    figure, ax = new_figure(size=(10, 4.6))
    words = []
    for arm, by_number in results.items():
        medians = {n: 1 - np.median(by_number[n]) / total for n in sorted(by_number)}
        band(ax, list(medians), [1 - max(by_number[n]) / total for n in medians],
             list(medians.values()), [1 - min(by_number[n]) / total for n in medians], alpha=0.2,
             label=f"{arm}: median (band: all draws)", **figures.arm_look(arm))
        told = [f"{medians[n]:.2f} without {n}" if n else f"{medians[n]:.2f} intact"
                for n in medians if n in (0, 1, 2, 3, max(medians))]
        words.append(f"{arm}: " + ", ".join(told))
    ax.axhline(1 - 1 / classes, color=figures.GREY, linestyle=":", label="guessing")
    ax.set(ylim=(0, 1.02), xlabel="blocks deleted", ylabel="test error", xticks=list(medians))
    ax.legend(loc="lower right")
    draws = max(len(rights) for rights in next(iter(results.values())).values())
    figure.caption = (f"Median error by number of deleted blocks. {'; '.join(words)}. "
                      f"At the most {draws} different choices of each number, "
                      f"the same for both networks, {total:,} pictures each.")
    return figure


@figures.style()
def share_against_drop(shares, drops):
    """Draw the accuracy lost without a block against the share of its branch, both by block."""
    figure, ax = new_figure(size=(9, 4.6))
    names = list(shares)
    ax.plot([shares[name] for name in names], [drops[name] for name in names], "o",
            color=COLORS["residual"])
    width, height = (max(values.values()) - min(values.values()) or 1
                     for values in (shares, drops))
    placed = []  # labels of close points are stacked
    for name in sorted(names, key=shares.get, reverse=True):
        x, y = shares[name], drops[name]
        level = max((above + 1 for left, low, above in placed
                     if abs(left - x) < width / 8 and abs(low - y) < height / 15), default=0)
        placed.append((x, y, level))
        ax.annotate(name, (x, y), (7, 6 + 16 * level), textcoords="offset points", fontsize=12)
    ax.set(xlabel="share of the branch in the block's output", ylabel="accuracy lost without it")
    ax.margins(0.12)
    figure.caption = f"Rank correlation (Spearman) over {_by_chance(names, shares, drops)}."
    later = [name for name in names if not name.endswith(".0")]
    if 3 < len(later) < len(names):
        figure.caption += (" Without the first block of each stage, over "
                           f"{_by_chance(later, shares, drops)}.")
    return figure


def _by_chance(names, shares, drops):
    """Say what the rank correlation over some blocks is, and whether chance would do."""
    from scipy.stats import spearmanr  # takes most of a second to import

    rho = spearmanr([shares[name] for name in names], [drops[name] for name in names]).statistic
    low = 1.96 / math.sqrt(len(names) - 1)
    return (f"{len(names)} blocks: {rho:+.2f}. With so few, values between −{low:.2f} and "
            f"+{low:.2f} also come about by chance: this one lies "
            f"{'beyond' if abs(rho) > low else 'within'} that")


def calibration(confidence, right, bins=10):
    """Return counts, sums of confidence and right answers in equal parts of (0, 1], lowest first.

    Args:
        confidence: probability of the chosen class, (N,).
        right: whether the choice was correct, (N,).
        bins: number of parts; each of the three arrays has that length.
    """
    confidence = np.asarray(confidence, dtype=float)
    part = np.clip(np.ceil(confidence * bins), 1, bins).astype(int) - 1
    return [np.bincount(part, weights, bins) for weights in (None, confidence, right)]


@figures.style()
def reliability(answers, bins=10):
    """Draw accuracy against confidence, with the number of pictures in each bin below.

    The caption tells the expected calibration error (Guo et al. 2017).

    Args:
        answers: by arm, (confidence, right), each (N,).
        bins: number of equal parts of the confidence.
    """
    figure, axes = new_figure(2, len(answers), size=(11, 6), squeeze=False, sharex=True,
                              height_ratios=(3, 1))
    sentences = []
    for (above, below), (arm, (confidence, right)) in zip(axes.T, answers.items(), strict=True):
        counts, sure, hits = calibration(confidence, right, bins)
        used = counts > 0
        above.plot([0, 1], [0, 1], ":", color=figures.GREY, label="as sure as right")
        dots_and_bars(above, sure[used] / counts[used],
                      [wilson(*both) for both in zip(hits[used], counts[used], strict=True)],
                      color=COLORS[arm], marker=MARKERS[arm], label="measured")
        above.set(xlim=(0, 1), ylim=(0, 1.02), title=arm, ylabel="accuracy")
        above.legend(loc="upper left")
        below.bar((np.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color=COLORS[arm])
        below.set(xlabel="confidence", ylabel="pictures")
        error = abs(sure - hits).sum() / len(confidence)
        sentences.append(f"{arm}: {_sureness(confidence.double(), right.double())}; "
                         f"expected calibration error {error:.3f}")
    figure.caption = "; ".join(sentences) + f". {bins} bins; bars are 95 % intervals."
    return figure


def _sureness(confidence, right):
    gap = t_interval((confidence - right).tolist())
    side = {"above": "surer than right", "below": "less sure than right"}.get(
        gap.verdict, "not decided by so few pictures")
    return (f"mean confidence {confidence.mean():.3f}, accuracy {right.mean():.3f}, gap "
            f"{signed(gap.middle)} ({signed(gap.low)} to {signed(gap.high)}), {side}")
