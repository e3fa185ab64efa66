"""A training run as a panel follows it: its curves, its numbers, and how far it came in words."""

import math
import statistics
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from resnet_lesson.words import count


class Run:
    """One run as seen through ``fit``'s watch: its history, and what only the watch sees.

    Attributes:
        history: the run's ``History``, which goes on growing.
        outcome: "training", "finished", "stopped", "interrupted" or the name of an error.
        first: steps taken before this part of the run.
        running: positions and training accuracies of the epoch so far.
        examples_per_second: in the running epoch, validation not counted.
    """

    def __init__(self, progress, now):
        self.history, self.steps = progress.history, progress.steps
        self.epochs = int(self.history.settings.get("epochs") or progress.epoch + 1)
        self.first = len(self.history.step_losses) - (1 if progress.step else 0)
        rows = self.history.epochs[:self.first // self.steps]
        self.running = ([row["epoch"] for row in rows] + [math.nan],
                        [row["train_accuracy"] for row in rows] + [math.nan])
        self.outcome, self.start, self.now = "training", now, now
        self.examples_per_second = math.nan
        self._training, self._validating = [], []  # seconds of each step, of each validation
        self._epoch_began = None  # (time, step) of the first call in the running epoch

    def add(self, progress, now):
        """Note one call of the watch."""
        self.epoch, self.step = progress.epoch, progress.step
        self.running[0].append(self.epoch + self.step / self.steps)
        early = 10 * self.step < self.steps  # a mean of few pictures, which jumps
        self.running[1].append(math.nan if early else progress.accuracy)
        if self._epoch_began is not None:
            spent = self._training if self.step else self._validating
            spent.append(now - self.now)
        if self._epoch_began is None or self.step == 0:
            self._epoch_began = now, self.step
        began, first = self._epoch_began
        if now > began:
            examples = (self.step - first) * self.history.settings.get("batch_size", math.nan)
            self.examples_per_second = examples / (now - began)
        self.now = now

    @property
    def seconds_left(self):
        """Return how long the rest takes at the pace so far; nan before the second step."""
        if not self._training:
            return math.nan
        epochs = self.epochs - self.epoch
        left = (epochs * self.steps - self.step) * statistics.fmean(self._training)
        if self._validating:
            left += epochs * statistics.fmean(self._validating)
        return left


class Curves(NamedTuple):
    """What there is to draw of a run; positions are in epochs."""

    raw: tuple = ([], [])  # positions and losses of single steps
    smooth: tuple = ([], [])  # the same as a mean of the last ones
    running: tuple = ([], [])  # positions and training accuracies of the epoch so far, with gaps
    validation: tuple = ([], [])  # positions and accuracies, one per finished epoch
    best: tuple = (math.nan, math.nan)  # position and accuracy of the best epoch
    epochs: int = 5  # end of the axis of epochs
    top: float = 2.5  # end of the axis of losses
    resumed: float | None = None  # where this part of the run began, if not at its very start


def curves(run, smoothing):
    """Return the ``Curves`` of a ``Run`` (or of ``None``), as means of ``smoothing`` steps.

    Raises:
        ValueError: ``smoothing`` is no whole number above 0.
    """
    if smoothing < 1 or smoothing != int(smoothing):
        raise ValueError(f"smoothing must be a whole number of steps above 0, got {smoothing}")
    if run is None:
        return Curves()
    history, losses = run.history, np.asarray(run.history.step_losses, dtype=float)
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(ends - int(smoothing), 0)  # fewer steps at the beginning
    means = (sums[ends] - sums[starts]) / (ends - starts)
    found = Curves((ends / run.steps, losses), (ends / run.steps, means), run.running,
                   epochs=run.epochs)
    if history.epochs:
        found = found._replace(
            validation=(history.column("epoch"), history.column("validation_accuracy")),
            best=(history.best["epoch"], history.best["validation_accuracy"]))
    if len(means):
        found = found._replace(top=MaxNLocator(6).tick_values(0, 1.04 * means.max())[-1])
    return found._replace(resumed=run.first / run.steps) if run.first else found


def numbers(run):
    """Return epoch, step, speed and time of a run, a dict of words."""
    if run is None:
        return dict.fromkeys(("epoch", "step", "examples/s", "time left"), "–")
    epoch = run.epoch + 1 if run.step else run.epoch
    speed, left = run.examples_per_second, run.seconds_left
    found = {"epoch": f"{epoch} of {run.epochs}",
             "step": f"{run.step or run.steps} of {run.steps}",
             "examples/s": "…" if math.isnan(speed) else f"{speed:,.0f}"}
    if run.outcome == "training":
        found["time left"] = "…" if math.isnan(left) else tqdm.format_interval(left)
    else:
        found["took"] = tqdm.format_interval(run.now - run.start)
    return found


def description(run, smoothing):
    """Return a run in words; during the run they change only when an epoch ends."""
    rows, losses = run.history.epochs, run.history.step_losses
    words, so_far = _outcome(run), " so far"
    if run.first:
        epoch, step = divmod(run.first, run.steps)
        words += f" Resumed after {count(epoch, 'epoch')} and {count(step, 'step')} (dotted line)."
    if run.outcome != "training":
        size, so_far = min(smoothing, max(len(losses) // 2, 1)), ""
        words += (f" Training loss, mean of {count(size, 'step')}: "
                  f"{np.mean(losses[:size]):.2f} in the beginning, "
                  f"{np.mean(losses[-size:]):.2f} in the end.")
    if rows:
        seconds = np.array(run.history.column("seconds"))
        speed = np.average(run.history.column("examples_per_second"), weights=seconds)
        best = run.history.best
        words += (f" Best validation accuracy{so_far}: {best['validation_accuracy']:.3f}, after "
                  f"epoch {best['epoch']}. Speed: {speed:,.0f} examples per second.")
    return words


def _outcome(run):
    """Return how far a run came, and what of it is kept, as a sentence."""
    if run.outcome == "training":
        return f"Training: {run.epoch} of {count(run.epochs, 'epoch')} finished."
    if run.outcome == "finished":
        return f"Finished: {count(run.epochs, 'epoch')} of {count(run.steps, 'step')}."
    end = {"stopped": "Stopped by the button", "interrupted": "Stopped"}.get(
        run.outcome, f"Ended by an error ({run.outcome})")
    where = f"after epoch {run.epoch} of {run.epochs}"
    if run.step:
        where = f"in epoch {run.epoch + 1} of {run.epochs}, after step {run.step} of {run.steps}"
    kept = "history and best weights are kept" if run.history.epochs else "the history is kept"
    return f"{end} {where}; {kept}."
