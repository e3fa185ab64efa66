"""Figures of notebook 08: what 200 pictures resolve, the published contrast taken apart, gaps."""

import math
import statistics

from resnet_lesson import figures
from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.figures import COLORS, DASHES, MARKERS
from resnet_lesson.findings import comparison
from resnet_lesson.findings.comparison import GUESSING, KINDS, PUBLISHED
from resnet_lesson.findings.conclusions import span
from resnet_lesson.findings.gradient_flow import FACTOR
from resnet_lesson.findings.intervals import t_interval, wilson
from resnet_lesson.words import listed, short, signed


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
    left.set(xlim=(-0.6, len(cells) - 0.4), ylim=(0, None), ylabel=_error_name(column),
             xlabel="arm and learning rate")
    names = {"as published": "as published", "arm": "the arm,\nequal rates",
             "rate": "the rate,\nequal arms"}
    right.axvline(0, color="black", linewidth=1.2)
    for place, (part, color) in enumerate(zip(names, (figures.GREY, figures.GREEN, figures.PINK),
                                              strict=True)):
        interval = t_interval(parts[part])
        right.plot(parts[part], [-place - 0.22] * interval.count, ".", color="black", alpha=0.6)
        if interval.count > 1:
            right.plot([interval.low, interval.high], [-place] * 2, color=color, linewidth=4)
        right.plot(interval.middle, -place, "D", color=color, markersize=11)
    told = PUBLISHED["residual"]["accuracy"] - PUBLISHED["plain"]["accuracy"]
    right.plot(told, 0.4, "*", color="black", markersize=15)
    right.annotate("their one run", (told, 0.4), (10, -5), textcoords="offset points",
                   fontsize=13)
    right.set_yticks([0, -1, -2], list(names.values()))
    right.set(ylim=(-2.6, 0.7), xlabel="part of plain − residual")
    figure.caption = _published_words(parts, cells, told, column)
    return figure


def _error_name(column):
    return {"test_error_200": "error, first 200 test digits",
            "test_error": "error, all test digits"}[column]


def _published_words(parts, cells, told, column):
    whole, arm, rate = (t_interval(parts[name]) for name in ("as published", "arm", "rate"))
    lean = [sum(value > 0 for value in parts["as published"]),
            sum(value < 0 for value in parts["as published"])]
    spread = (f"Single seeds give {signed(min(parts['as published']))} to "
              f"{signed(max(parts['as published']))}: plain looks worse in {lean[0]} of "
              f"{whole.count}, better in {lean[1]}")
    here = {"above": "the shortcut helps on these digits", "below": "the shortcut hurts on these "
            "digits", "tie": "the arms tie on these digits, since 0 lies inside",
            "unknown": "one seed decides nothing"}[arm.verdict]
    mean = statistics.fmean(value for values in cells.values() for value in values)
    return (f"{_error_name(column).capitalize()}, plain − residual with 95 % intervals over seeds. "
            f"The published settings (yellow) give {span(whole)}; their one run gave "
            f"{signed(told)}. {spread}. Of the mean, {signed(arm.middle)} is the arm "
            f"({signed(arm.low)} to {signed(arm.high)}) and {signed(rate.middle)} the rate "
            f"({signed(rate.low)} to {signed(rate.high)}). At equal rates {here}. The mean error "
            f"of all runs is {mean:.3f}." if whole.count > 1 else
            f"One seed has all four runs: as published {signed(whole.middle)}, of which the arm "
            f"makes {signed(arm.middle)} and the rate {signed(rate.middle)}.")


def causes(rows, column="test_error_200"):
    """Say which part of the published contrast is clear, its interval not containing 0.

    Returns:
        (answer, evidence): ``"neither"``, ``"the arm alone"``, ``"the rate alone"`` or ``"both"``,
        and the numbers; the answer is ``None`` where too few runs are recorded.
    """
    try:
        parts = comparison.decompose(rows, column)
    except ValueError as error:
        return None, f"{error}."
    found = {name: t_interval(values) for name, values in parts.items()}
    words = "; ".join(f"{name} {span(interval)}" for name, interval in found.items()) + "."
    verdicts = [found[name].verdict for name in ("arm", "rate")]
    if "unknown" in verdicts:
        return None, words
    return {(True, True): "neither", (False, True): "the arm alone", (True, False):
            "the rate alone", (False, False): "both"}[tuple(v == "tie" for v in verdicts)], words


def part_table(rows):
    """Return (headings, lines): the parts on the first 200 and on all test digits."""
    lines = []
    for which, column in (("first 200 test digits", "test_error_200"),
                          ("all test digits", "test_error")):
        try:
            parts = comparison.decompose(rows, column).values()
        except ValueError:
            continue
        lines.append([which, *(span(t_interval(values)) for values in parts)])
    return ["plain − residual", "as published", "of it the arm", "of it the rate"], lines


def scatter(rows):
    """Say how much seeds and the choice of pictures move one run's test error on digits.

    Returns:
        A sentence.
    """
    runs = {}
    for run in comparison.results([row for row in rows if row["study"] == "digits"]):
        runs.setdefault((run.arm, run.lr), []).append(run)
    runs = {key: found for key, found in runs.items() if len(found) > 1}
    if not runs:
        return "The study digits is not recorded yet, so nothing can be said about its scatter."
    seeds = math.sqrt(statistics.fmean(statistics.variance(run.test_error_200 for run in found)
                                       for found in runs.values()))
    error = statistics.fmean(run.test_error for found in runs.values() for run in found)
    first = statistics.fmean(run.test_error_200 for found in runs.values() for run in found)
    chance = math.sqrt(error * (1 - error) / 200)
    return (f"One run's error on the same 200 digits moves by about {seeds:.3f} from seed to seed "
            f"(standard deviation). Another choice of 200 digits moves it by about {chance:.3f} "
            f"more (binomial, at an error of {error:.3f}). A difference of two runs moves about "
            "1.4 times as much where they make unrelated mistakes, less where they fail on the "
            f"same digits. On the first 200 the mean error is {first:.3f}, on all "
            f"{error:.3f}.")


def _jitter(place, count, width=0.4):
    return [place + width * ((i + 0.5) / count - 0.5) for i in range(count)]


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
        ax.plot(range(len(there)), means, DASHES[arm], marker=MARKERS[arm], color=COLORS[arm],
                label=arm, markersize=11)
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
        found = t_interval([p - r for p, r in zip(plain, residual, strict=True)])
        words.append(f"{depth} layers: plain {statistics.fmean(plain):.3f}, residual "
                     f"{statistics.fmean(residual):.3f}, difference {span(found)}.")
    figure.caption = "Lines join means, dots are single seeds. " + " ".join(words)
    return figure


STUDIES = {"depth": "", "full": " (full set)", "no-norm": " (no norm)"}


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
        interval, verdict = value.interval, value.interval.verdict
        if interval.count > 1:
            ax.plot([interval.low, interval.high], [-place] * 2, color=colors[verdict],
                    linewidth=4)
        ax.plot(interval.middle, -place, marks[verdict], color=colors[verdict], markersize=11)
        ax.plot(value.differences, [-place - 0.3] * interval.count, ".", color="black", alpha=0.6)
    ax.set_yticks([-place for place in range(len(found))],
                  [f"{depth} layers{', ImageNet kind' * (depth in KINDS['ImageNet'])}"
                   f"{STUDIES[study]}" for study, depth, _ in found])
    ax.set(xlabel="training error, plain − residual", ylim=(-len(found) + 0.4, 0.6))
    ax.grid(axis="y", visible=False)
    missing = [study for study in studies if study not in {name for name, *_ in found}]
    figure.caption = _gap_words(found) + (
        f" Not recorded yet: {listed(missing)}." if missing else "")
    return figure


def _gap_words(found):
    groups = []
    for verdict, words in (("above", "Right of 0, a gap for the shortcut (green, round)"),
                           ("tie", "0 inside, a tie (grey, diamond)"),
                           ("below", "left of 0, a gap against the shortcut (pink, square)"),
                           ("unknown", "one seed, no interval (cross)")):
        chosen = [f"{depth}{STUDIES[study]}" for study, depth, value in found
                  if value.interval.verdict == verdict]
        if chosen or verdict != "unknown":
            groups.append(f"{words}: {listed(chosen) if chosen else 'nowhere'}")
    return (f"Bars are 95 % intervals over seeds, dots single seeds. {'; '.join(groups)}. Numbers "
            "are layers.")


def gap_table(rows, studies=("depth", "full")):
    """Return (headings, lines): both arms' best rates and errors, difference and interval."""
    lines = []
    for study in studies:
        for depth, value in comparison.all_paired(rows, study).items():
            plain, residual, interval = value.first, value.second, value.interval
            lines.append([
                f"{depth}{STUDIES[study]}",
                *(f"{side.mean:.3f} at {side.rate:g}{'*' * bool(side.edge)}"
                  for side in (plain, residual)),
                signed(interval.middle),
                f"{signed(interval.low)} to {signed(interval.high)}" if interval.count > 1 else "",
                interval.count])
    return ["layers", "plain", "residual", "difference", "95 % interval", "seeds"], lines


@figures.style()
def norms(rows):
    """Draw training error by depth with and without batch norm, each arm at its best rate."""
    studies = {"depth": "batch norm", "no-norm": "no norm"}
    found = {study: comparison.all_paired(rows, study) for study in studies}
    if not all(found.values()):
        missing = [name for study, name in studies.items() if not found[study]]
        return _nothing(f"No pair of runs with {listed(missing)} is recorded yet.")
    figure, axes = figures.new_figure(1, 2, size=(11, 4.2), sharey=True)
    there = [depth for kind in KINDS.values() for depth in kind
             if any(depth in pairs for pairs in found.values())]
    places = {depth: i + 0.5 * (depth in KINDS["ImageNet"]) for i, depth in enumerate(there)}
    for ax, (study, title) in zip(axes, studies.items(), strict=True):
        ax.axhline(GUESSING, color=figures.GREY, linestyle=":", linewidth=1.5)
        for arm, side in (("plain", 0), ("residual", 1)):
            for kind in KINDS.values():
                depths = [depth for depth in kind if depth in found[study]]
                ax.plot([places[depth] for depth in depths],
                        [found[study][depth][side].mean for depth in depths], DASHES[arm],
                        marker=MARKERS[arm], color=COLORS[arm],
                        label=arm if kind is KINDS["6n + 2"] else None)
                for depth in depths:
                    values = [run.train_error for run in found[study][depth][side].runs]
                    ax.plot([places[depth]] * len(values), values, ".", color="black", alpha=0.5,
                            markersize=5)
        ax.set_xticks(list(places.values()), [str(depth) for depth in places])
        ax.set(title=title, xlabel="layers (18 and 34: ImageNet kind)", ylim=(0, 1),
               xlim=(-0.5, max(places.values()) + 0.5))
    axes[0].set_ylabel("training error")
    axes[0].text(-0.4, GUESSING + 0.01, "guessing", fontsize=13, color=figures.GREY)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.caption = ("Each arm at its best rate; dots are single seeds. " + " ".join(
        _kept(rows, arm, found) for arm in ARMS)).strip()
    return figure


def _kept(rows, arm, found):
    """Say where batch norm lowers one arm's training error, and where it still only guesses."""
    groups = {"above": [], "tie": [], "below": [], "unknown": []}
    for depth in found["no-norm"]:
        if depth in found["depth"]:
            value = comparison.compare(rows, ("no-norm", arm, depth, None),
                                       ("depth", arm, depth, None))
            groups[value.interval.verdict].append(f"{depth} ({signed(-value.interval.middle)})")
    side = ARMS.index(arm)
    guessing = [depth for depth, value in found["no-norm"].items()
                if comparison.guesses(value[side])]
    lost = sum(value[side].diverged for value in found["no-norm"].values())
    words = {"above": "lowers it at", "tie": "makes no clear difference at", "below":
             "raises it at", "unknown": "cannot be judged at"}
    text = "; ".join(f"{words[verdict]} {listed(chosen)} layers"
                     for verdict, chosen in groups.items() if chosen)
    return (f"{arm.capitalize()}: batch norm {text}."
            + (f" Without it, no better than guessing, at any rate tried, at {listed(guessing)} "
               "layers.") * bool(guessing)
            + f" {lost} of its runs at the best rates diverged." * bool(lost))


def gradient_norms(rows, depth=56):
    """Say how large the gradient of the first layer's weights is at the first step and at last.

    The first one does not depend on the learning rate, since no step has been taken yet; the
    other is the mean over the last epoch, at each arm's best rate.
    """
    lines = []
    for study, name in (("depth", "batch norm"), ("no-norm", "no norm")):
        try:
            times = [(when, comparison.paired(rows, study, depth, column)) for when, column in (
                ("at the first step", "first_gradient_norm"), ("in the last epoch",
                                                               "gradient_norm"))]
        except ValueError:
            lines.append(f"{depth} layers, {name}: not recorded yet.")
            continue
        lines.append(f"{depth} layers, {name}: " + "; ".join(
            f"{when} {_norm(value.first.mean)} in plain and {_norm(value.second.mean)} in residual "
            f"networks, {_ratio(value.first.mean, value.second.mean)}" for when, value in times)
            + ".")
    return "\n".join(lines)


def _norm(value):
    return short(value) if math.isfinite(value) else "no number, since a run diverged,"


def _ratio(plain, residual):
    ratio = plain / residual if residual else math.nan
    if math.isnan(ratio):
        return "no ratio"
    word = (f"less than 1/{FACTOR} of it" if ratio < 1 / FACTOR else "smaller" if ratio < 1 else
            "no smaller" if ratio <= FACTOR else f"more than {FACTOR} times as large")
    return f"plain ÷ residual {short(ratio)}: {word}"
