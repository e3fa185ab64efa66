"""What pairs of runs decide: the interval of their difference, and sentences made from it."""

from statistics import fmean

from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.words import listed

FEWEST = 3   # seeds from which an interval is told


def difference(found, column="validation_error"):
    """Return the ``Interval`` of first − second over the seeds of some ``Pairs``."""
    values = [one - other for one, other in zip(found.errors(0, column), found.errors(1, column),
                                                strict=True)]
    interval = t_interval(values)
    return interval._replace(low=round(interval.low, 9), high=round(interval.high, 9))


def decision(found):
    """Return whose validation error is lower: ``"first"``, ``"second"`` or ``"not decided"``."""
    if len(found.rows) < FEWEST:
        return "not decided"
    return {"below": "first", "above": "second"}.get(difference(found).verdict, "not decided")


def conclusion(found):
    """Say what the pairs decide, and for which seeds, steps, pictures and rates, in lines."""
    if not found.rows:
        return "No pair is finished yet, so nothing can be said."
    decided, names = decision(found), [f"“{name}”" for name in found.names]
    low, middle, high, seeds = difference(found)
    if decided == "not decided":
        ends = " to ".join(f"{value:+.4f}" for value in (low, high)).replace("-", "−")
        few = f", too few for an interval, which needs {FEWEST}"
        said = (f"Not decided: {names[0]} − {names[1]} of the validation error is "
                f"{f'{middle:+.4f}'.replace('-', '−')} (" + (
                    f"{ends}, {seeds} seeds" if seeds >= FEWEST else f"seeds: {seeds}{few}") + ")")
    else:
        low, high = sorted((abs(low), abs(high)))
        said = (f"Decided: {names[decided == 'second']} has the lower validation error, by "
                f"{abs(middle):.4f} ({low:.4f} to {high:.4f}, {seeds} seeds)")
    rows = [row for both in found.rows.values() for row in both]
    steps = listed(sorted({row["steps"] for row in rows}))
    means = listed(f"{name} {fmean(found.errors(i, 'train_error')):.4f} (rate {found.rates[i]:g})"
                   for i, name in enumerate(names))
    lost = sum(row["diverged"] for row in rows)
    lost = f" In {lost} of {len(rows)} runs the loss was no number." if lost else ""
    return (f"{said}.\nMeasured: after {steps} steps of {rows[0]['batch_size']} pictures; "
            f"{rows[0]['data']}.\nMean training error: {means}; rates tried: "
            f"{listed(f'{lr:g}' for lr in found.tried)}.{lost}")
