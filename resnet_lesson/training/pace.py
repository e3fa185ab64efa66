"""What a training step costs here, and what a whole training will take."""

import math
from typing import NamedTuple

from resnet_lesson.training.arrangement import PLAIN, stepper
from resnet_lesson.training.device import pick_device
from resnet_lesson.words import duration, whole


def step_seconds(model, split, *, batch_size=128, size=None, repeats=2, device="auto",
                 arrangement=PLAIN):
    """Return the wall time of one training step in seconds: forward, backward, update.

    A copy of the model is trained. The first step, which is slower, is not counted; the fastest of
    ``repeats`` is. Other arguments, and what is refused, as in ``fit``.
    """
    batch_size, device = whole(batch_size, "batch_size"), pick_device(device)
    X, y = split.pixels(slice(batch_size), size), split.labels[:batch_size]
    _, take = stepper(model, X.to(device), y.to(device), arrangement, len(split.classes))
    take()
    return min(take()[0] for _ in range(max(repeats, 1)))


def estimate(model, split, *, epochs, batch_size=128, **options):
    """Return an ``Estimate`` of a training, without validation, from a few measured steps."""
    seconds = step_seconds(model, split, batch_size=batch_size, **options)
    return Estimate(seconds, epochs * math.ceil(len(split) / batch_size))


class Estimate(NamedTuple):
    """The cost of a training: seconds of a step, number of steps."""

    step_seconds: float
    steps: int

    @property
    def seconds(self):
        """Return the seconds of the whole training."""
        return self.step_seconds * self.steps

    def within(self, seconds):
        """Return how many of the steps fit into a budget of seconds; at least one."""
        return max(int(min(seconds / self.step_seconds, self.steps)), 1)

    def __repr__(self):
        """Say it in words."""
        return (f"about {duration(self.seconds)} on this machine "
                f"({self.steps:,} steps of {self.step_seconds:.2g} s)")
