"""Exercises of notebook 08: find what a comparison confounds, and the interval over seeds."""

import math
import random
import statistics

from scipy import special

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved
from resnet_lesson.findings.intervals import quantile

SETTINGS = {"learning rate": (0.005, 0.01, 0.03), "seed": (0, 1, 2), "epochs": (5, 10),
            "batch size": (64, 128), "pictures": (1000, 5000), "momentum": (0, 0.9)}


def confounds(plain, residual):
    """Return the names of all settings, besides the arm, in which two runs differ."""
    missing = object()  # equal to no value, not even to None
    names = set(plain) | set(residual)
    return {name for name in names - {"arm"}
            if plain.get(name, missing) != residual.get(name, missing)}


def _pair_of_runs(rng, differ, absent):
    """Return the settings of two runs that differ in ``differ`` and lack ``absent`` in one."""
    plain = {"arm": "plain"} | {name: rng.choice(values) for name, values in SETTINGS.items()}
    residual = plain | {"arm": "residual"}
    for name in differ:
        residual[name] = rng.choice([v for v in SETTINGS[name] if v != plain[name]])
    for name in absent:
        del rng.choice([plain, residual])[name]
    return plain, residual


def _runs():
    """Yield (plain, residual, names that one of them lacks), the same ones at every check."""
    rng, names = random.Random(0), list(SETTINGS)
    for differ, absent in ((2, 0), (0, 1), (1, 1), (0, 0), (3, 1)):
        chosen = rng.sample(names, differ + absent)
        yield *_pair_of_runs(rng, chosen[:differ], chosen[differ:]), chosen[differ:]
    for gone in ("seed", "momentum", "augment"):   # a value that reads like a missing one
        for side in (0, 1):
            runs = [{"arm": arm, "seed": 0, "momentum": 0.0, "augment": None, "epochs": 5}
                    for arm in ("plain", "residual")]
            del runs[side][gone]
            yield *runs, [gone]


def _judge_confounds(answer):
    for plain, residual, absent in _runs():
        found = answer(dict(plain), dict(residual))
        if unsolved(found):
            return NOT_SOLVED
        if isinstance(found, str) or not isinstance(found, set | list | tuple | frozenset | dict):
            return (f"Expected a set of names, got {type(found).__name__}. There may be several "
                    "settings that differ, or none: collect their names.")
        complaint = _compare_names(set(found), plain, residual, absent)
        if complaint:
            return complaint
    return None


def _compare_names(found, plain, residual, absent):
    right = confounds(plain, residual)
    if found == right:
        return None
    if "arm" in found:
        return ("The arm is in your answer. It is what the experiment asks about, so it must "
                "differ; a confound is whatever differs besides.")
    shared = set(plain) & set(residual) - {"arm"} - right
    if found == shared or (found & shared and not found & right):
        return ("These are the settings in which the two runs agree. Confounds are those in which "
                "they do not.")
    if found == right - set(absent):
        return (f"{_names(absent)} is missing from your answer: only one of the two runs sets it. "
                "What is fixed for one arm and left to chance for the other is a difference too.")
    if found < right:
        return (f"Expected {_names(right)}, got {_names(found)}. Look at every setting before you "
                "return, not only at the first that differs.")
    return (f"Expected {_names(right)}, got {_names(found)}. Compare the value of each name in "
            "both runs.")


def _names(names):
    return ", ".join(sorted(map(str, names))) or "no name"


def paired_interval(plain, residual):
    """Return (low, mean, high): the 95 % t interval of plain − residual, seed by seed."""
    differences = [p - r for p, r in zip(plain, residual, strict=True)]
    n = len(differences)
    mean = statistics.fmean(differences)
    half = quantile(n) * statistics.stdev(differences) / math.sqrt(n)
    return mean - half, mean, mean + half


def _judge_interval(answer):
    for n in (5, 3, 8):
        luck = [random.gauss(0.4, 0.1) for _ in range(n)]  # shared by both arms of a seed
        plain = [value + random.gauss(0.1, 0.03) for value in luck]
        residual = [value + random.gauss(0, 0.03) for value in luck]
        found = answer(list(plain), list(residual))
        if unsolved(found):
            return NOT_SOLVED
        try:
            found = [float(value) for value in found]
        except (TypeError, ValueError):
            return (f"Expected three numbers (low, mean, high), got {type(found).__name__}. "
                    "Return both ends of the interval and its middle.")
        if len(found) != 3:
            return f"Expected three numbers (low, mean, high), got {len(found)}."
        complaint = _compare_interval(found, plain, residual)
        if complaint:
            return complaint
    return None


def _compare_interval(found, plain, residual):
    low, mean, high = right = paired_interval(plain, residual)
    n, half = len(plain), high - mean

    def same(one, other):
        return all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-9)
                   for a, b in zip(one, other, strict=True))

    if same(found, right):
        return None
    if same(found, [-high, -mean, -low]):
        return ("The sign is reversed: this is residual − plain. With plain − residual a positive "
                "difference means that the shortcut helps.")
    if same(sorted(found), right):
        return "The right three numbers in another order: expected (low, mean, high)."
    if not same([found[1]], [mean]):
        return (f"The middle should be the mean of the differences, {mean:.4f}; you return "
                f"{found[1]:.4f}.")
    if not same([mean - found[0]], [found[2] - mean]):
        return "The interval should reach equally far down and up from its mean."
    return _width((found[2] - mean) / half, half, n, plain, residual)


def _width(factor, half, n, plain, residual):
    """Say what makes an interval ``factor`` times as wide as it should be."""
    def is_(value):
        return math.isclose(factor, value, rel_tol=1e-3)

    spread = math.hypot(statistics.stdev(plain), statistics.stdev(residual)) / math.sqrt(n)
    if any(is_(t * spread / half) for t in (quantile(n), quantile(2 * n - 1), 1.96)):
        return ("Your interval treats the arms as if they had nothing in common. Both share a "
                "seed: take the difference within each seed first, and the standard deviation of "
                "these differences.")
    if is_(1.96 / quantile(n)) or is_(2 / quantile(n)):
        return (f"The number of standard errors should be {quantile(n):.3f} for {n} seeds, not "
                "1.96: with few seeds the standard deviation itself is uncertain. "
                "quantile(n) gives it.")
    if is_(math.sqrt((n - 1) / n)):
        return ("The standard deviation divides by n; for a sample it divides by n − 1 "
                "(statistics.stdev).")
    if is_(math.sqrt(n)):
        return ("You have the spread of single seeds. The mean of n seeds is surer than one of "
                "them: divide by the square root of n.")
    if is_(1 / quantile(n)):
        return ("This is one standard error to either side. A 95 % interval reaches further: "
                f"{quantile(n):.3f} of them for {n} seeds.")
    if any(is_(float(special.stdtrit(df, p)) / quantile(n)) for df, p in (
            (n - 1, 0.95), (n, 0.975), (n, 0.95), (n - 2, 0.975))):
        return (f"The quantile is not that of a two-sided 95 % interval with n − 1 = {n - 1} "
                "degrees of freedom. quantile(n) gives it.")
    return (f"The middle is right, but the interval is {factor:.2f} times as wide as it should be: "
            "quantile(n) times the standard deviation of the differences, divided by the square "
            "root of n.")


CONFOUNDS = Exercise(
    judge=_judge_confounds, solve=confounds,
    hints=("Go through the names of both runs: set(plain) | set(residual).",
           "A setting that only one run has differs too. plain.get(name, …) can return something "
           "that no value equals.",
           "Leave out \"arm\" itself: it is the question."),
    remark="What differs besides the arm may be the cause of whatever is found, and no amount of "
           "data tells which.")

PAIRED_INTERVAL = Exercise(
    judge=_judge_interval, solve=paired_interval,
    hints=("First one difference per seed: plain − residual.",
           "Then their mean, and their standard deviation with statistics.stdev.",
           "The mean of n differences scatters by stdev ÷ √n. The interval reaches quantile(n) "
           "times as far, down and up."),
    remark="Pairing removes what both arms share, such as an easy or unlucky order of pictures; "
           "it helps as far as the two errors rise and fall together.")
