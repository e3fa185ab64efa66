"""What the recorded gradients say: summaries, verdicts, sentences, a table."""

import math
import statistics
from itertools import product
from typing import NamedTuple

from resnet_lesson.experiments.gradients import INITIALISATIONS, NORMS
from resnet_lesson.words import short

FACTOR = 100  # a ratio beyond 1/100 … 100 is called vanishing or exploding
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
    words = {"default": "PyTorch's default", "xavier": "Xavier", "he": "He"}[initialisation]
    return f"{words}, {'with batch norm' if norm == 'batch norm' else 'no norm'}"


def sentences(rows, depth):
    """Say where gradients vanish, explode and hold, and where the shortcut helps and hurts.

    Args:
        rows: measured rows; plain and residual ones of this depth are compared.
        depth: in blocks.

    Returns:
        A list of sentences, each with its numbers.

    Raises:
        ValueError: nothing was measured at this depth.
    """
    found = summarise(rows)
    pairs = {key: (found[("plain", *key, depth)], found[("residual", *key, depth)])
             for key in product(NORMS, INITIALISATIONS)
             if ("plain", *key, depth) in found and ("residual", *key, depth) in found}
    if not pairs:
        known = sorted({row.depth for row in rows})
        raise ValueError(f"nothing was measured at {depth} blocks; there are {known}")
    sizes = {"vanishes": [], "explodes": [], "holds": []}
    effects = {"helps": [], "hurts": [], "makes no clear difference": []}
    for key, pair in pairs.items():
        for arm, summary in zip(("plain", "residual"), pair, strict=True):
            sizes[verdict(summary.median)].append(f"{arm}, {name(*key)} ({_value(summary)})")
        plain, residual = pair
        word, after = effect(plain.median, residual.median), verdict(residual.median)
        but = f": it still {after}" if word == "helps" and after != "holds" else ""
        effects[word].append(
            f"{name(*key)} ({_value(plain)} without, {_value(residual)} with{but})")
    bounds = {"vanishes": f"below 1/{FACTOR}", "explodes": f"above {FACTOR}", "holds": "in between"}
    return [*(f"The gradient {word} (ratio {bounds[word]}): {'; '.join(cases) or 'nowhere'}."
              for word, cases in sizes.items()),
            *(f"The shortcut {word}: {'; '.join(cases) or 'nowhere'}."
              for word, cases in effects.items())]


def effect(plain, residual):
    """Return whether the shortcut ``"helps"``, ``"hurts"`` or ``"makes no clear difference"``.

    It helps where its ratio is ``CLEAR`` times closer to 1, up or down, than the plain one.
    """
    far, near = (abs(math.log10(ratio)) if 0 < ratio < math.inf else math.inf
                 for ratio in (plain, residual))
    if far == near or abs(far - near) < math.log10(CLEAR):
        return "makes no clear difference"
    return "helps" if near < far else "hurts"


def _value(summary):
    if summary.zeros:
        return f"{short(summary.median)}, underflow in {summary.zeros} of {summary.seeds} seeds"
    return short(summary.median)


def hidden(rows, depth):
    """Return settings whose weight gradients look healthy while those of activations do not.

    Returns:
        A list of (setting, summary of activation gradients, summary of weight gradients).
    """
    gradients, weights = summarise(rows), summarise(rows, "weight_ratio")
    return [(setting, found, weights[setting]) for setting, found in gradients.items()
            if setting[3] == depth and verdict(found.median) != "holds"
            and verdict(weights[setting].median) == "holds"]


def table(rows, shortcuts=("plain", "residual")):
    """Return (headings, lines) of the medians of first ÷ last block, one column per depth."""
    found = summarise(rows)
    depths = sorted({row.depth for row in rows})
    lines = [[norm, initialisation, shortcut,
              *(short(found[(shortcut, norm, initialisation, depth)].median) for depth in depths)]
             for norm, initialisation, shortcut in product(NORMS, INITIALISATIONS, shortcuts)
             if (shortcut, norm, initialisation, depths[-1]) in found]
    return ["norm", "initialisation", "shortcut", *(f"{d} blocks" for d in depths)], lines
