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
    interval, decided, seeds = difference(found), decision(found), len(found.rows)
    low, middle, high = (f"{value:+.4f}".replace("-", "−") for value in interval[:3])
    one, other = (f"“{name}”" for name in found.names)
    if decided == "second":
        one, other = other, one
        low, middle, high = (f"{value:.4f}" for value in interval[:3])
    elif decided == "first":
        low, middle, high = (f"{-value:.4f}" for value in interval[2::-1])
    if decided != "not decided":
        said = (f"Decided: {one} has the lower validation error, by {middle} ({low} to {high}, "
                f"{seeds} seeds)")
    elif seeds < FEWEST:
        said = (f"Not decided: an interval needs {FEWEST} seeds, here are {seeds}. {one} − {other} "
                f"of the validation error is {middle} on average")
    else:
        said = (f"Not decided: {one} − {other} of the validation error is {middle} ({low} to "
                f"{high}, {seeds} seeds)")
    rows = [row for both in found.rows.values() for row in both]
    steps = listed(sorted({row["steps"] for row in rows}))
    means = [f"“{name}” {fmean(found.errors(i, 'train_error')):.4f} (rate {found.rates[i]:g})"
             for i, name in enumerate(found.names)]
    lost = sum(row["diverged"] for row in rows)
    return "\n".join([
        f"{said}.",
        f"Measured: after {steps} steps of {rows[0]['batch_size']} pictures; {rows[0]['data']}.",
        f"Mean training error: {means[0]}, {means[1]}; rates tried: "
        f"{listed(f'{lr:g}' for lr in found.tried)}."
        + (f" In {lost} of {len(rows)} runs the loss was no number." if lost else "")])
