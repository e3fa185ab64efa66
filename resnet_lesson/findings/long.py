"""What the study ``long`` says: errors at the end of training, steps to an error, in sentences.

All functions take rows of ``table.read("long")``: whole runs of any parts, with any number of
seeds. Each arm and depth of a part is taken at its best rate. What is not recorded gives ``None``
or no sentence.
"""

import math
from statistics import fmean
from typing import NamedTuple

from resnet_lesson.experiments.long import DEPTHS, PAIR, PARTS
from resnet_lesson.findings.comparison import LEARNED
from resnet_lesson.findings.conclusions import span
from resnet_lesson.findings.intervals import Interval, t_interval
from resnet_lesson.words import count, listed

SHALLOW, DEEP = DEPTHS
TARGETS = (0.1, 0.03, 0.01, 0.003)   # training errors whose steps are counted
FITS = {"above": "the deeper one fits its own training pictures worse",
        "below": "the deeper one fits its own training pictures better",
        "tie": "not decided, since 0 lies inside", "unknown": "not decided by one seed"}


def runs(rows, part, arm, depth):
    """Return ``{seed: rows}`` of an arm and depth at the best rate of its part, ``{}`` if none.

    The best has the lowest mean training error at the end; of equals, the lower validation error,
    then the lower rate. While a part is being recorded, rates that lack seeds do not count.
    """
    found = {}
    for row in rows:
        if (row["part"], row["arm"], row["depth"]) == (part, arm, depth):
            found.setdefault(row["lr"], {}).setdefault(row["seed"], []).append(row)
    most = max(map(len, found.values()), default=0)

    def order(lr):
        last = [run[-1] for run in found[lr].values()]
        return (*(round(fmean(row[f"{split}_error"] for row in last), 6)   # ties are ties
                  for split in ("train", "validation")), lr)

    best = min((lr for lr, seeds in found.items() if len(seeds) == most), key=order, default=None)
    return dict(sorted(found.get(best, {}).items()))


def pairs(rows, part, first, second):
    """Return ``[(rows, rows)]`` of two sides, (arm, depth) each, one for each shared seed."""
    one, other = (runs(rows, part, *side) for side in (first, second))
    return [(one[seed], other[seed]) for seed in one if seed in other]


def difference(rows, part, first, second):
    """Return the ``Interval`` of first − second, training errors at the end, paired by seed."""
    found = [one[-1]["train_error"] - other[-1]["train_error"]
             for one, other in pairs(rows, part, first, second)]
    return t_interval(found) if found else None


def left(rows):
    """Return which share of plain's gap, 56 − 20 layers, 100 epochs leave of that after 20."""
    sides = ("plain", DEEP), ("plain", SHALLOW)
    seeds = [{one[0]["seed"] for one, _ in pairs(rows, part, *sides)} for part in ("grid", "end")]
    shared = [row for row in rows if row["seed"] in seeds[0] & seeds[1]]
    before, after = (difference(shared, part, *sides) for part in ("grid", "end"))
    if after is None or before.middle <= 0:
        return None
    return round(after.middle / before.middle, 6)


def steps_to(run, error):
    """Return after how many steps a run first has this training error or less, else ``None``."""
    return next((row["step"] for row in run if row["train_error"] <= error), None)


class Ratio(NamedTuple):
    """How many times the steps of a second side the first one took to an error, by seed."""

    steps: tuple   # (first's, second's) of each seed, None where it never got there
    last: int      # how many steps a run has
    interval: Interval | None   # of the ratio, where both got there in every seed

    def reached(self, side):
        """Return in words when a side (0 or 1) got there, or in how many of the seeds."""
        there = [pair[side] for pair in self.steps if pair[side] is not None]
        if len(there) < len(self.steps):
            return f"reached by {len(there)} of {len(self.steps)}"
        return f"{fmean(there):,.0f}"

    @property
    def words(self):
        """Return the ratio in words; where a seed of the first did not get there, what is sure."""
        if self.interval is not None:
            low, middle, high, seeds = self.interval
            around = (f" ({low:.2g} to {high:.2g}, {seeds} seeds)" if seeds > 1
                      else " (one seed, no interval)")
            return f"{middle:.2g}{around}"
        if any(second is None for _, second in self.steps):
            return "not known"
        least = min((first or self.last) / second for first, second in self.steps)
        return f"at least {math.floor(10 * least) / 10:.1f} in each seed"


def ratio(rows, part, first, second, error):
    """Return the ``Ratio`` of the steps that two sides took to an error, or ``None``."""
    found = pairs(rows, part, first, second)
    if not found:
        return None
    steps = tuple((steps_to(one, error), steps_to(other, error)) for one, other in found)
    interval = None
    if all(one and other for one, other in steps):
        low, middle, high, seeds = t_interval([math.log(one / other) for one, other in steps])
        interval = Interval(math.exp(low), math.exp(middle), math.exp(min(high, 700)), seeds)
    first = found[0][0][0]
    return Ratio(steps, first["epochs"] * first["step"], interval)


def steps_table(rows, part):
    """Return (headings, lines): the mean steps of both arms to each error, and their ratio."""
    lines = []
    for depth in DEPTHS:
        for error in TARGETS:
            found = ratio(rows, part, *((arm, depth) for arm in PAIR), error)
            if found is not None:
                lines.append([depth, f"{error:g}", found.reached(0), found.reached(1), found.words])
    return [f"layers, {PARTS[part].epochs} epochs", "training error", "plain", "residual",
            "plain ÷ residual"], lines


def _steps(rows, part):
    """Return how many steps a run of a recorded part has."""
    return next(f"{row['step'] // row['epoch'] * row['epochs']:,}" for row in rows
                if row["part"] == part and not row["diverged"])


def deeper(rows, arm):
    """Say what depth does to an arm's training error, part by part; "" where nothing is known."""
    said, sides = [], ((arm, DEEP), (arm, SHALLOW))
    for part, where in (("grid", "mini"), ("end", "mini"), ("full", "the full set")):
        found = difference(rows, part, *sides)
        if found is not None:
            errors = [fmean(run[-1]["train_error"] for run in side)
                      for side in zip(*pairs(rows, part, *sides), strict=True)]
            said.append(f"on {where} after {_steps(rows, part)} steps {errors[0]:.4f} against "
                        f"{errors[1]:.4f}, {span(found, 4)}, {FITS[found.verdict]}")
    if not said:
        return ""
    text = f"{arm.capitalize()}, {DEEP} against {SHALLOW} layers: {'; '.join(said)}."
    share = left(rows) if arm == "plain" else None
    if share is not None:
        text += f" Of the gap on mini {100 * share:.0f} % is left."
    return text


def faster(rows, error=0.01):
    """Say how many times the steps a plain network takes to an error, by depth."""
    part = "end" if ratio(rows, "end", *((arm, DEEP) for arm in PAIR), error) else "grid"
    said = [(depth, ratio(rows, part, *((arm, depth) for arm in PAIR), error)) for depth in DEPTHS]
    said = [f"{found.words} at {depth} layers (plain {found.reached(0)}, residual "
            f"{found.reached(1)})" for depth, found in said if found is not None]
    if not said:
        return ""
    return (f"Plain ÷ residual, steps to a training error of {error:g}: {listed(said)}, in runs of "
            f"{_steps(rows, part)} steps on mini.")


def conclusion(rows):
    """Return the three sentences that the records allow, as lines, and what they rest on."""
    lines = [line for line in (*(deeper(rows, arm) for arm in PAIR), faster(rows)) if line]
    whole = {tuple(row[name] for name in ("part", "arm", "depth", "lr", "seed")) for row in rows
             if row["part"] in ("grid", "end", "full") and row["arm"] in PAIR}
    lines.append(f"How: {count(len(whole), 'run')}; training error in evaluation mode on 5,000 "
                 "training pictures; each arm and depth at its best rate, chosen by that error on "
                 "the same seeds; deep and shallow, plain and residual paired by seed; 95 % "
                 "intervals over seeds.")
    return "\n".join(lines)


def without_norm(rows):
    """Say how many runs of the part ``zero-start`` learned, by start and depth."""
    found = {}
    for row in rows:
        if row["part"] == "zero-start" and row["test_error"] != "":
            found.setdefault((row["arm"], row["depth"]), []).append(row["train_error"] < LEARNED)
    names = {"plain": "plain, He's start", "residual": "residual, He's start",
             "residual-zero": "residual, zero start"}
    return "\n".join(f"{names[arm]}, {depth} layers: {sum(values)} of {count(len(values), 'run')} "
                     "got more than half of the training pictures right, all rates counted"
                     for (arm, depth), values in found.items()) or (
        "More seeds and rates are not recorded yet; python -m resnet_lesson.experiments.long "
        "zero-start trains them.")
