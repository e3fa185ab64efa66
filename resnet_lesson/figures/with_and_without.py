"""Figures of notebook 08: training to the end, the published comparison, live pairs, gaps."""

import statistics

from resnet_lesson import figures
from resnet_lesson.experiments.long import DEPTHS
from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.figures import COLORS, DASHES, MARKERS
from resnet_lesson.figures.axes import above, bounds, log_axis
from resnet_lesson.findings import comparison, conclusions, long
from resnet_lesson.findings.comparison import GUESSING, KINDS, LEARNED, PUBLISHED
from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.words import count, listed


@figures.style()
def curves(rows, part):
    """Draw the training error of a part of the study ``long`` against steps, one line a seed.

    Args:
        rows: of the study, of any parts.
        part: ``"grid"``, ``"end"`` or ``"full"``.
    """
    sides = {(arm, depth): list(long.runs(rows, part, arm, depth).values()) for arm in ARMS
             for depth in DEPTHS}
    every = [row for runs in sides.values() for run in runs for row in run]
    if not every:
        return _nothing(f"The part {part} is not recorded yet; python -m "
                        f"resnet_lesson.experiments.long {part} makes it.")
    figure, axes = figures.new_figure(1, 2, size=(11, 4.8), sharey=True)
    words = []
    for ax, arm in zip(axes, ARMS, strict=True):
        zero = log_axis(ax, *bounds([row["train_error"] for row in every], 0, 0), zero=True)
        for depth, look in zip(DEPTHS, ({"color": figures.GREY, "linestyle": "--"},
                                        {"color": COLORS[arm]}), strict=True):
            for i, run in enumerate(sides[arm, depth]):
                ax.plot([row["step"] for row in run], above([row["train_error"] for row in run],
                        zero), linewidth=1.3, label=None if i else f"{depth} layers", **look)
        ax.set(xscale="log", xlabel="steps", title=arm)
        ax.set_xticks([step for step in (100, 200, 500, 1000, 2000, 5000, 10_000)
                       if every[0]["step"] <= step <= every[-1]["step"]])
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.minorticks_off()
        ax.legend(loc="lower left", bbox_to_anchor=(0, 0.12))
    for (arm, depth), runs in sides.items():
        if runs:
            end = statistics.fmean(run[-1]["train_error"] for run in runs)
            words.append(f"{arm}, {depth} layers {end:.4f} (rate {runs[0][0]['lr']:g}, "
                         f"{count(len(runs), 'seed')})")
    axes[0].set_ylabel("training error")
    first = every[0]
    figure.caption = (
        f"{first['data']}, {first['train_pictures']:,} pictures, {first['epochs']} epochs. "
        "Training error in evaluation mode after every epoch, one line a seed, both scales "
        f"logarithmic; the grey strip is 0. Means at the end: {'; '.join(words)}.")
    return figure


def _nothing(words):
    """Return a figure that says in words why it is empty."""
    figure, ax = figures.new_figure(size=(9, 1.6))
    ax.axis("off")
    ax.text(0.5, 0.5, "nothing recorded yet", ha="center", va="center", fontsize=16)
    figure.caption = words
    return figure


@figures.style()
def published(rows):
    """Draw the digits study: each run in its cell, and plain − residual for three pairs of cells.

    Shown is the error on the first 200 test digits, as many as were published.
    """
    try:
        parts = comparison.contrasts(rows)
    except ValueError as error:
        return _nothing(f"{error}.")
    figure, (left, right) = figures.new_figure(1, 2, size=(11, 4.6), width_ratios=(1.15, 1))
    rates = sorted(side["lr"] for side in PUBLISHED.values())
    cells = {(arm, rate): list(comparison.by_rate(rows, "digits", arm, 18)[rate].values())
             for rate in rates for arm in ARMS}
    for place, ((arm, rate), runs) in enumerate(cells.items()):
        values = [run.test_error_200 for run in runs]
        left.plot(_jitter(place, len(values)), values, MARKERS[arm], color=COLORS[arm], alpha=0.55)
        left.plot([place - 0.33, place + 0.33], [statistics.fmean(values)] * 2, DASHES[arm],
                  color=COLORS[arm], linewidth=3)
        if PUBLISHED[arm]["lr"] == rate:
            left.axvspan(place - 0.45, place + 0.45, color=figures.YELLOW, alpha=0.35, linewidth=0)
    left.set_xticks(range(len(cells)), [f"{arm}\n{rate:g}" for arm, rate in cells])
    left.set(xlim=(-0.6, len(cells) - 0.4), ylim=(0, None), ylabel="error, first 200 test digits",
             xlabel="arm and learning rate")
    right.axvline(0, color="black", linewidth=1.2, zorder=0.9)
    for place, (values, color) in enumerate(zip(parts.values(), (
            figures.AMBER, figures.GREEN, figures.GREEN), strict=True)):
        _difference(right, -place, t_interval(values), values, color=color)
    told = PUBLISHED["residual"]["accuracy"] - PUBLISHED["plain"]["accuracy"]
    right.plot(told, 0.5, "*", color="black", markersize=15)
    right.text(0.004, 0.5, "← their one run", va="center", fontsize=13)
    right.set_yticks([0, -1, -2], [name.replace(" at", " at\n") for name in parts])
    right.set(ylim=(-2.6, 0.8), xlabel="plain − residual")
    right.grid(axis="y", visible=False)
    figure.caption = conclusions.published_words(parts, sum(cells.values(), []))
    return figure


def _jitter(place, many, width=0.4):
    return [place + width * ((i + 0.5) / many - 0.5) for i in range(many)]


def _difference(ax, height, interval, singles, *, marker="D", color):
    """Draw a difference as a bar around its middle, and single seeds, side by side, below it."""
    ax.plot(singles, _jitter(height - 0.3, len(singles), 0.2), ".", color="black", alpha=0.6)
    if interval.count > 1:
        ax.plot([interval.low, interval.high], [height] * 2, color=color, linewidth=4)
    ax.plot(interval.middle, height, marker, color=color, markersize=11)


@figures.style()
def live(errors):
    """Draw training errors measured just now, by depth, and say their paired difference.

    Args:
        errors: ``{depth: {arm: [error of each seed]}}``, seeds in one order.
    """
    figure, ax = figures.new_figure(size=(9, 4.2))
    words = []
    for arm in ARMS:
        ax.plot(range(len(errors)), [statistics.fmean(found[arm]) for found in errors.values()],
                **figures.arm_look(arm), label=arm, markersize=11)
    for place, (depth, found) in enumerate(errors.items()):
        for arm, shift in zip(ARMS, (-0.06, 0.06), strict=True):
            ax.plot([place + shift] * len(found[arm]), found[arm], MARKERS[arm],
                    color=COLORS[arm], fillstyle="none")
        gap = t_interval(comparison.differences(found["plain"], found["residual"]))
        words.append(f"{depth} layers: plain {statistics.fmean(found['plain']):.3f}, residual "
                     f"{statistics.fmean(found['residual']):.3f}, difference "
                     f"{conclusions.span(gap)}.")
    ax.set_xticks(range(len(errors)), [f"{depth} layers" for depth in errors])
    ax.set(xlim=(-0.5, len(errors) - 0.5), ylim=(0, 1), ylabel="training error",
           xlabel="depth of the network")
    ax.legend(loc="upper left")
    figure.caption = "Lines join means, open marks are single seeds. " + " ".join(words)
    return figure


@figures.style()
def gaps(rows, studies=("depth", "full")):
    """Draw plain − residual by depth with t intervals over seeds, each arm at its best rate."""
    found = [(study, depth, value) for study in studies
             for depth, value in comparison.all_paired(rows, study).items()]
    if not found:
        return _nothing(f"No pair of runs of {listed(studies)} is recorded yet; python -m "
                        "resnet_lesson.experiments.sweep makes them.")
    figure, ax = figures.new_figure(size=(10, 0.5 * len(found) + 1.6))
    colors = {"above": figures.GREEN, "below": figures.PINK, "tie": figures.GREY,
              "unknown": figures.GREY}
    marks = {"above": "o", "below": "s", "tie": "D", "unknown": "x"}
    ax.axvline(0, color="black", linewidth=1.5, zorder=0.9)
    names = []
    for place, (study, depth, value) in enumerate(found):
        verdict = value.interval.verdict
        _difference(ax, -place, value.interval, value.differences, marker=marks[verdict],
                    color=colors[verdict])
        rates = " and ".join(f"{side.rate:g}{'*' if side.edge else ''}" for side in value[:2])
        kind = ", ImageNet kind" if depth in KINDS["ImageNet"] else conclusions.AFTER[study]
        names.append(f"{depth} layers{kind}, rates {rates}")
    ax.set_yticks([-place for place in range(len(found))], names)
    ax.set(xlabel="training error, plain − residual", ylim=(-len(found) + 0.4, 0.6))
    ax.grid(axis="y", visible=False)
    missing = [study for study in studies if study not in {name for name, *_ in found}]
    figure.caption = conclusions.gap_words(found)
    if missing:
        figure.caption += f" Not recorded yet: {listed(missing)}."
    return figure


@figures.style()
def without_norm(rows):
    """Draw every run of the study no-norm by depth, for the networks of the 6n + 2 kind."""
    there = [depth for depth in comparison.depths(rows, "no-norm") if depth in KINDS["6n + 2"]]
    found = {(arm, depth): [run for runs in comparison.by_rate(rows, "no-norm", arm, depth).values()
                            for run in runs.values()] for arm in ARMS for depth in there}
    if not found:
        return _nothing("No run without norm is recorded yet; python -m "
                        "resnet_lesson.experiments.sweep no-norm makes them.")
    figure, ax = figures.new_figure(size=(10, 4.2))
    for (arm, depth), runs in found.items():
        shift = 0.2 if arm == "residual" else -0.2
        ax.plot(_jitter(there.index(depth) + shift, len(runs), 0.3),
                [run.train_error for run in runs], MARKERS[arm], color=COLORS[arm],
                fillstyle="none", label=arm if depth == there[0] else None)
    for height, words in ((GUESSING, "guessing"), (LEARNED, "half right")):
        ax.axhline(height, color=figures.GREY, linestyle=":", linewidth=1.5, zorder=0.9)
        ax.text(len(there) - 0.45, height, words, fontsize=13, color=figures.GREY, va="center")
    ax.set_xticks(range(len(there)), [f"{depth} layers" for depth in there])
    ax.set(xlim=(-0.5, len(there) - 0.5), ylim=(0, 1.02), ylabel="training error")
    ax.legend(loc="lower right")
    figure.caption = conclusions.learned_words(found)
    return figure
