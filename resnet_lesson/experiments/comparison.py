"""What the sweep says: intervals, paired differences, each arm's best rate, and sentences.

Everything here takes rows as ``experiments.read("sweep")`` returns them, complete or not, and
computes; nothing is drawn. A difference is always plain − residual (or deep − shallow) for the
same seed, so a positive one means that the plain (or the deeper) network did worse.
"""

import math
import statistics
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from resnet_lesson.experiments import sweep

LEVEL = 0.95
KINDS = {"6n + 2": (8, 20, 32, 56), "ImageNet": (18, 34)}
GUESSING = 0.9  # the error of guessing among ten classes
HARDLY = 0.03   # closer than this to it, a mean error shows nothing learned
# What the published experiment reports, one run each, on so many test pictures.
PUBLISHED = {"plain": {"accuracy": 0.970, "lr": 0.005}, "residual": {"accuracy": 0.955, "lr": 0.01}}
PUBLISHED_PICTURES = 200


class Interval(NamedTuple):
    """A 95 % interval around ``middle``, from ``count`` values."""

    low: float
    middle: float
    high: float
    count: int

    @property
    def verdict(self):
        """Return ``"above"`` or ``"below"`` 0, ``"tie"`` (0 lies inside), or ``"unknown"``."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return "unknown"
        return "above" if self.low > 0 else "below" if self.high < 0 else "tie"


@lru_cache(maxsize=256)
def quantile(count, level=LEVEL):
    """Return how many standard errors a two-sided t interval of ``count`` values reaches."""
    from scipy.special import stdtrit  # scipy.stats has it too, and takes seconds to import

    return float(stdtrit(count - 1, (1 + level) / 2))


def t_interval(values):
    """Return the 95 % t interval of the mean of some values (Student 1908).

    One value alone says nothing about its spread: its interval is the whole line. So is that of
    values some of which are no numbers.

    Raises:
        ValueError: no value at all.
    """
    values = [float(value) for value in values]
    if not values:
        raise ValueError("t_interval needs at least one value, got none")
    middle, count = statistics.fmean(values), len(values)
    if count == 1 or not math.isfinite(middle):
        return Interval(-math.inf, middle, math.inf, count)
    half = quantile(count) * statistics.stdev(values) / math.sqrt(count)
    return Interval(middle - half, middle, middle + half, count)


def wilson(hits, total):
    """Return the 95 % interval of a share, ``hits`` of ``total`` (Wilson 1927).

    Raises:
        ValueError: ``hits`` does not lie between 0 and ``total``, or ``total`` is 0.
    """
    if not 0 <= hits <= total or total < 1:
        raise ValueError(f"wilson needs 0 ≤ hits ≤ total and total > 0, got {hits} of {total}")
    z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, shrink = hits / total, 1 + z ** 2 / total
    center = (share + z ** 2 / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z ** 2 / (4 * total ** 2))
    return Interval(max(center - half, 0.0), share, min(center + half, 1.0), total)


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
        runs.setdefault(tuple(row[name] for name in sweep.Run._fields), []).append(row)
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
    return side.mean > GUESSING - HARDLY


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
        chosen = sweep.best_rate(study, arm, depth, rows) if rate is None else rate
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
             for arm in sweep.ARMS for lr in (low, high)}
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


def signed(value):
    """Return a difference with its sign: +0.123, −0.045."""
    return f"{value:+.3f}".replace("-", "−")


def span(interval):
    """Return an interval of a difference in words: +0.021 (+0.004 to +0.038, 5 seeds)."""
    if interval.count == 1:
        return f"{signed(interval.middle)} (one seed, no interval)"
    return (f"{signed(interval.middle)} ({signed(interval.low)} to {signed(interval.high)}, "
            f"{interval.count} seeds)")


def listed(items):
    """Return items as people write them: 8, 20 and 32."""
    items = [str(item) for item in items]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


DEEPER = {"above": "the deeper one fits its own training pictures worse",
          "below": "the deeper one fits its training pictures better",
          "tie": "no difference is shown, since 0 lies inside",
          "unknown": "nothing can be said from one seed"}


def degradation(rows, study="depth", arm="plain", shallow=20, deep=56):
    """Say whether more layers raise an arm's training error, each depth at its own best rate.

    Returns:
        (verdict, sentence): the verdict of deep − shallow; ``"unknown"`` where runs are missing.
    """
    try:
        found = compare(rows, (study, arm, deep, None), (study, arm, shallow, None))
    except ValueError as missing:
        return "unknown", f"{arm.capitalize()}, {deep} against {shallow} layers: {missing}."
    verdict = found.interval.verdict
    return verdict, (f"{arm.capitalize()}, {deep} against {shallow} layers: training error "
                     f"{found.first.mean:.3f} against {found.second.mean:.3f}, difference "
                     f"{span(found.interval)}: {DEEPER[verdict]}.")


def conclusion(rows):
    """Say where the arms tie and where a gap opens on training error, and what was not shown.

    Args:
        rows: of the sweep, complete or not.

    Returns:
        Lines, joined by line ends; every word about results follows from the rows.
    """
    lines = [_headline(rows), *(_kind(rows, "depth", kind) for kind in KINDS)]
    for arm in sweep.ARMS:
        lines += [degradation(rows, "depth", arm, *pair)[1]
                  for pair in ((20, 56), (18, 34)) if set(pair) <= set(depths(rows, "depth"))]
    lines += [_like_he(rows), _kind(rows, "full", "6n + 2")]
    if set(depths(rows, "full")) >= {20, 56}:
        for arm in sweep.ARMS:
            words = degradation(rows, "full", arm)[1]
            lines.append(f"Full set, {words[0].lower()}{words[1:]}")
    lines += [_kind(rows, "no-norm", kind) for kind in KINDS]
    return "\n".join(line for line in [*lines, *_remarks(rows), *_not_shown(rows)] if line)


def _by_verdict(found, words, write):
    """Return ``{depth: Comparison}`` in words, grouped by outcome: "a tie at 8; …"."""
    return "; ".join(f"{text} {listed(chosen)}" for outcome, text in words.items() if (chosen := [
        write(depth, value) for depth, value in found.items() if value.outcome == outcome]))


def _headline(rows):
    found = all_paired(rows, "depth")
    words = {"above": "plain networks fit their training pictures worse than residual ones at",
             "tie": "the two tie at", "below": "residual networks fit theirs worse at",
             "unknown": "seeds are too few at", "guessing": "neither learns anything at"}
    at = _by_verdict(found, words, lambda depth, _: depth)
    return at and (f"In short, with batch norm and equally many steps: {at} layers. Below: "
                   "training error, plain − residual, each arm at its own best rate, in brackets "
                   "the 95 % interval over seeds.")


def _kind(rows, study, kind):
    """Say for one kind of network in one study at which depths there is a gap, and which."""
    found = {depth: value for depth, value in all_paired(rows, study).items()
             if depth in KINDS[kind]}
    if not found:
        return ""
    run = next(iter(found.values())).first.runs[0]
    words = {"above": "a gap for the shortcut at", "tie": "a tie at",
             "below": "a gap against the shortcut at", "unknown": "too few seeds at",
             "guessing": "nothing to compare, since both arms only guess, at"}
    narrow = ", narrow (16 to 128 channels) on 28×28 pixels" * (kind == "ImageNet")
    parts = _by_verdict(found, words, lambda depth, value: f"{depth} layers {span(value.interval)}")
    return (f"{run.data} ({run.pictures:,} pictures, {run.epochs} epoch{'s' * (run.epochs > 1)}), "
            f"{'no norm' if study == 'no-norm' else 'batch norm'}, {kind} kind{narrow}: {parts}.")


def _like_he(rows):
    """Compare the verdicts at 18 and 34 layers with those of He et al. on ImageNet."""
    found = all_paired(rows, "depth")
    here = tuple(found[depth].interval.verdict for depth in (18, 34) if depth in found)
    if len(here) < 2 or "unknown" in here:
        return ""
    words = {"above": "a gap for the shortcut", "below": "a gap against it", "tie": "a tie"}
    same = "the same pattern" if here == ("tie", "above") else "another pattern"
    return ("On ImageNet: He et al. (2016, table 2) report 27.94 % error for the plain and 27.88 % "
            "for the residual network of 18 layers, a near tie, and 28.54 % and 25.03 % at 34, a "
            "gap; theirs is validation error, ours training error. Here it is "
            f"{same}: {words[here[0]]} at 18, {words[here[1]]} at 34.")


def _remarks(rows):
    """Name best rates that lie at the end of their grid, and runs that diverged at a best rate."""
    ends, lost = {}, []
    for study in ("depth", "no-norm"):
        for depth, value in all_paired(rows, study).items():
            for side in value[:2]:
                name = side.arm + ", no norm," * (study == "no-norm")
                if side.edge:
                    ends.setdefault((name, side.rate, side.edge), []).append(depth)
                if side.diverged:
                    lost.append(f"{name} at {depth} layers ({side.diverged} of {len(side.runs)})")
    named = [f"{name} at {listed(there)} layers ({rate:g}, the {end})"
             for (name, rate, end), there in ends.items()]
    return ([f"Best rates at the end of their grid, so that better ones may lie beyond: "
             f"{'; '.join(named)}."] * bool(named)
            + [f"Diverged at a best rate: {'; '.join(lost)}."] * bool(lost))


def _not_shown(rows):
    """Say what these rows leave open."""
    lines, everything = [], results(rows)
    planned = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
                  for study in sweep.STUDIES.values() for depth in study.depths)
    if len(everything) < planned:
        lines.append(f"Not complete: {len(everything)} of {planned} planned runs are recorded.")
    absent = [study for study in sweep.STUDIES if not all_paired(rows, study)]
    if absent:
        lines.append(f"Not shown, since no pair of runs is recorded: {listed(absent)}.")
    count = sum(len(all_paired(rows, study)) for study in ("depth", "no-norm", "full"))
    if count > 1:
        lines.append(f"Chance: each interval is a 95 % one by itself; of {count}, about "
                     f"{count * (1 - LEVEL):.1f} would miss.")
    if count:
        lines.append("Not shown: what training for more epochs would do to these differences, or "
                     "other data, other optimisers and wider networks; and what causes them.")
    return [*lines, "Ties: a tie is not proof that two arms are equal. Anything inside its "
                    "interval remains possible."]
