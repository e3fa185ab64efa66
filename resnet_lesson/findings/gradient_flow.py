"""What the recorded gradients say: summaries, verdicts, tables."""

import math
import statistics
from typing import NamedTuple

from resnet_lesson.experiments.gradients import INITIALISATIONS, NORMS
from resnet_lesson.words import short

FACTOR = 100  # a ratio beyond 1/100 … 100 is called vanishing or exploding
STARTS = {"default": "PyTorch", "xavier": "Xavier", "he": "He"}
CLEAR = 10    # one ratio is called clearly better if it is so many times closer to 1


class Summary(NamedTuple):
    """Median and extremes over seeds, and how many of the values are exactly zero."""

    median: float
    low: float
    high: float
    zeros: int
    seeds: int


def summarise(rows, column="gradient_ratio"):
    """Return ``{setting: Summary}`` of one column of the rows, setting as in ``Row.setting``."""
    groups = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(getattr(row, column))
    return {setting: Summary(statistics.median(values), min(values), max(values),
                             values.count(0), len(values))
            for setting, values in groups.items()}


def verdict(value):
    """Return ``"vanishes"``, ``"holds"`` or ``"explodes"`` for a ratio.

    A ratio that is not a number comes from 0 / 0: nothing arrives at either end.
    """
    if math.isnan(value) or value < 1 / FACTOR:
        return "vanishes"
    return "explodes" if value > FACTOR else "holds"


def name(norm, initialisation):
    """Return norm and initialisation as words."""
    return f"{STARTS[initialisation]}, {norm.replace('none', 'no norm')}"


def effect(plain, residual):
    """Return whether the shortcut ``"helps"``, ``"hurts"`` or ``"makes no clear difference"``.

    It helps where its ratio is ``CLEAR`` times closer to 1, up or down, than the plain one.
    """
    far, near = (abs(math.log10(ratio)) if 0 < ratio < math.inf else math.inf
                 for ratio in (plain, residual))
    if far == near or abs(far - near) < math.log10(CLEAR):
        return "makes no clear difference"
    return "helps" if near < far else "hurts"


def scale_free(rows, depth):
    """Return (headings, lines): of five kinds of networks the gradient, the spread, their product.

    Gradients and product are first ÷ last block, the spread of the activations is last ÷ first,
    all medians over seeds. The product has no unit: in larger units of activation the spread is
    smaller and the gradient larger by the same factor.
    """
    gradient, spread, weights = (summarise(rows, f"{column}_ratio")
                                 for column in ("gradient", "activation", "weight"))
    product = summarise([row._replace(gradient_ratio=row.gradient_ratio / row.activation_ratio)
                         for row in rows])
    return (["network", "gradient, first ÷ last", "spread, last ÷ first", "gradient × spread",
             "gradient of weights"],
            [[f"{arm}, {name(norm, start)}",
              *(short(part[arm, norm, start, depth].median)
                for part in (gradient, spread, product, weights))]
             for arm, norm, start in (
                 ("residual", "none", "he"), ("plain", "none", "xavier"), ("plain", "none", "he"),
                 ("residual", "batch norm", "he"), ("plain", "batch norm", "he"))])


def against_rule(rows, factors, depth):
    """Return (headings, lines): the rule's factors per block beside what was measured.

    Args:
        rows: measured rows.
        factors: ``{(shortcut, initialisation): factor per block}``, for networks without norm.
        depth: in blocks, so that there are ``depth − 1`` steps from the last to the first.
    """
    found = summarise(rows)
    return (["network without norm", "factor per block", f"rule, {depth} blocks", "measured"],
            [[f"{arm}, {STARTS[start]}", f"{factor:.2f}", short(factor ** (depth - 1)),
              short(found[arm, "none", start, depth].median)]
             for (arm, start), factor in factors.items()])


def growth(rows, norm, start):
    """Return (headings, lines): by depth, first ÷ last block, plain by block, residual ÷ depth."""
    found = summarise(rows)
    lines = []
    for depth in sorted({row.depth for row in rows}):
        plain, residual = (found[arm, norm, start, depth].median for arm in ("plain", "residual"))
        lines.append([depth, short(plain), f"{plain ** (1 / (depth - 1)):.2f}", short(residual),
                      f"{residual / depth:.2f}"])
    return ["blocks", "plain", "plain, factor per block", "residual", "residual ÷ blocks"], lines


def story(rows, carried, alike, depth):
    """Return (headings, lines): four sentences that are told, and where each holds.

    Args:
        rows: measured rows.
        carried: ``{network: shares of the gradient by path length}``.
        alike: ``{(shortcut, norm): tensor (seeds, points)}``, ``correlation_by_distance`` of He's
            start, in as many blocks as the paths have.
        depth: of the rows to judge the first two sentences by, in blocks.
    """
    medians = {key: summary.median for key, summary in summarise(rows).items()}
    paths = len(next(iter(carried.values()))) - 1
    lengths = [(f"{network} ({mean_length(shares):.1f} of {paths})",
                2 * mean_length(shares) < paths) for network, shares in carried.items()]
    large = {f"{arm}, {norm.replace('none', 'no norm')} ({short(medians[arm, norm, 'he', paths])}":
             float(runs[:, 1].mean()) for (arm, norm), runs in alike.items()
             if verdict(medians[arm, norm, "he", paths]) == "explodes"}
    sizes = [(f"{words}, cosine {cosine:.2f})", max(large.values()) - min(large.values()) < 0.2)
             for words, cosine in large.items()]
    plain, residual = ([(norm, start, medians[arm, norm, start, depth])
                        for norm in NORMS for start in INITIALISATIONS]
                       for arm in ("plain", "residual"))
    return ["the story says", "it holds for", "it does not hold for"], [
        ["1 · Plain gradients vanish", *_by_norm(plain, "vanishes")],
        ["2 · With the 1 they keep their size", *_by_norm(residual, "holds")],
        ["3 · Short paths carry the gradient", *_parted(lengths)],
        ["What counts is its size", *_parted(sizes)]]


def mean_length(shares):
    """Return the mean number of branches on a path, each path counted by what it carries."""
    return sum(length * share for length, share in enumerate(shares))


def _by_norm(cases, word):
    """Return in words which cases (norm, start, ratio) earn a verdict, and which do not."""
    both = []
    for wanted in (True, False):
        kept = {norm: ", ".join(f"{STARTS[start]} {short(value)}" for where, start, value in cases
                                if where == norm and (verdict(value) == word) == wanted)
                for norm in NORMS}
        both.append("; ".join(f"{norm.replace('none', 'no norm')}: {words}"
                              for norm, words in kept.items() if words) or "–")
    return both


def _parted(cases):
    return ["; ".join(word for word, holds in cases if holds == wanted) or "–"
            for wanted in (True, False)]
