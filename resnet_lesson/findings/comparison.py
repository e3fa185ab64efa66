"""What the sweep says: finished runs, each arm's best rate, and differences paired by seed.

Everything here takes rows as ``experiments.read("sweep")`` returns them, complete or not, and
computes; nothing is drawn. A difference is always plain − residual (or deep − shallow) for the
same seed, so a positive one means that the plain (or the deeper) network did worse.
"""

import math
import statistics
from contextlib import suppress
from typing import NamedTuple

from resnet_lesson.experiments.studies import ARMS, Run, best_rate
from resnet_lesson.findings.intervals import Interval, t_interval

KINDS = {"6n + 2": (8, 20, 32, 56), "ImageNet": (18, 34)}
GUESSING = 0.9  # the error of guessing among ten classes
HARDLY = 0.03   # closer than this to it, a mean error shows nothing learned
# What the published experiment reports, one run each, on so many test pictures.
PUBLISHED = {"plain": {"accuracy": 0.970, "lr": 0.005}, "residual": {"accuracy": 0.955, "lr": 0.01}}
PUBLISHED_PICTURES = 200


class Result(NamedTuple):
    """One finished run: its key, final errors, gradient in its last epoch, summed seconds."""

    study: str
    arm: str
    depth: int
    lr: float
    seed: int
    train_error: float
    validation_error: float
    test_error: float
    test_error_200: float
    gradient_norm: float
    first_gradient_norm: float
    seconds: float
    diverged: int
    epochs: int
    pictures: int
    data: str


def results(rows):
    """Return one ``Result`` per run that has its final errors."""
    runs = {}
    for row in rows:
        runs.setdefault(tuple(row[name] for name in Run._fields), []).append(row)
    return [_result(key, epochs) for key, epochs in runs.items()
            if epochs[-1]["train_error"] != ""]


def _result(key, epochs):
    last = epochs[-1]

    def known(name):
        return [row[name] for row in epochs if isinstance(row[name], int | float)]

    return Result(
        *key, *(last[name] for name in ("train_error", "validation_error", "test_error",
                                        "test_error_200")),
        gradient_norm=(known("gradient_norm") or [math.nan])[-1],
        first_gradient_norm=(known("first_gradient_norm") or [math.nan])[-1],
        seconds=sum(known("seconds")) or math.nan, diverged=last["diverged"],
        epochs=last["epochs"], pictures=last["train_pictures"], data=last["data"])


def by_rate(rows, study, arm, depth):
    """Return ``{rate: {seed: Result}}`` of one study, arm and depth, rates in order."""
    found = {}
    for result in results([row for row in rows if (row["study"], row["arm"], row["depth"])
                           == (study, arm, depth)]):
        found.setdefault(result.lr, {})[result.seed] = result
    return dict(sorted(found.items()))


class Side(NamedTuple):
    """One side: its runs at the rate used, their mean, and whether a best rate ends its grid."""

    study: str
    arm: str
    depth: int
    rate: float
    edge: str
    mean: float
    diverged: int
    runs: tuple


class Comparison(NamedTuple):
    """Two sides over their shared seeds, and the interval of first − second."""

    first: Side
    second: Side
    seeds: tuple
    differences: tuple
    interval: Interval

    @property
    def outcome(self):
        """Return the interval's verdict, or ``"guessing"`` where neither side learned anything."""
        return "guessing" if all(map(guesses, self[:2])) else self.interval.verdict


def guesses(side):
    """Return whether the mean error of a ``Side`` is hardly below that of guessing."""
    return side.mean >= GUESSING - HARDLY - 1e-9   # so that a rounding decides nothing


def edge(rates, rate):
    """Say whether a rate is the ``"lowest"`` or ``"highest"`` of several; else ``""``."""
    if len(rates) < 2:
        return ""
    return "lowest" if rate == min(rates) else "highest" if rate == max(rates) else ""


def compare(rows, first, second, column="train_error"):
    """Compare two settings seed by seed.

    Args:
        rows: of the sweep.
        first, second: (study, arm, depth, rate); ``None`` as rate means the best one, by the
            lowest mean training error over seeds, whatever the column.
        column: a field of ``Result``.

    Raises:
        ValueError: a setting was not recorded, or the two share no seed.
    """
    sides = []
    for study, arm, depth, rate in (first, second):
        found = by_rate(rows, study, arm, depth)
        chosen = best_rate(study, arm, depth, rows) if rate is None else rate
        if chosen not in found:
            raise ValueError(f"no recorded run of study {study!r}, arm {arm!r}, depth {depth}, "
                             f"rate {chosen:g}")
        sides.append((chosen, edge(found, chosen) if rate is None else "", found[chosen]))
    seeds = tuple(sorted(set(sides[0][2]) & set(sides[1][2])))
    if not seeds:
        raise ValueError(f"{first} and {second} share no seed, so there is nothing to pair")
    made = [Side(*where[:3], rate, end, statistics.fmean(
                getattr(runs[seed], column) for seed in seeds),
                 sum(runs[seed].diverged for seed in seeds), tuple(runs[s] for s in seeds))
            for where, (rate, end, runs) in zip((first, second), sides, strict=True)]
    differences = tuple(getattr(one, column) - getattr(other, column)
                        for one, other in zip(made[0].runs, made[1].runs, strict=True))
    return Comparison(*made, seeds, differences, t_interval(differences))


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


def decompose(rows, column="test_error_200"):
    """Split the published contrast, seed by seed, into what the arm and what the rate makes.

    With P and R the errors of plain and residual, and 0.005 and 0.01 the rates, the published
    P(0.005) − R(0.01) is exactly the sum of the arm's part, the mean of P − R at each rate, and
    the rate's part, the mean over both arms of the error at 0.005 minus that at 0.01.

    Returns:
        ``{"as published": values, "arm": values, "rate": values}``, one value per seed that has
        all four runs.

    Raises:
        ValueError: no seed has all four.
    """
    low, high = (PUBLISHED[arm]["lr"] for arm in ("plain", "residual"))
    cells = {(arm, lr): by_rate(rows, "digits", arm, 18).get(lr, {})
             for arm in ARMS for lr in (low, high)}
    seeds = sorted(set.intersection(*map(set, cells.values())))
    if not seeds:
        raise ValueError("no seed of the study digits has all four runs yet; python -m "
                         "resnet_lesson.experiments.sweep digits makes them")
    parts = {"as published": [], "arm": [], "rate": []}
    for seed in seeds:
        p_low, p_high, r_low, r_high = (getattr(cells[arm, lr][seed], column) for arm, lr in (
            ("plain", low), ("plain", high), ("residual", low), ("residual", high)))
        parts["as published"].append(p_low - r_high)
        parts["arm"].append((p_low - r_low + p_high - r_high) / 2)
        parts["rate"].append((p_low - p_high + r_low - r_high) / 2)
    return parts
