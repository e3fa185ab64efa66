"""What the sweep says, in sentences: every word about results follows from the rows.

All functions take rows of the sweep, complete or not.
"""

import math

from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.findings import comparison
from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.words import listed, short, signed

AFTER = {"depth": "", "full": " (full set)"}  # what follows a depth


def span(interval, digits=3):
    """Return an interval of a difference in words: +0.021 (+0.004 to +0.038, 5 seeds)."""
    low, middle, high = (signed(value, digits) for value in interval[:3])
    if interval.count == 1:
        return f"{middle} (one seed, no interval)"
    return f"{middle} ({low} to {high}, {interval.count} seeds)"


def wins_table(rows, study="depth"):
    """Return (headings, lines): at each depth and rate, in how many seeds the shortcut wins."""
    found = comparison.wins(rows, study)
    rates = sorted({rate for cells in found.values() for rate in cells})
    lines = [[depth, *(f"{cells[rate][0]} of {cells[rate][1]}" if rate in cells else ""
                       for rate in rates)] for depth, cells in found.items()]
    return ["layers", *(f"rate {rate:g}" for rate in rates)], lines


def gap_words(found):
    """Say where a figure of (study, depth, ``Comparison``) entries shows a gap, and which."""
    groups = []
    for verdict, words in (("above", "right of 0, plain is worse (green, round)"),
                           ("tie", "0 inside, not decided (grey, diamond)"),
                           ("below", "left of 0, residual is worse (pink, square)"),
                           ("unknown", "one seed, no interval (cross)")):
        chosen = [f"{depth}{AFTER[study]} {signed(value.interval.middle)}"
                  for study, depth, value in found if value.interval.verdict == verdict]
        if chosen:
            groups.append(f"{words}: {listed(chosen)}")
    steps = listed(sorted({f"{value.first.runs[0].steps}{AFTER[study]}"
                           for study, _, value in found}))
    words = (f"Training error after {steps} steps, each arm at its best rate. Bars are 95 % "
             f"intervals over seeds, dots single seeds; {'; '.join(groups)}.")
    if any(side.edge for _, _, value in found for side in (value.first, value.second)):
        words += " A star: the best rate is the end of its grid, so a better one may lie beyond."
    return words


def lost_gradient(rows, depth=56):
    """Say whether plain networks with batch norm lack a gradient before their first step.

    It is the norm at the first convolution's weights, a mean over seeds.
    """
    try:
        found = comparison.paired(rows, "depth", depth, "first_gradient_norm")
    except ValueError:
        return ""
    plain, residual = found.first.mean, found.second.mean
    if not (math.isfinite(plain) and residual > 0):
        return ""
    answer = "No" if plain >= residual else "It is smaller"
    return (f"{answer}: at the first convolution of {depth} layers, before the first step, "
            f"its norm is {short(plain)} in plain and {short(residual)} in residual networks, "
            f"{short(plain / residual)} times as much (means of {len(found.seeds)} seeds).")


def published_words(parts, runs):
    """Say what the published settings and equal rates give: ``contrasts``, and all their runs."""
    single = parts["as published"]
    told = comparison.PUBLISHED["residual"]["accuracy"] - comparison.PUBLISHED["plain"]["accuracy"]
    each = "; ".join(f"{name} {span(t_interval(values))}" for name, values in parts.items())
    return ("Error, first 200 test digits, plain − residual with 95 % intervals over seeds: "
            f"{each}. Yellow: the published settings; their one run gave {signed(told)}. Of our "
            f"single seeds, plain is worse in {sum(value > 0 for value in single)} of "
            f"{len(single)}, better in {sum(value < 0 for value in single)}. The training error "
            f"is {max(run.train_error for run in runs):.3f} or less in every run, so this gap is "
            "about new pictures, not about degradation.")


def learned_words(found):
    """Say how many runs without norm learned; ``found`` is ``{(arm, depth): [Result]}``."""
    each = [f"{arm}: " + listed(
        f"{sum(run.train_error < comparison.LEARNED for run in runs)} of {len(runs)} at {depth}"
        for (name, depth), runs in found.items() if name == arm) + " layers" for arm in ARMS]
    runs = [run for some in found.values() for run in some]
    rates = sorted({run.lr for run in runs})
    return (f"Each mark is one run after {runs[0].steps} steps: all seeds and rates ({rates[0]:g} "
            f"to {rates[-1]:g}, rising to the right, not all at every depth). More than half of "
            f"its training pictures right: {'; '.join(each)}. "
            f"Diverged, and drawn where they stopped: {sum(run.diverged for run in runs)}.")
