"""Figures and tables of notebook A3: the ladder, and what the records of the recipes say."""

import math
import sys
from itertools import accumulate, pairwise
from statistics import fmean, median

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from resnet_lesson import figures
from resnet_lesson.experiments.recipes import JOINED
from resnet_lesson.figures import BLUE, GREY, ORANGE, line_look, new_figure
from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.training.arrangement import GRADIENT_AGREE, LOGITS_AGREE
from resnet_lesson.words import listed

TICKS = [number * 10.0 ** power for power in range(-2, 5) for number in (1, 2, 5)]
VERDICTS = {"above": "more right", "below": "fewer right", "tie": "not decided",
            "unknown": "not decided: one seed"}


def told(ratios):
    """Return ratios in words: their median and their range."""
    return (f"× {median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g} in "
            f"{len(ratios)} rounds)")


def rounds(name):
    """Return the numbers 0 to 4, with a bar while they are gone through."""
    return tqdm(range(5), name, leave=False, file=sys.stdout)


def millions(network, size):
    """Return the multiply-adds of one grey picture on its way through a network, in millions."""
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 1, size, size))
    return counter.get_total_flops() / 2e6   # it counts a multiply-add as two


def ways_table(timings):
    """Return (headings, lines) for ``show_table``: each ``Timing``, and the limits of agreement."""
    return (["way to compute a step", "seconds", f"logits differ (at most {LOGITS_AGREE:.0%})",
             f"gradient's cosine (at least {GRADIENT_AGREE})", "agrees"],
            [[found.arrangement, f"{found.seconds:.2f}", f"{found.logits_difference:.1%}",
              f"{found.gradient_cosine:.2f}", "no" if found.why_not else "yes"]
             for found in timings])


@figures.style()
def ladder(rungs):
    """Draw what each rung gained over the one below it: every round a dot, the median a line.

    ``rungs`` are lists of ratios by name, from the bottom up. The last is the top against the
    bottom.
    """
    figure, ax = new_figure(size=(11, 0.7 * len(rungs) + 1.4))
    ax.axvline(1, color=GREY, linestyle=":")
    middles = [median(ratios) for ratios in rungs.values()]
    for place, (middle, ratios) in enumerate(zip(middles, rungs.values(), strict=True)):
        color = ORANGE if place == len(rungs) - 1 else BLUE
        ax.plot(ratios, [place] * len(ratios), "o", color=color, alpha=0.6)
        ax.plot([middle] * 2, [place - 0.3, place + 0.3], color=color)
        ax.text(1, place, f" × {middle:.3g}", va="center", transform=ax.get_yaxis_transform())
    ax.set_yticks(range(len(rungs)), rungs)
    ends = [1.0, *(ratio for ratios in rungs.values() for ratio in ratios)]
    low, high = 0.8 * min(ends), 1.3 * max(ends)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    ax.set(xscale="log", xlim=(low, high), xlabel="times as fast (logarithmic)")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    figure.caption = (
        "A dot is a round, a line the median; left of 1 the change made it slower. The rungs' "
        f"medians multiply to {math.prod(middles[:-1]):.3g}; measured in turns, the top is "
        f"{middles[-1]:.3g} times as fast as the bottom.")
    return figure


# ---------------------------------------------------------------- the records


def runs(rows):
    """Return the epochs of each finished run, by (recipe, data, seed)."""
    found = {}
    for row in rows:
        found.setdefault((row["recipe"], row["data"], row["seed"]), []).append(row)
    return {key: epochs for key, epochs in found.items() if epochs[-1]["test_accuracy"] != ""}


def recipe_table(rows):
    """Return (headings, lines) for ``show_table``: what the recorded recipes reach, one a line.

    A recipe that also averaged over several views of each test picture has a second line for that.
    Seconds are those of training, as recorded, the mean over seeds.
    """
    kinds = {}
    for (recipe, data, _), epochs in runs(rows).items():
        kinds.setdefault((recipe, data), []).append(epochs)
    lines = []
    for (recipe, data), found in kinds.items():
        last = [epochs[-1] for epochs in found]
        seconds = fmean(sum(row["seconds"] for row in epochs) for epochs in found)
        name = recipe + (JOINED if data.endswith(JOINED) else "")
        for column, asked in (("test_accuracy", name),
                              ("views_accuracy", f"{name}, {last[0].get('views')} views")):
            if last[0].get(column, "") == "":
                continue
            spread = t_interval([row[column] for row in last])
            between = (f"{spread.low:.3f} to {spread.high:.3f}" if len(last) > 1
                       else "unknown from one seed")
            lines.append([asked, f"{last[0]['parameters']:,}", last[0]["epochs"],
                          f"{last[0]['epochs'] * last[0]['steps']:,}", f"{seconds:,.0f}",
                          len(last), f"{spread.middle:.4f}", between])
    return (["recipe", "parameters", "epochs", "steps", "seconds", "seeds", "test accuracy",
             "95 % interval over seeds"], lines)


def paired(rows):
    """Return, by what is compared, the ``Interval`` over seeds of a difference of test accuracy.

    Several views against one are asked of the same weights; training with the validation pictures
    too is compared with training without them, seed by seed.
    """
    ends = {key: epochs[-1] for key, epochs in runs(rows).items()}
    changes = {}
    for (recipe, data, seed), end in ends.items():
        joined = JOINED if data.endswith(JOINED) else ""
        if end.get("views_accuracy", "") != "":
            changes.setdefault(f"{recipe}{joined}: {end['views']} views − 1, same weights",
                               []).append(end["views_accuracy"] - end["test_accuracy"])
        without = ends.get((recipe, data.removesuffix(JOINED), seed))
        if joined and without:
            changes.setdefault(f"{recipe}: with − without validation, same seeds",
                               []).append(end["test_accuracy"] - without["test_accuracy"])
    return {what: t_interval(values) for what, values in changes.items()}


def paired_table(rows):
    """Return (headings, lines) for ``show_table``: what a change gave, pair by pair."""
    return (["test accuracy", "seeds", "difference", "95 % interval over seeds", "so"],
            [[what, found.count, f"{found.middle:+.4f}", f"{found.low:+.4f} to {found.high:+.4f}",
              VERDICTS[found.verdict]] for what, found in paired(rows).items()])


def worst_falls(rows, last=None):
    """Return, by recipe, how far validation accuracy fell at most from an epoch to the next.

    Of several seeds the worst counts, of each run all epochs or the ``last`` so many.
    """
    worst = {}
    for (recipe, data, _), epochs in runs(rows).items():
        if not data.endswith(JOINED):
            accuracies = [row["validation_accuracy"] for row in epochs][-(last or 0):]
            worst[recipe] = max([worst.get(recipe, 0), *(a - b for a, b in pairwise(accuracies))])
    return worst


@figures.style()
def progress(rows, targets):
    """Draw validation accuracy over recorded seconds of training, a line a run, and targets."""
    figure, ax = new_figure(size=(11, 5))
    looks, first = {}, {target: {} for target in targets}
    for (recipe, data, _), epochs in runs(rows).items():
        if data.endswith(JOINED):
            continue
        seconds = list(accumulate(row["seconds"] for row in epochs))
        accuracies = [row["validation_accuracy"] for row in epochs]
        label = None if recipe in looks else recipe
        ax.plot(seconds, accuracies, **looks.setdefault(recipe, line_look(len(looks))),
                label=label, linewidth=1.5, markersize=5)
        for target, found in first.items():
            reached = [s for s, accuracy in zip(seconds, accuracies, strict=True)
                       if accuracy >= target]
            found.setdefault(recipe, []).append(reached[0] if reached else math.inf)
    for target in targets:
        ax.axhline(target, color=GREY, linestyle=":")
        ax.text(1, target, f" {target}", transform=ax.get_yaxis_transform(), va="center")
    ax.set(xscale="log", xlabel="seconds of training, recorded (logarithmic)",
           ylabel="validation accuracy")
    ax.legend(loc="lower right")
    said = [f"{target} on validation: {listed(map(_after, found, found.values()))}"
            for target, found in first.items()]
    figure.caption = ("A line is a run, a mark an epoch. Seconds until an epoch ended with "
                      f"{'. With '.join(said)}.")
    return figure


def _after(recipe, seconds):
    """Return in a few words when the runs of a recipe had what was asked."""
    ends = [f"{one:,.0f}" if one < math.inf else "never" for one in (min(seconds), max(seconds))]
    return f"{recipe} {' to '.join(dict.fromkeys(ends))}"
