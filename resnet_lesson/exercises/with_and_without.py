"""Exercises of notebook 08: find what a comparison confounds, and the interval over seeds."""

import math
import statistics

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same
from resnet_lesson.exercises.source import slip
from resnet_lesson.findings.intervals import quantile

# ---------------------------------------------------------------- confounds

SETTINGS = {"learning rate": (0.005, 0.01, 0.03), "seed": (0, 1, 2), "epochs": (5, 10),
            "batch size": (64, 128), "pictures": (1000, 5000), "momentum": (0, 0.9)}


def confounds(plain, residual):
    """Return the names of all settings, besides the arm, in which two runs differ."""
    missing = object()  # equal to no value, not even to None
    names = set(plain) | set(residual)
    return {name for name in names - {"arm"}
            if plain.get(name, missing) != residual.get(name, missing)}


def _pair_of_runs(draw, differ, absent):
    """Return the settings of two runs that differ in ``differ`` and lack ``absent`` in one."""
    plain = {"arm": "plain"} | {name: draw.choice(values) for name, values in SETTINGS.items()}
    residual = plain | {"arm": "residual"}
    for name in differ:
        residual[name] = draw.choice([v for v in SETTINGS[name] if v != plain[name]])
    for name in absent:
        del draw.choice([plain, residual])[name]
    return plain, residual


def _runs(draw):
    """Yield pairs of runs; in some of them only one run has a setting."""
    for differ, absent in ((2, 0), (0, 1), (1, 1), (0, 0), (3, 1)):
        chosen = draw.sample(list(SETTINGS), differ + absent)
        yield _pair_of_runs(draw, chosen[:differ], chosen[differ:])
    for gone in ("seed", "momentum", "augment"):   # a value that reads like a missing one
        for side in (0, 1):
            runs = [{"arm": arm, "seed": 0, "momentum": 0.0, "augment": None, "epochs": 5}
                    for arm in ("plain", "residual")]
            del runs[side][gone]
            yield tuple(runs)


def _set_of_names(answer, case):
    found = answer(*case)
    if isinstance(found, set | list | tuple | frozenset | dict):
        return set(found)
    return found


def _names(names):
    return ", ".join(sorted(map(str, names))) or "no name"


CONFOUNDS = Exercise(
    solve=confounds, cases=_runs, run=_set_of_names,
    form=lambda given, case: None if isinstance(given, set) else (
        f"Expected a set of names, got {type(given).__name__}. There may be several settings that "
        "differ, or none: collect their names."),
    where=lambda case, expected, given: f"Expected {_names(expected)}, got {_names(given)}.",
    idea=lambda case, expected, given: (
        "Look at every setting before you return, not only at the first that differs."
        if given < expected else "Compare the value of each name in both runs."),
    mistakes=(
        Mistake(slip(confounds, (' - {"arm"}', "")),
                "The arm is what the experiment asks about, so it must differ; a confound is "
                "whatever differs besides."),
        Mistake(slip(confounds, ("!=", "==")),
                "These are the settings in which the two runs agree. Confounds are those in which "
                "they do not."),
        *(Mistake(slip(confounds, edit), "What only one of the two runs sets is a difference too: "
                                         "fixed for one arm, it is left to chance for the other.")
          for edit in ((" | ", " & "), (", missing)", ")"), (" | set(residual)", ""))),
        Mistake(lambda plain, residual: set(sorted(confounds(plain, residual))[:1]),
                "Look at every setting before you return, not only at the first that differs."),
    ),
    hints=("Go through the names of both runs: set(plain) | set(residual).",
           "A setting that only one run has differs too. plain.get(name, …) can return something "
           "that no value equals.",
           "Leave out \"arm\" itself: it is the question."),
    remark="What differs besides the arm may be the cause of whatever is found, and no amount of "
           "data tells which.", minutes=5, difficulty=2)

# ---------------------------------------------------------------- the interval over seeds


def paired_interval(plain, residual):
    """Return (low, mean, high): the 95 % t interval of plain − residual, seed by seed."""
    differences = [p - r for p, r in zip(plain, residual, strict=True)]
    n = len(differences)
    mean = statistics.fmean(differences)
    half = quantile(n) * statistics.stdev(differences) / math.sqrt(n)
    return mean - half, mean, mean + half


def by_scipy(plain, residual):
    """Return the same interval from ``scipy.stats.ttest_rel``."""
    from scipy import stats  # slow to import
    test = stats.ttest_rel(plain, residual)
    low, high = test.confidence_interval(0.95)
    return low, statistics.fmean(plain) - statistics.fmean(residual), high


def _errors(draw):
    for n in (5, 3, 8):
        luck = [draw.gauss(0.4, 0.1) for _ in range(n)]  # shared by both arms of a seed
        yield ([value + draw.gauss(0.1, 0.03) for value in luck],
               [value + draw.gauss(0, 0.03) for value in luck])


def _three_numbers(given, case):
    if not hasattr(given, "__len__") or not all(map(is_number, given)):
        return (f"Expected three numbers (low, mean, high), got {type(given).__name__}. "
                "Return both ends of the interval and its middle.")
    if len(given) != 3:
        return f"Expected three numbers (low, mean, high), got {len(given)}."
    return None


def _where(case, expected, given):
    written = ["(" + ", ".join(f"{float(value):.4f}" for value in values) + ")"
               for values in (expected, given)]
    return f"For {len(case[0])} seeds: expected {written[0]}, got {written[1]}."


def _idea(case, expected, given):
    low, mean, high = map(float, given)
    if not math.isclose(mean, expected[1], rel_tol=1e-4, abs_tol=1e-9):
        return "The middle should be the mean of the differences."
    if not math.isclose(mean - low, high - mean, rel_tol=1e-4):
        return "The interval should reach equally far down and up from its mean."
    factor = (high - mean) / (expected[2] - expected[1])
    return (f"The middle is right, but the interval is {factor:.2f} times as wide as it should "
            "be: quantile(n) times the standard deviation of the differences, divided by the "
            "square root of n.")


def _unpaired(t):
    """Return a wrong answer: the arms as if they had nothing in common."""
    def answer(plain, residual):
        n, mean = len(plain), statistics.fmean(plain) - statistics.fmean(residual)
        half = t(n) * math.hypot(statistics.stdev(plain), statistics.stdev(residual)) / n**0.5
        return mean - half, mean, mean + half
    return answer


_TWO_ARMS = ("Your interval treats the arms as if they had nothing in common. Both share a seed: "
             "take the difference within each seed first, and the standard deviation of these "
             "differences.")
_NORMAL = ("The number of standard errors is not 1.96 where seeds are few: the standard deviation "
           "itself is uncertain. quantile(n) gives it.")
_ONE_SIDED = ("The quantile is not that of a two-sided 95 % interval with n − 1 degrees of "
              "freedom. quantile(n) gives it.")

PAIRED_INTERVAL = Exercise(
    solve=paired_interval, cases=_errors, oracle=by_scipy, form=_three_numbers, where=_where,
    idea=_idea, part="paired_interval",
    same=lambda one, other: same(list(map(float, one)), list(map(float, other)), 1e-4, 1e-9),
    mistakes=(
        Mistake(lambda plain, residual: paired_interval(residual, plain),
                "The sign is reversed: this is residual − plain. With plain − residual a positive "
                "difference means that the shortcut helps."),
        Mistake(lambda plain, residual: paired_interval(plain, residual)[::-1],
                "The right three numbers in another order: expected (low, mean, high)."),
        *(Mistake(_unpaired(t), _TWO_ARMS) for t in (
            quantile, lambda n: quantile(2 * n - 1), lambda n: 1.96)),
        *(Mistake(slip(paired_interval, ("quantile(n)", t)), _NORMAL) for t in ("1.96", "2")),
        Mistake(slip(paired_interval, ("stdev", "pstdev")),
                "The standard deviation divides by n; for a sample it divides by n − 1 "
                "(statistics.stdev)."),
        Mistake(slip(paired_interval, (" / math.sqrt(n)", "")),
                "You have the spread of single seeds. The mean of n seeds is surer than one of "
                "them: divide by the square root of n."),
        Mistake(slip(paired_interval, ("quantile(n) * ", "")),
                "This is one standard error to either side. A 95 % interval reaches further: "
                "quantile(n) of them."),
        *(Mistake(slip(paired_interval, ("quantile(n)", f"quantile({t})")), _ONE_SIDED)
          for t in ("n, 0.9", "n + 1", "n + 1, 0.9", "n - 1")),
    ),
    hints=("First one difference per seed: plain − residual.",
           "Then their mean, and their standard deviation with statistics.stdev.",
           "The mean of n differences scatters by stdev ÷ √n. The interval reaches quantile(n) "
           "times as far, down and up."),
    remark="Pairing removes what both arms share, such as an easy or unlucky order of pictures; "
           "it helps as far as the two errors rise and fall together.", minutes=8, difficulty=3)
