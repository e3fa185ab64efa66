"""Two times measured in turns, their ratio with an interval, and what to say about it.

A machine with other things to do changes its speed by more than the differences of interest, but
for both alike. So the two sides take turns, in one process: reference, ours, ours, reference, and
so on, and every round gives one ratio.
"""

import logging
import math
import statistics
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import NamedTuple

import torch
from tqdm import tqdm

ROUNDS, LEAST_ROUNDS = 6, 2   # six give the median an interval of 97 %, two one of 50 %
LIMIT = 270                   # seconds for all figures, unless --rounds is given
HARDWARE = 1.4                # bfloat16 peak ÷ float32 peak from which there is hardware for it
SIDE = 1024                   # of the matrices behind the peak


def timed(function):
    """Return a function that calls ``function`` and returns its wall time in seconds."""
    def seconds():
        start = perf_counter()
        function()
        return perf_counter() - start
    return seconds


def alternate(reference, ours, warm_up=True):
    """Yield (cost of the reference, our cost) for ever; each round turns the order round.

    Args:
        reference: () → its cost, such as ``timed(function)``.
        ours: () → our cost, in the same unit.
        warm_up: call both once before, and do not count it.
    """
    calls = [reference, ours]
    if warm_up:
        reference(), ours()
    for i in count():
        order = (0, 1) if i % 2 == 0 else (1, 0)
        costs = {which: calls[which]() for which in order}
        yield costs[0], costs[1]


def median_interval(values, level=0.95):
    """Return (low, high, coverage): two of the values between which the median lies.

    Whatever the distribution, n independent values have the median between the k-th smallest and
    the k-th largest with probability 1 − 2·P(B < k), B binomial with n and 1/2. The narrowest such
    interval that reaches ``level`` is taken; if none does, smallest and largest value.
    """
    values, n = sorted(values), len(values)

    def coverage(k):
        return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2 ** n

    k = max((k for k in range(1, n // 2 + 1) if coverage(k) >= level), default=1)
    return values[k - 1], values[n - k], coverage(k)


class Peak(NamedTuple):
    """Billions of operations a second in a product of matrices; bfloat16 is None if it fails."""

    float32: float
    bfloat16: float | None


def peak(side=SIDE, seconds=0.05):
    """Measure the ``Peak`` of this moment, on as many threads as torch uses."""
    # On a machine with CUDA's compiler but no GPU, this import logs a warning.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils.benchmark import Timer

    def rate(a, b):
        timer = Timer("a @ b", globals={"a": a, "b": b}, num_threads=torch.get_num_threads())
        return 2 * side ** 3 / timer.blocked_autorange(min_run_time=seconds).median / 1e9

    a, b = torch.randn(2, side, side, generator=torch.Generator().manual_seed(0))
    try:
        product = (a.bfloat16() @ b.bfloat16()).float()
        works = (product - a @ b).norm() < 0.05 * product.norm()
        return Peak(rate(a, b), rate(a.bfloat16(), b.bfloat16()) if works else None)
    except RuntimeError:
        return Peak(rate(a, b), None)


class Figure(NamedTuple):
    """One row of the table.

    Attributes:
        what: what is compared, in words.
        reference: with what.
        at_least: the ratio to reach; ``aim`` the one to wish for, or ``None``.
        rounds: (options, notes) → pairs of costs (reference, ours), for ever.
        more: a greater ratio is better and means reference ÷ ours; otherwise ours ÷ reference.
        words: between ratio and reference in the sentence.
        unit: of the costs.
        seconds: expected on two processors, for the progress bar and for each figure's share.
        without_bfloat16: ``at_least`` on a machine whose hardware has no bfloat16.
    """

    what: str
    reference: str
    at_least: float
    aim: float | None
    rounds: Callable
    more: bool = True
    words: str = "as fast as"
    unit: str = "s"
    seconds: float = 30
    without_bfloat16: float | None = None


@dataclass
class Result:
    """What was found about one figure; ``problem`` says in words why there are no rounds."""

    name: str
    figure: Figure
    rounds: list = field(default_factory=list)
    peaks: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    problem: str = ""

    @property
    def ratios(self):
        """Return the ratio of every round."""
        return [reference / ours if self.figure.more else ours / reference
                for reference, ours in self.rounds]

    @property
    def peak(self):
        """Return the median ``Peak``; bfloat16 is None where it failed."""
        fast_ones = [one.bfloat16 for one in self.peaks if one.bfloat16 is not None]
        return Peak(statistics.median(one.float32 for one in self.peaks),
                    statistics.median(fast_ones) if fast_ones else None)

    @property
    def at_least(self):
        """Return the ratio to reach on this machine."""
        if self.figure.without_bfloat16 is None or not self.peaks:
            return self.figure.at_least
        hardware = self.peak.bfloat16 is not None and (
            self.peak.bfloat16 >= HARDWARE * self.peak.float32)
        return self.figure.at_least if hardware else self.figure.without_bfloat16

    @property
    def verdict(self):
        """Return what the median reached, and whether the interval leaves that open."""
        if not self.rounds:
            return "not measured"
        sign = 1 if self.figure.more else -1
        low, high, _ = median_interval(self.ratios)
        goals = [("aim reached", self.figure.aim), ("reached", self.at_least)]

        def judge(value):
            return next((words for words, goal in goals
                         if goal is not None and sign * value >= sign * goal), "not reached")

        words = judge(statistics.median(self.ratios))
        return words if judge(low) == judge(high) else f"{words}, not sure"

    def row(self):
        """Return the cells of the table."""
        figure, ratios = self.figure, self.ratios
        measured, interval, peaks = "–", "–", "–"
        if self.rounds:
            low, high, coverage = median_interval(ratios)
            measured = _number(statistics.median(ratios))
            if len(ratios) > 1:
                interval = f"{_number(low)} … {_number(high)} ({coverage:.0%})"
            fast_one = self.peak.bfloat16
            peaks = f"{self.peak.float32:.0f} / {'–' if fast_one is None else f'{fast_one:.0f}'}"
        limit = "≥" if figure.more else "≤"
        return (self.name, figure.reference, f"{limit} {_number(self.at_least)}",
                "–" if figure.aim is None else f"{limit} {_number(figure.aim)}",
                measured, interval, peaks, self.verdict)

    def sentence(self):
        """Say what was measured, in words."""
        figure = self.figure
        if not self.rounds:
            return f"{self.name}: {figure.what} was not measured. {self.problem}".rstrip()
        low, high, coverage = median_interval(self.ratios)
        middle = statistics.median(self.ratios)
        against = f"{_number(middle)} times {figure.words} {figure.reference}"
        between = (f"between {_number(low)} and {_number(high)} with {coverage:.0%} confidence "
                   f"({len(self.rounds)} rounds," if len(self.rounds) > 1 else "(one round,")
        costs = " against ".join(f"{statistics.median(column):.3g}" for column in
                                 reversed(list(zip(*self.rounds, strict=True))))
        notes = " ".join(note() if callable(note) else note for note in self.notes)
        return (f"{self.name}: {figure.what}, {against}, {between} medians {costs} "
                f"{figure.unit}). {notes} {self.problem}").rstrip()

    def as_dict(self):
        """Return everything measured, for JSON."""
        low, high, coverage = median_interval(self.ratios) if self.rounds else (None, None, None)
        return {"name": self.name, "what": self.figure.what, "reference": self.figure.reference,
                "at_least": self.at_least, "aim": self.figure.aim, "more_is_better":
                self.figure.more, "median": statistics.median(self.ratios) if self.rounds else
                None, "low": low, "high": high, "coverage": coverage, "verdict": self.verdict,
                "rounds": self.rounds, "peaks": [one._asdict() for one in self.peaks],
                "sentence": self.sentence()}


def _number(value):
    """Write a ratio with as many digits as help to judge it."""
    return f"{value:,.0f}" if value >= 100 else f"{round(value, 3):.4g}" if value < 2 else (
        f"{value:.3g}")


def measure(results, options, rounds=None, limit=LIMIT, progress=True, peak=peak,
            clock=perf_counter):
    """Fill ``Result``s, one figure after the other.

    Args:
        results: what to measure, in this order.
        options: an ``Options``.
        rounds: of each figure; ``None`` means ``ROUNDS``, or as many as fit into ``limit``, but
            ``LEAST_ROUNDS`` at least.
        limit: seconds for everything.
        progress: show a bar with the time left.
        peak: () → ``Peak``, measured after each round.
        clock: () → seconds.
    """
    wanted, end = rounds or ROUNDS, clock() + limit
    left = sum(result.figure.seconds for result in results)
    with tqdm(total=left, file=sys.stdout, disable=not progress, leave=False,
              bar_format="{desc} {percentage:3.0f} % |{bar:30}| {remaining} left") as bar:
        for result in results:
            share = result.figure.seconds
            start = clock()
            stop = start + (end - start) * share / left
            left -= share
            bar.set_description_str(f"{result.name:<9}")
            try:
                with closing(result.figure.rounds(options, result.notes)) as pairs:
                    for pair in pairs:
                        result.peaks.append(peak())   # first: a round without one is none
                        result.rounds.append(pair)
                        done = len(result.rounds)
                        bar.update(share / wanted)
                        late = clock() + (clock() - start) / done > stop
                        if done >= wanted or (rounds is None and late and done >= LEAST_ROUNDS):
                            break
            except (ValueError, OSError, RuntimeError, ImportError) as error:
                words = (str(error) or type(error).__name__).split("\n")[0].rstrip(".")
                result.problem = f"{words[0].upper()}{words[1:]}."
            bar.update(share * (1 - min(len(result.rounds), wanted) / wanted))


def report(results):
    """Return the table, and under it a sentence for each figure."""
    rows = [("figure", "reference", "at least", "aim", "measured", "interval",
             "peak fp32 / bf16", "verdict"), *(result.row() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, "", *(result.sentence() for result in results), "",
                      "Peaks are products of matrices in billions of operations a second, "
                      "measured between the rounds."])
