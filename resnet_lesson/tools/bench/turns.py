"""Two wall times measured in turns, their ratio with an interval, and the table of it.

A machine with other things to do changes its speed by more than the differences of interest, but
for both alike. So the two sides take turns, in one process: reference, ours, ours, reference, and
so on, and every round gives one ratio.
"""

import statistics
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

import torch
from scipy.stats import quantile_test

from resnet_lesson.words import duration

ROUNDS = 6   # the fewest of which the median has an interval of 95 %


def timed(function):
    """Return a function that calls ``function`` and returns its wall time in seconds."""
    def seconds():
        start = perf_counter()
        function()
        return perf_counter() - start
    return seconds


def alternate(reference, ours):
    """Yield (seconds of the reference, our seconds) for ever; each round turns the order round.

    Both are functions, () → seconds; call them once before, since a first call is slower.
    """
    for i in count():
        if i % 2 == 0:
            theirs, own = reference(), ours()
        else:
            own, theirs = ours(), reference()
        yield theirs, own


def median_interval(values):
    """Return (low, high): the median lies between them with 95 % confidence, by the sign test.

    Of fewer than six values both are NaN.
    """
    return tuple(map(float, quantile_test(values, p=0.5).confidence_interval(0.95)))


def peak(side=1024):
    """Return how many operations a second float32 products of matrices reach at this moment."""
    a, b = torch.randn(2, side, side, generator=torch.Generator().manual_seed(0))
    once = timed(lambda: a @ b)
    return 2 * side ** 3 / statistics.median(once() for _ in range(5))


@dataclass
class Result:
    """What was found in a measure: pairs of seconds, a peak after each, and notes in words.

    ``measure`` is a function: (options, notes) → pairs of seconds, for ever; ``what``
    says what their ratio is.
    """

    name: str
    what: str
    measure: Callable
    pairs: list = field(default_factory=list)
    peaks: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def fill(self, options, rounds, bar):
        """Take the rounds, and note what goes wrong, so that other measures go on."""
        bar.set_description_str(f"{self.name:<9}")
        try:
            with closing(self.measure(options, self.notes)) as pairs:
                while len(self.pairs) < rounds:
                    pair = next(pairs)
                    self.peaks.append(peak())   # first: a round without one is none
                    self.pairs.append(pair)
                    bar.update()
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            words = str(error).split("\n")[0] or type(error).__name__
            self.notes.append(f"Stopped by an error: {words}")
            bar.update(rounds - len(self.pairs))

    def row(self):
        """Return the cells of the table."""
        if not self.pairs:
            return self.name, "–", "–", "–", "–", self.what
        ratios = [first / second for first, second in self.pairs]
        low, high = median_interval(ratios)
        first, second = (duration(statistics.median(column))
                         for column in zip(*self.pairs, strict=True))
        return (self.name, f"{statistics.median(ratios):.3g}",
                f"{low:.3g} … {high:.3g}" if len(ratios) >= ROUNDS else "–",
                f"{first} : {second}", f"{statistics.median(self.peaks) / 1e9:.0f}", self.what)


def report(results):
    """Return the table, and under it the notes."""
    rows = [("measure", "ratio", "95 % interval", "medians", "peak", "what it is"),
            *(result.row() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]
    notes = [f"{result.name}: {' '.join(result.notes)}" for result in results if result.notes]
    return "\n".join([*lines, "", *notes, "Peaks are float32 products of matrices, in billions of "
                      "operations a second, measured between the rounds."])
