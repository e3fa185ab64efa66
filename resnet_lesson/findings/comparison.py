"""What the sweep says: finished runs, each arm's best rate, and differences paired by seed.

Everything here takes rows as ``table.read("sweep")`` returns them, complete or not, and computes;
nothing is drawn. A difference is always plain − residual (or deep − shallow) for the same seed,
so a positive one means that the plain (or the deeper) network did worse.
"""

import math
import statistics
from collections import namedtuple
from contextlib import suppress
from typing import NamedTuple

from resnet_lesson.experiments.studies import ARMS, Run, best_rate
from resnet_lesson.findings.intervals import Interval, t_interval

KINDS = {"6n + 2": (8, 20, 32, 56), "ImageNet": (18, 34)}
GUESSING = 0.9  # the error of guessing among ten classes
LEARNED = 0.5   # a run whose error is smaller gets more than half of its pictures right
# What the published experiment reports, one run each, on 200 test pictures.
PUBLISHED = {"plain": {"accuracy": 0.970, "lr": 0.005}, "residual": {"accuracy": 0.955, "lr": 0.01}}


# One finished run: its key, final errors, the norm of its first gradient, how many steps it has.
Result = namedtuple("Result", (
    *Run._fields, "train_error", "validation_error", "test_error", "test_error_200",
    "first_gradient_norm", "diverged", "steps"))


def results(rows):
    """Return one ``Result`` per run that has its final errors."""
    runs = {}
    for row in rows:
        runs.setdefault(tuple(row[name] for name in Run._fields), []).append(row)
    return [_result(epochs) for epochs in runs.values() if epochs[-1]["train_error"] != ""]


def _result(epochs):
    first = [row["first_gradient_norm"] for row in epochs if row["first_gradient_norm"] != ""]
    last = epochs[-1]
    steps = last["epochs"] * math.ceil(last["train_pictures"] / last["batch_size"])
    found = last | {"first_gradient_norm": [*first, math.nan][0], "steps": steps}
    return Result(**{name: found[name] for name in Result._fields})


def by_rate(rows, study, arm, depth):
    """Return ``{rate: {seed: Result}}`` of one study, arm and depth, rates in order."""
    found = {}
    for result in results([row for row in rows if (row["study"], row["arm"], row["depth"])
                           == (study, arm, depth)]):
        found.setdefault(result.lr, {})[result.seed] = result
    return dict(sorted(found.items()))


class Side(NamedTuple):
    """Runs of one arm at one depth and rate, in order of their seeds, and a column of them.

    ``edge`` says whether a best rate is the ``"lowest"`` or ``"highest"`` one tried; else ``""``.
    """

    arm: str
    rate: float
    edge: str
    runs: tuple
    values: tuple

    @property
    def mean(self):
        """Return the mean of the values."""
        return statistics.fmean(self.values)

    @property
    def diverged(self):
        """Return how many of the runs diverged."""
        return sum(run.diverged for run in self.runs)

    def at(self, seeds):
        """Return the same of the runs of these seeds alone."""
        pairs = zip(self.runs, self.values, strict=True)
        runs, values = zip(*(pair for pair in pairs if pair[0].seed in seeds), strict=True)
        return self._replace(runs=runs, values=values)


def side(rows, study, arm, depth, rate=None, column="train_error"):
    """Return the ``Side`` of some runs, with the values of a column, a field of ``Result``.

    ``None`` as rate means the best one, by the lowest mean training error over seeds, whatever
    the column.

    Raises:
        ValueError: no such run is recorded.
    """
    found, edge = by_rate(rows, study, arm, depth), ""
    if rate is None:
        rate = best_rate(study, arm, depth, rows)
        if len(found) > 1:
            edge = {min(found): "lowest", max(found): "highest"}.get(rate, "")
    if rate not in found:
        raise ValueError(f"no recorded run of study {study!r}, arm {arm!r}, depth {depth}, "
                         f"rate {rate:g}")
    runs = tuple(run for _, run in sorted(found[rate].items()))
    return Side(arm, rate, edge, runs, tuple(getattr(run, column) for run in runs))


class Comparison(NamedTuple):
    """Two sides over their shared seeds, and the interval of first − second."""

    first: Side
    second: Side
    seeds: tuple
    differences: tuple
    interval: Interval


def differences(first, second):
    """Return first − second, one value per seed."""
    return tuple(one - other for one, other in zip(first, second, strict=True))


def compare(rows, first, second, column="train_error"):
    """Return the ``Comparison`` of two sides, (study, arm, depth, rate) each, seed by seed.

    Raises:
        ValueError: a side was not recorded, or the two share no seed.
    """
    one, other = (side(rows, *where, column=column) for where in (first, second))
    seeds = {run.seed for run in one.runs} & {run.seed for run in other.runs}
    if not seeds:
        raise ValueError(f"{first} and {second} share no seed, so there is nothing to pair")
    one, other = one.at(seeds), other.at(seeds)
    found = differences(one.values, other.values)
    return Comparison(one, other, tuple(sorted(seeds)), found, t_interval(found))


def paired(rows, study, depth, column="train_error", rate=None):
    """Return plain − residual at one depth, each arm at its best rate (or both at ``rate``)."""
    return compare(rows, (study, "plain", depth, rate), (study, "residual", depth, rate), column)


def all_paired(rows, study, column="train_error"):
    """Return ``{depth: Comparison}`` for every depth of a study that holds both arms."""
    found = {}
    for depth in depths(rows, study):
        with suppress(ValueError):
            found[depth] = paired(rows, study, depth, column)
    return found


def depths(rows, study):
    """Return the recorded depths of a study: the 6n + 2 kind first, then the ImageNet kind."""
    there = {row["depth"] for row in rows if row["study"] == study}
    return sorted(there, key=lambda depth: (depth in KINDS["ImageNet"], depth))


def wins(rows, study):
    """Return ``{depth: {rate: (wins, seeds)}}``: in how many seeds the shortcut wins there.

    Both arms have the same rate; the shortcut wins where its training error is the smaller one.
    """
    found = {}
    for depth in depths(rows, study):
        sides = [by_rate(rows, study, arm, depth) for arm in ARMS]
        for rate in sorted(sides[0].keys() & sides[1].keys()):
            plain, residual = (side[rate] for side in sides)
            seeds = plain.keys() & residual.keys()
            won = sum(plain[seed].train_error > residual[seed].train_error for seed in seeds)
            found.setdefault(depth, {})[rate] = won, len(seeds)
    return found


def contrasts(rows):
    """Return plain − residual on the first 200 digits, at the published rates and at equal ones.

    Returns:
        ``{"as published": values, "both at 0.005": values, "both at 0.01": values}``, one value
        per seed that has all four runs.

    Raises:
        ValueError: no seed has all four.
    """
    rates = [PUBLISHED[arm]["lr"] for arm in ARMS]
    cells = {(arm, lr): by_rate(rows, "digits", arm, 18).get(lr, {}) for arm in ARMS
             for lr in rates}
    seeds = sorted(set.intersection(*map(set, cells.values())))
    if not seeds:
        raise ValueError("no seed of the study digits has all four runs yet; python -m "
                         "resnet_lesson.experiments.sweep digits makes them")
    asked = {"as published": rates} | {f"both at {lr:g}": [lr, lr] for lr in rates}
    return {name: tuple(cells["plain", plain][seed].test_error_200
                        - cells["residual", residual][seed].test_error_200 for seed in seeds)
            for name, (plain, residual) in asked.items()}
