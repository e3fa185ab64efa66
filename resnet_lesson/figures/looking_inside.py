"""Figures of notebook 09: filters, maps, branches, lesions, covered pictures, calibration."""

import statistics

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, MARKERS, new_figure
from resnet_lesson.figures.axes import band, dots_and_bars, image
from resnet_lesson.findings.intervals import wilson

EVEN = 0.25  # a kernel whose sum is below this share of its weights' sizes says little of a surface
RARE = 0.05  # what perfect calibration shows this seldom is held against a network


@figures.style()
def filters(weights, columns=12):
    """Draw the kernels of a first convolution, (channels, 1, height, width), on one scale."""
    kernels = weights[:, 0].numpy()
    rows, top = -(-len(kernels) // columns), float(abs(kernels).max())
    figure, axes = new_figure(rows, columns, size=(11, 1 + 0.8 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, kernel) in enumerate(zip(axes.flat, kernels, strict=False)):
        drawn = image(ax, kernel, cmap="PuOr", vmin=-top, vmax=top)
        ax.set_title(f"#{i}", fontsize=12)
    figure.colorbar(drawn, ax=axes, label="weight")
    balanced = abs(kernels.sum((1, 2))) < EVEN * abs(kernels).sum((1, 2))
    figure.caption = (
        f"The {len(kernels)} kernels of the first convolution. In {balanced.sum()} of them the "
        f"weights nearly cancel (their sum is less than {EVEN} of the sum of their sizes): these "
        "answer to differences, and hardly to an even surface.")
    return figure


@figures.style()
def feature_maps(picture, maps, columns=8):
    """Show the first maps that one picture makes after each stage, all on one scale.

    Args:
        picture: (1, H, W).
        maps: by name, from input to output: tensors (channels, height, width).
        columns: maps to show of each: the first ones.
    """
    figure, axes = new_figure(len(maps), columns + 1, size=(11, 1.45 * len(maps) + 0.2),
                              squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    first = axes[(len(maps) - 1) // 2, 0]
    first.imshow(picture[0].numpy(), cmap="gray_r")
    first.set_title("picture", fontsize=13)
    top = float(np.quantile(np.concatenate([values[:columns].flatten().numpy()
                                            for values in maps.values()]), 0.99))
    sentences = []
    for row, (name, values) in zip(axes, maps.items(), strict=True):
        for channel, ax in enumerate(row[1:]):
            drawn = ax.imshow(values[channel].numpy(), vmin=0, vmax=top)
            ax.set_title(f"{name} #0" if channel == 0 else f"#{channel}", fontsize=12)
        channels, height, width = values.shape
        zeros = (values == 0).float().mean()
        sentences.append(f"{name}: {channels} maps of {height}×{width}, {zeros:.0%} zeros")
    figure.colorbar(drawn, ax=axes, extend="max", label="value")
    figure.caption = (f"{'; '.join(sentences)}. The first {columns} of each; one in a hundred of "
                      f"the values shown lies above the end of the scale, {top:.1f}.")
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


def _look(arm, name):
    """Return how running statistics of a kind are drawn: as stored, grey and hollow."""
    if name == "as stored":
        return {"color": figures.GREY, "marker": "D", "linestyle": ":", "markerfacecolor": "white"}
    return {"color": COLORS[arm], "marker": "o", "linestyle": "-"}


def _two_networks(arms, **labels):
    """Return a figure with one plot of accuracies for each network, and the plots by arm."""
    figure, axes = new_figure(1, len(arms), size=(11, 4.8), sharey=True, squeeze=False)
    for ax, arm in zip(axes.flat, arms, strict=True):
        ax.axhline(0.1, color=figures.GREY, linestyle="--", linewidth=1.5, label="guessing")
        ax.set(title=arm, ylim=(0, 1.02), **labels)
    axes[0, 0].set(ylabel="test accuracy")
    return figure, dict(zip(arms, axes.flat, strict=True))


@figures.style()
def one_less(rights, total):
    """Draw the accuracy without each block, one network beside the other, with 95 % intervals.

    Args:
        rights: by arm and by the kind of running statistics, pictures classified correctly:
            ``{"intact": …, name of the block that is off: …}``.
        total: number of pictures.
    """
    figure, axes = _two_networks(rights, xlabel="block that is switched off")
    labels = list(max((found for by_name in rights.values() for found in by_name.values()),
                      key=len))
    sentences = []
    for arm, by_name in rights.items():
        for shift, (name, found) in zip((-0.15, 0.15), by_name.items(), strict=False):
            dots_and_bars(axes[arm], [labels.index(label) + shift for label in found],
                          [wilson(right, total) for right in found.values()], label=name,
                          **_look(arm, name) | {"linestyle": "none"})
        cut = {label: right / total for label, right in found.items() if label != "intact"}
        worst, best = (pick(cut, key=cut.get) for pick in (min, max))
        sentences.append(f"{arm}, {name}: intact {found['intact'] / total:.3f}, without one block "
                         f"{cut[worst]:.3f} ({worst}) to {cut[best]:.3f} ({best})")
        for label in set(labels) - set(found):
            axes[arm].text(labels.index(label), 0.5, "not possible", fontsize=12, rotation=90,
                           ha="center", va="center", color=figures.GREY)
        axes[arm].set_xticks(range(len(labels)), [label.removeprefix("layer") for label in labels],
                             rotation=45)
        axes[arm].grid(axis="x", visible=False)
    axes[arm].legend(loc="upper right", bbox_to_anchor=(1, 0.9))
    figure.caption = f"{'; '.join(sentences)}. Bars: 95 % intervals from {total:,} pictures."
    return figure


def regained(before, after):
    """Return which part of what the lesions cost comes back when statistics are measured again.

    Args:
        before, after: right answers ``{"intact": …, block: …}``, as stored and measured again.
    """
    costs = [sum(found["intact"] - right for right in found.values()) for found in (before, after)]
    return 1 - costs[1] / costs[0]


def by_number(rights, total, pick=statistics.median):
    """Return the median accuracy, or another, of all choices of blocks, by how many are missing."""
    return {number: pick(right / total for off, right in rights.items() if len(off) == number)
            for number in sorted(set(map(len, rights)))}


def wrong_from(rights, total):
    """Return from how many missing blocks on the median accuracy is below one half."""
    return min(number for number, median in by_number(rights, total).items() if median < 0.5)


@figures.style()
def several(recorded, total):
    """Draw the accuracy against the number of missing blocks: median and range of all choices.

    Args:
        recorded: by arm and by the kind of running statistics, ``{set of blocks: right}``.
        total: number of pictures.
    """
    figure, axes = _two_networks(recorded, xlabel="blocks missing")
    words = []
    for arm, kinds in recorded.items():
        for name, rights in kinds.items():
            low, middle, high = (by_number(rights, total, pick)
                                 for pick in (min, statistics.median, max))
            band(axes[arm], list(middle), low.values(), middle.values(), high.values(), alpha=0.18,
                 label=name, **_look(arm, name))
            some = [f"{middle[number]:.2f}" for number in (1, 2, 3, 5) if number in middle]
            words.append(f"{arm}, {name}: {', '.join(some)}")
        axes[arm].set(xticks=list(middle), title=f"{arm}: {len(middle) - 1} blocks can go")
        axes[arm].legend(loc="upper right")
    figure.caption = ("Median accuracy over all choices of 1, 2, 3, 5 blocks that are missing: "
                      f"{'; '.join(words)}. Bands reach from the worst choice to the best.")
    return figure


@figures.style()
def covered(cases, classes, patch):
    """Show pictures and, under each, how sure the answer is with a patch over every place.

    Args:
        cases: (picture (1, H, W), true class, answer, its confidence, map of the confidence by
            where the middle of the patch lies).
        classes: their names.
        patch: side of the patch in pixels.
    """
    figure, axes = new_figure(2, len(cases), size=(11, 4.2), squeeze=False)
    words = []
    for (above, below), (picture, truth, answer, sure, found) in zip(axes.T, cases, strict=True):
        image(above, picture[0].numpy(), cmap="gray_r")
        above.set_title(f"said {classes[answer]}\nis {classes[truth]}", fontsize=12)
        height, width = picture.shape[1:]
        drawn = image(below, found.numpy(), vmin=0, vmax=1,
                      extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        below.contour(picture[0].numpy(), levels=[0.15], colors="black", linewidths=1)
        for ax in (above, below):
            ax.axis("off")
        words.append(f"{classes[answer]} {sure:.2f}, {found.min():.2f}")
    figure.colorbar(drawn, ax=axes[1], label="confidence")
    figure.caption = (f"Its confidence, and the lowest with a patch over the picture: "
                      f"{'; '.join(words)}. Below: the same with "
                      f"{patch}×{patch} grey pixels around each place; the line is the outline.")
    return figure


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
                              sharey="row", height_ratios=(3, 1))
    sentences = []
    for (above, below), (arm, (confidence, right)) in zip(axes.T, answers.items(), strict=True):
        counts, sure, hits = calibration(confidence, right, bins)
        used = counts > 0
        color = COLORS.get(arm, figures.PINK)
        above.plot([0, 1], [0, 1], ":", color=figures.GREY, label="as sure as right")
        dots_and_bars(above, sure[used] / counts[used],
                      [wilson(*both) for both in zip(hits[used], counts[used], strict=True)],
                      color=color, marker=MARKERS.get(arm, "^"), label="measured")
        above.set(xlim=(0, 1.02), ylim=(0, 1.02), title=arm)
        below.bar((np.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color=color)
        below.set(xlabel="confidence")
        sentences.append(f"{arm}: mean confidence {confidence.mean():.3f}, accuracy "
                         f"{right.float().mean():.3f}, calibration error "
                         f"{abs(sure - hits).sum() / len(confidence):.3f}")
    axes[0, 0].set(ylabel="accuracy")
    axes[1, 0].set(ylabel="pictures")
    axes[0, 0].legend(loc="upper left")
    figure.caption = "; ".join(sentences) + f". {bins} bins; bars are 95 % intervals."
    return figure


@figures.style()
def beside_perfect(measured, perfect):
    """Draw calibration errors that were measured over those that perfect calibration shows.

    Args:
        measured: the error by network.
        perfect: by network, errors of answers that are right as often as they are sure.
    """
    figure, axes = new_figure(1, len(measured), size=(11, 3.4), squeeze=False)
    words = []
    for ax, (arm, error) in zip(axes.flat, measured.items(), strict=True):
        drawn = np.asarray(perfect[arm])
        ax.hist(drawn, bins=20, color=figures.GREY, alpha=0.5, label="perfect")
        ax.axvline(error, color=COLORS.get(arm, figures.PINK), label="measured")
        ax.set(title=arm, xlim=(0, None), xlabel="calibration error")
        more = (drawn >= error).mean()
        verdict = "cannot be told from that" if more >= RARE else "more than perfection shows"
        words.append(f"{arm}: {error:.3f}; perfect {drawn.mean():.3f} on average, as much or more "
                     f"in {more:.0%} of draws, {verdict}")
    axes[0, 0].set(ylabel="draws")
    ax.legend(loc="upper center")
    figure.caption = "; ".join(words) + f". The limit is {RARE:.0%}."
    return figure
