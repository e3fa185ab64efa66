"""Figures about a trained network from inside: feature maps, branches, lesions, calibration."""

import math
from typing import NamedTuple

import numpy as np
import torch

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, DASHES, new_figure
from resnet_lesson.findings.intervals import t_interval, wilson
from resnet_lesson.words import signed

MARKERS = {"residual": "o", "plain": "s"}
NEAR = 0.05  # an accuracy is called close to another within five points


class Bin(NamedTuple):
    """Pictures of similar confidence: how many, their mean confidence, the share that is right."""

    count: int
    confidence: float
    accuracy: float


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
    for axis in axes.flat:
        axis.axis("off")
    middle = (len(maps) - 1) // 2
    axes[middle, 0].imshow(picture[0].numpy(), cmap="gray_r")
    axes[middle, 0].set_title("picture", fontsize=13)
    sentences = []
    for row, (name, values) in zip(axes, maps.items(), strict=True):
        strongest = values.flatten(1).mean(1).argsort(descending=True)[:columns].tolist()
        for axis, channel in zip(row[1:], strongest, strict=False):
            axis.imshow(values[channel].numpy())
            axis.set_title(f"{name} #{channel}" if channel == strongest[0] else f"#{channel}",
                           fontsize=12)
        channels, height, width = values.shape
        zeros = (values == 0).float().mean()
        sentences.append(f"{name}: {channels} maps of {height}×{width}, {zeros:.0%} zeros")
    figure.caption = (f"{'; '.join(sentences)}. Shown are the {columns} maps with the largest mean "
                      "of each; bright is large.")
    return figure


@figures.style()
def shares(values):
    """Draw how much of each block's output its branch makes up.

    Args:
        values: by block, norm of the branch ÷ (norm of the branch + norm of the shortcut).
    """
    figure, axis = new_figure(size=(10, 4))
    names, values = list(values), list(values.values())
    axis.bar(names, values, color=COLORS["residual"])
    for i, value in enumerate(values):
        axis.text(i, value + 0.02, f"{value:.2f}", ha="center", fontsize=13)
    axis.set(ylim=(0, 1.05), ylabel="share of the branch", xlabel="block")
    axis.grid(axis="x", visible=False)
    low, high = int(np.argmin(values)), int(np.argmax(values))
    figure.caption = (
        f"Norm of the branch ÷ (norm of the branch + norm of the shortcut). Largest: "
        f"{names[high]} with {values[high]:.2f}; smallest: {names[low]} with {values[low]:.2f}. "
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
    figure, axis = new_figure(size=(11, 4.6))
    labels = list(next(iter(changed.values())))
    sentences = []
    for shift, (arm, rights) in zip((-0.13, 0.13), changed.items(), strict=True):
        places = [i for i, label in enumerate(labels) if rights[label] is not None]
        low, middle, high = _interval([rights[labels[i]] for i in places], total)
        axis.axhline(intact[arm] / total, color=COLORS[arm], linestyle=DASHES[arm], linewidth=1.5)
        axis.vlines([i + shift for i in places], low, high, color=COLORS[arm])
        axis.plot([i + shift for i in places], middle, MARKERS[arm], color=COLORS[arm],
                  label=f"{arm} (line: intact)")
        for i in set(range(len(labels))) - set(places):
            axis.text(i + shift, 0.02, "not\npossible", color=COLORS[arm], fontsize=12,
                      ha="center", va="bottom")
        sentences.append(_effect_sentence(arm, intact[arm] / total,
                                          {labels[i]: rights[labels[i]] / total for i in places}))
    names = [label.replace(" ↔ ", "\n↔ ") for label in labels]
    axis.set_xticks(range(len(labels)), names)
    axis.set(ylim=(0, 1.02), xlim=(-0.6, len(labels) - 0.4), ylabel="test accuracy", xlabel=what)
    axis.grid(axis="x", visible=False)
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
        which = (f"; not without {', '.join(lost)}" if 0 < len(lost) < len(possible) else "")
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
    figure, axis = new_figure(size=(10, 4.6))
    for arm, by_number in results.items():
        numbers = sorted(by_number)
        errors = [np.array([1 - right / total for right in by_number[n]]) for n in numbers]
        axis.fill_between(numbers, [e.min() for e in errors], [e.max() for e in errors],
                          color=COLORS[arm], alpha=0.2, linewidth=0)
        axis.plot(numbers, [np.median(e) for e in errors], DASHES[arm], marker=MARKERS[arm],
                  color=COLORS[arm], label=f"{arm}: median (band: all draws)")
    axis.axhline(1 - 1 / classes, color=figures.GREY, linestyle=":", label="guessing")
    axis.set(ylim=(0, 1.02), xlabel="blocks deleted", ylabel="test error", xticks=numbers)
    axis.legend(loc="lower right")
    figure.caption = _several_sentences(results, total)
    return figure


def _several_sentences(results, total):
    words = []
    for arm, by_number in results.items():
        medians = {n: 1 - float(np.median(by_number[n])) / total for n in sorted(by_number)}
        some = [n for n in medians if n in (0, 1, 2, 3, max(medians))]
        words.append(f"{arm}: " + ", ".join(f"{medians[n]:.2f} without {n}" if n else
                                            f"{medians[n]:.2f} intact" for n in some))
    draws = max(len(rights) for rights in next(iter(results.values())).values())
    return (f"Median error by number of deleted blocks. {'; '.join(words)}. "
            f"At the most {draws} different choices of each number, "
            f"the same for both networks, {total:,} pictures each.")


@figures.style()
def share_against_drop(shares, drops):
    """Draw what switching a block off costs against the share of its branch.

    Args:
        shares: share of the branch, by block.
        drops: accuracy lost without the block, by block.
    """
    figure, axis = new_figure(size=(9, 4.6))
    names = list(shares)
    axis.plot([shares[name] for name in names], [drops[name] for name in names], "o",
              color=COLORS["residual"])
    width, height = (max(values.values()) - min(values.values()) or 1
                     for values in (shares, drops))
    placed = []  # labels of close points are stacked
    for name in sorted(names, key=shares.get, reverse=True):
        x, y = shares[name], drops[name]
        level = max((above + 1 for left, low, above in placed
                     if abs(left - x) < width / 8 and abs(low - y) < height / 15), default=0)
        placed.append((x, y, level))
        axis.annotate(name, (x, y), (7, 6 + 16 * level), textcoords="offset points", fontsize=12)
    axis.set(xlabel="share of the branch in the block's output", ylabel="accuracy lost without it")
    axis.margins(0.12)
    figure.caption = f"Rank correlation (Spearman) over {_by_chance(names, shares, drops)}."
    later = [name for name in names if not name.endswith(".0")]
    if 3 < len(later) < len(names):
        figure.caption += (" Without the first block of each stage, over "
                           f"{_by_chance(later, shares, drops)}.")
    return figure


def _by_chance(names, shares, drops):
    """Say what the rank correlation over some blocks is, and whether chance would do."""
    rho = rank_correlation([shares[name] for name in names], [drops[name] for name in names])
    low = 1.96 / math.sqrt(len(names) - 1)
    return (f"{len(names)} blocks: {rho:+.2f}. With so few, values between −{low:.2f} and "
            f"+{low:.2f} also come about by chance: this one lies "
            f"{'beyond' if abs(rho) > low else 'within'} that")


def rank_correlation(first, second):
    """Return Spearman's rank correlation of two lists; equal values share their mean rank."""
    ranks = []
    for values in (torch.tensor(first, dtype=torch.float64),
                   torch.tensor(second, dtype=torch.float64)):
        below = (values[None] < values[:, None]).sum(1)
        ranks.append(below + ((values[None] == values[:, None]).sum(1) - 1) / 2)
    return torch.corrcoef(torch.stack(ranks))[0, 1].item()


def calibration(confidence, right, bins=10):
    """Return the ``Bin`` of each part of (0, 1], lowest first; empty ones are ``None``.

    Args:
        confidence: probability of the chosen class, (N,).
        right: whether the choice was correct, (N,).
        bins: number of equal parts.
    """
    part = (confidence.double() * bins).ceil().clamp(1, bins) - 1
    return [Bin(int(here.sum()), confidence[here].double().mean().item(),
                right[here].double().mean().item()) if here.any() else None
            for here in (part == i for i in range(bins))]


def calibration_error(bins):
    """Return the expected calibration error of what ``calibration`` returned (Guo et al. 2017)."""
    bins = [one for one in bins if one]
    total = sum(one.count for one in bins)
    return sum(one.count / total * abs(one.accuracy - one.confidence) for one in bins)


@figures.style()
def reliability(answers, bins=10):
    """Draw accuracy against confidence, with the number of pictures in each bin below.

    Args:
        answers: by arm, (confidence, right), each (N,).
        bins: number of equal parts of the confidence.
    """
    figure, axes = new_figure(2, len(answers), size=(11, 6), squeeze=False, sharex=True,
                              height_ratios=(3, 1))
    sentences = []
    for column, (arm, (confidence, right)) in enumerate(answers.items()):
        every = calibration(confidence, right, bins)
        used = [one for one in every if one]
        above, below = axes[:, column]
        above.plot([0, 1], [0, 1], ":", color=figures.GREY, label="as sure as right")
        x = [one.confidence for one in used]
        ends = [_interval([round(one.accuracy * one.count)], one.count) for one in used]
        above.vlines(x, [low[0] for low, _, _ in ends], [high[0] for _, _, high in ends],
                     color=COLORS[arm])
        above.plot(x, [one.accuracy for one in used], MARKERS[arm], color=COLORS[arm],
                   label="measured")
        above.set(xlim=(0, 1), ylim=(0, 1.02), title=arm, ylabel="accuracy")
        above.legend(loc="upper left")
        below.bar([(i + 0.5) / bins for i in range(bins)],
                  [one.count if one else 0 for one in every], width=0.9 / bins,
                  color=COLORS[arm])
        below.set(xlabel="confidence", ylabel="pictures")
        mean, accuracy = confidence.double().mean().item(), right.double().mean().item()
        gap = t_interval((confidence.double() - right.double()).tolist())
        side = {"above": "surer than right", "below": "less sure than right"}.get(
            gap.verdict, "not decided by so few pictures")
        sentences.append(f"{arm}: mean confidence {mean:.3f}, accuracy {accuracy:.3f}, gap "
                         f"{signed(gap.middle)} ({signed(gap.low)} to {signed(gap.high)}), "
                         f"{side}; expected calibration error {calibration_error(every):.3f}")
    figure.caption = "; ".join(sentences) + f". {bins} bins; bars are 95 % intervals."
    return figure


def _interval(rights, total):
    """Return the lows, the shares and the highs of several counts, each as a list."""
    found = [wilson(right, total) for right in rights]
    return [[getattr(one, name) for one in found] for name in ("low", "middle", "high")]
