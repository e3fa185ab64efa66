"""What tests of several panels need: a full drawing, a made-up run."""

import random

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from resnet_lesson import figures
from resnet_lesson.panels.picture import rgb
from resnet_lesson.training.fit import Progress
from resnet_lesson.training.history import History


def draw_from_scratch(panel):
    """Return a panel's picture as matplotlib draws it whole; the panel is of no use afterwards."""
    panel.figure.set_layout_engine("none")  # a second layout moves axes by 1e-9 of a pixel
    for artist in panel.figure.findobj(lambda artist: artist.get_animated()):
        artist.set_animated(False)
    canvas = FigureCanvasAgg(panel.figure)
    with figures.style():
        canvas.draw()
    return rgb(canvas)


@pytest.fixture(scope="session")
def full_drawing():
    return draw_from_scratch


class Training:
    """Calls a watch as ``fit`` does, with made-up losses and accuracies; time is ``now()``."""

    def __init__(self, epochs=3, steps=10, step_seconds=1.0, validation_seconds=3.0, seed=0):
        self.history = History({"epochs": epochs, "batch_size": 32})
        self.epochs, self.steps = epochs, steps
        self.step_seconds, self.validation_seconds = step_seconds, validation_seconds
        self.chance, self.done, self.seconds = random.Random(seed), 0, 100.0

    def now(self):
        return self.seconds

    def go_on(self, watch, steps=10**9):
        """Go some steps on, or to the end, or to the stop; return the history."""
        stop = False
        while self.done < self.epochs * self.steps and steps and not stop:
            epoch, step = divmod(self.done, self.steps)
            self.done, steps = self.done + 1, steps - 1
            self.seconds += self.step_seconds
            self.history.step_losses.append(2 / self.done ** 0.5 + self.chance.random() / 5)
            stop = watch(Progress(self.history, None, epoch, step + 1, self.steps,
                                  self.chance.random()))
            if step + 1 == self.steps:
                self.seconds += self.validation_seconds
                self.history.epochs.append({
                    "epoch": epoch + 1, "train_loss": 1.0, "train_accuracy": 0.5,
                    "validation_loss": 1.0, "validation_accuracy": round(self.chance.random(), 3),
                    "seconds": self.steps * self.step_seconds,
                    "examples_per_second": 32 / self.step_seconds})
                stop = watch(Progress(self.history, None, epoch + 1, 0, self.steps, 0.0)) or stop
        return self.history


@pytest.fixture(scope="session")
def made_up():
    return Training
