"""Figures of notebook 08: what 200 pictures resolve, the published contrast taken apart, gaps."""

import statistics

from resnet_lesson import figures
from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.figures import COLORS, DASHES, MARKERS
from resnet_lesson.findings import comparison, conclusions
from resnet_lesson.findings.comparison import GUESSING, KINDS, PUBLISHED
from resnet_lesson.findings.intervals import t_interval, wilson
from resnet_lesson.words import listed


@figures.style()
def resolution(shares, totals):
    """Draw the interval (Wilson) of each share if it were measured on so many pictures.

    Args:
        shares: ``{name: share of right answers}``, names as in ``figures.COLORS``.
        totals: numbers of test pictures.
    """
    figure, ax = figures.new_figure(size=(9.5, 0.5 * len(totals) * len(shares) + 1.3))
    words, places = [], []
    for i, total in enumerate(totals):
        found = {}
        for j, (name, share) in enumerate(shares.items()):
            place = -(i * (len(shares) + 0.6) + j)
            found[name] = interval = wilson(round(share * total), total)
            ax.plot([interval.low, interval.high], [place] * 2, DASHES[name], color=COLORS[name])
            ax.plot(interval.middle, place, MARKERS[name], color=COLORS[name], markersize=10)
            places.append((place, f"{name}, {total:,} pictures"))
        apart = max(one.low for one in found.values()) > min(one.high for one in found.values())
        each = ", ".join(f"{name} {interval.low:.3f} to {interval.high:.3f}"
                         for name, interval in found.items())
        words.append(f"{total:,} pictures: {each}; the intervals "
                     f"{'do not overlap' if apart else 'overlap'}.")
    ax.set_yticks(*zip(*places, strict=True))
    ax.set(xlabel="share of test pictures that are right, with its 95 % interval")
    ax.grid(axis="y", visible=False)
    figure.caption = " ".join(words)
    return figure


def _nothing(words):
    """Return a figure that says in words why it is empty."""
    figure, ax = figures.new_figure(size=(9, 1.6))
    ax.axis("off")
    ax.text(0.5, 0.5, "nothing recorded yet", ha="center", va="center", fontsize=16)
    figure.caption = words
    return figure


@figures.style()
def published(rows, column="test_error_200"):
    """Draw the digits study: each run in its cell, and the published contrast taken apart.

    Args:
        rows: of the sweep.
        column: which error, ``"test_error_200"`` or ``"test_error"``.
    """
    try:
        parts = comparison.decompose(rows, column)
    except ValueError as error:
        return _nothing(f"{error}.")
    figure, (left, right) = figures.new_figure(1, 2, size=(11, 4.6), width_ratios=(1.15, 1))
    cells = {(arm, rate): [getattr(run, column) for run in comparison.by_rate(
                 rows, "digits", arm, 18)[rate].values()]
             for rate in sorted(side["lr"] for side in PUBLISHED.values()) for arm in ARMS}
    for place, ((arm, rate), values) in enumerate(cells.items()):
        left.plot(_jitter(place, len(values)), values, MARKERS[arm], color=COLORS[arm], alpha=0.55)
        left.plot([place - 0.33, place + 0.33], [statistics.fmean(values)] * 2, DASHES[arm],
                  color=COLORS[arm], linewidth=3)
        if PUBLISHED[arm]["lr"] == rate:
            left.axvspan(place - 0.45, place + 0.45, color=figures.YELLOW, alpha=0.35, linewidth=0)
    left.set_xticks(range(len(cells)), [f"{arm}\n{rate:g}" for arm, rate in cells])
    left.set(xlim=(-0.6, len(cells) - 0.4), ylim=(0, None), ylabel=conclusions.ERRORS[column],
             xlabel="arm and learning rate")
    names = {"as published": "as published", "arm": "the arm,\nequal rates",
             "rate": "the rate,\nequal arms"}
    right.axvline(0, color="black", linewidth=1.2)
    for place, (part, color) in enumerate(zip(names, (figures.GREY, figures.GREEN, figures.PINK),
                                              strict=True)):
        _difference(right, -place, t_interval(parts[part]), parts[part], 0.22, "D", color)
    told = PUBLISHED["residual"]["accuracy"] - PUBLISHED["plain"]["accuracy"]
    right.plot(told, 0.4, "*", color="black", markersize=15)
    right.annotate("their one run", (told, 0.4), (10, -5), textcoords="offset points",
                   fontsize=13)
    right.set_yticks([0, -1, -2], list(names.values()))
    right.set(ylim=(-2.6, 0.7), xlabel="part of plain − residual")
    errors = [value for values in cells.values() for value in values]
    figure.caption = conclusions.published_words(parts, errors, column)
    return figure


def _jitter(place, count, width=0.4):
    return [place + width * ((i + 0.5) / count - 0.5) for i in range(count)]


def _difference(ax, height, interval, singles, below, marker, color):
    """Draw a difference as a bar around its middle, and single seeds so far below it."""
    ax.plot(singles, [height - below] * len(singles), ".", color="black", alpha=0.6)
    if interval.count > 1:
        ax.plot([interval.low, interval.high], [height] * 2, color=color, linewidth=4)
    ax.plot(interval.middle, height, marker, color=color, markersize=11)


@figures.style()
def live(errors):
    """Draw training errors measured just now, by depth, and say their paired difference.

    Args:
        errors: ``{(arm, depth): [error of each seed]}``, seeds in one order.
    """
    figure, ax = figures.new_figure(size=(9, 4.2))
    there = sorted({depth for _, depth in errors})
    for arm in ARMS:
        means = [statistics.fmean(errors[arm, depth]) for depth in there]
        ax.plot(range(len(there)), means, **figures.arm_look(arm), label=arm, markersize=11)
        for place, depth in enumerate(there):
            ax.plot(_jitter(place, len(errors[arm, depth]), 0.15), errors[arm, depth], ".",
                    color="black", alpha=0.7)
    ax.set_xticks(range(len(there)), [f"{depth} layers" for depth in there])
    ax.set(xlim=(-0.5, len(there) - 0.5), ylim=(0, 1), ylabel="training error",
           xlabel="depth of the network")
    ax.legend(loc="upper left")
    words = []
    for depth in there:
        plain, residual = errors["plain", depth], errors["residual", depth]
        found = conclusions.span(t_interval(comparison.differences(plain, residual)))
        words.append(f"{depth} layers: plain {statistics.fmean(plain):.3f}, residual "
                     f"{statistics.fmean(residual):.3f}, difference {found}.")
    figure.caption = "Lines join means, dots are single seeds. " + " ".join(words)
    return figure


@figures.style()
def gaps(rows, studies=("depth", "full"), column="train_error"):
    """Draw plain − residual by depth with t intervals over seeds, each arm at its best rate."""
    found = [(study, depth, value) for study in studies
             for depth, value in comparison.all_paired(rows, study, column).items()]
    if not found:
        return _nothing(f"No pair of runs of {listed(studies)} is recorded yet; python -m "
                        "resnet_lesson.experiments.sweep makes them.")
    figure, ax = figures.new_figure(size=(9.5, 0.5 * len(found) + 1.6))
    colors = {"above": figures.GREEN, "below": figures.PINK, "tie": figures.GREY,
              "unknown": figures.GREY}
    marks = {"above": "o", "below": "s", "tie": "D", "unknown": "x"}
    ax.axvline(0, color="black", linewidth=1.5)
    for place, (_, _, value) in enumerate(found):
        verdict = value.interval.verdict
        _difference(ax, -place, value.interval, value.differences, 0.3, marks[verdict],
                    colors[verdict])
    ax.set_yticks([-place for place in range(len(found))],
                  [f"{depth} layers{', ImageNet kind' if depth in KINDS['ImageNet'] else ''}"
                   f"{conclusions.AFTER[study]}" for study, depth, _ in found])
    ax.set(xlabel="training error, plain − residual", ylim=(-len(found) + 0.4, 0.6))
    ax.grid(axis="y", visible=False)
    missing = [study for study in studies if study not in {name for name, *_ in found}]
    figure.caption = conclusions.gap_words(found)
    if missing:
        figure.caption += f" Not recorded yet: {listed(missing)}."
    return figure


@figures.style()
def norms(rows):
    """Draw training error by depth with and without batch norm, each arm at its best rate."""
    studies = {"depth": "batch norm", "no-norm": "no norm"}
    pairs = {study: comparison.all_paired(rows, study) for study in studies}
    if not all(pairs.values()):
        missing = [name for study, name in studies.items() if not pairs[study]]
        return _nothing(f"No pair of runs with {listed(missing)} is recorded yet.")
    sides = {(study, arm): {depth: value[i] for depth, value in pairs[study].items()}
             for study in studies for i, arm in enumerate(ARMS)}
    figure, axes = figures.new_figure(1, 2, size=(11, 4.2), sharey=True)
    there = [depth for kind in KINDS.values() for depth in kind
             if any(depth in found for found in pairs.values())]
    places = {depth: i + 0.5 * (depth in KINDS["ImageNet"]) for i, depth in enumerate(there)}
    for ax, (study, title) in zip(axes, studies.items(), strict=True):
        ax.axhline(GUESSING, color=figures.GREY, linestyle=":", linewidth=1.5)
        for arm in ARMS:
            for kind, layers in KINDS.items():
                found = {depth: side for depth, side in sides[study, arm].items()
                         if depth in layers}
                ax.plot([places[depth] for depth in found], [side.mean for side in found.values()],
                        label=arm if kind == "6n + 2" else None, **figures.arm_look(arm))
                for depth, side in found.items():
                    ax.plot([places[depth]] * len(side.values), side.values, ".", color="black",
                            alpha=0.5, markersize=5)
        ax.set_xticks(list(places.values()), [str(depth) for depth in places])
        ax.set(title=title, xlabel="layers (18 and 34: ImageNet kind)", ylim=(0, 1),
               xlim=(-0.5, max(places.values()) + 0.5))
    axes[0].set_ylabel("training error")
    axes[0].text(-0.4, GUESSING + 0.01, "guessing", fontsize=13, color=figures.GREY)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.caption = " ".join([
        "Each arm at its best rate; dots are single seeds.",
        *(conclusions.norm_words(rows, arm, sides["depth", arm], sides["no-norm", arm])
          for arm in ARMS)])
    return figure
