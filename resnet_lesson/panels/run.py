"""A training run as a panel follows it, and how often it may be drawn."""

import math

BUDGET = 0.015  # share of a run's time that the panel may take between two ends of epochs …
LIMIT = 0.02  # … and with the drawings at the ends of epochs
PAUSE = 0.5  # seconds at least between two drawings inside an epoch


class Run:
    """One run as seen through ``fit``'s watch: its history, and what only the watch sees.

    Attributes:
        history: the run's ``History``, which goes on growing.
        outcome: "training", "finished", "stopped", "interrupted" or the name of an error.
        first: steps taken before this part of the run.
        running: positions and training accuracies of the epoch so far.
    """

    def __init__(self, progress, now):
        self.history, self.steps = progress.history, progress.steps
        self.epochs = int(self.history.settings.get("epochs") or progress.epoch + 1)
        self.first = len(self.history.step_losses) - (progress.step > 0)
        rows = self.history.epochs[:self.first // self.steps]
        self.running = ([row["epoch"] for row in rows] + [math.nan],
                        [row["train_accuracy"] for row in rows] + [math.nan])
        self.outcome, self.start, self.now = "training", now, now
        self._epoch_began = None  # (time, step) of the first step seen in the running epoch
        self._training, self._validating = [0.0, 0], [0.0, 0]  # seconds, how often
        self.examples_per_second = math.nan  # in the running epoch, validation not counted

    def add(self, progress, now):
        """Note one call of the watch."""
        self.epoch, self.step = progress.epoch, progress.step
        self.running[0].append(self.epoch + self.step / self.steps)
        early = 10 * self.step < self.steps  # a mean of few pictures, which jumps
        self.running[1].append(math.nan if early else progress.accuracy)
        if self._epoch_began is not None:
            spent = self._training if self.step else self._validating
            spent[0] += now - self.now
            spent[1] += 1
            if self.step and now > self._epoch_began[0]:
                self.examples_per_second = self.history.settings.get("batch_size", math.nan) * (
                    self.step - self._epoch_began[1]) / (now - self._epoch_began[0])
        if not self.step:
            self._epoch_began = now, 0
        elif self._epoch_began is None:
            self._epoch_began = now, self.step
        self.now = now

    @property
    def seconds_left(self):
        """Return how long the rest takes at the pace so far; nan before the second step."""
        steps = (self.epochs - self.epoch) * self.steps - self.step
        return sum(rest * seconds / (often or default) for rest, (seconds, often), default in (
            (steps, self._training, math.nan), (self.epochs - self.epoch, self._validating, 1)))


class Throttle:
    """Decides when to draw, so that a run is slowed by at most ``LIMIT``.

    The first drawing, which makes the axes, and the last one come on top.
    """

    def __init__(self):
        self.start, self.spent, self.cost, self.last = None, 0.0, 0.0, 0.0

    def allows(self, now, epoch_ended):
        """Return whether one more drawing, at the cost of the last one, fits the budget."""
        if self.start is None:
            return True
        share = (LIMIT if epoch_ended else BUDGET) * (now - self.start)
        return self.spent + self.cost <= share and (epoch_ended or now - self.last >= PAUSE)

    def looked(self, before, after):
        """Note what a call without a drawing took: little, but there is one every step."""
        self.spent += after - before

    def drew(self, before, after):
        """Note what a drawing took."""
        if self.start is None:
            self.start = after
        else:
            self.cost = after - before
            self.spent += self.cost
        self.last = after
