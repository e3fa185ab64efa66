"""Panel *batch norm*: one channel before and after, and one value in ever different company."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch.nn import functional as F

from resnet_lesson import figures
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.words import count, fixed

BATCHES, LARGEST, WIDEST = 40, 128, 4
SHOWN = 300  # dots drawn at the most; every number is computed from all values


# standard normal pictures; picture 0 is the same in every batch, and its first pixel is 0.5
POOL = torch.randn(LARGEST, BATCHES, WIDEST, WIDEST, generator=torch.Generator().manual_seed(4))
POOL[0] = POOL[0, :1].clone()
POOL[0, :, 0, 0] = 0.5
JITTER = np.random.default_rng(4).uniform(-0.26, 0.26, SHOWN)


class Normalised(NamedTuple):
    """What becomes of a batch, and of one value in many batches."""

    before: np.ndarray  # the values of the first batch, (n,); the followed value comes first
    after: np.ndarray  # what batch norm makes of them, (n,)
    followed: np.ndarray  # what the followed value becomes in each of the batches, (BATCHES,)


class BatchNormPanel(FigurePanel):
    """Shift and scale a batch, choose the mode and the batch size, and see what comes out.

    The data: one channel of pictures with mean 0 and variance 1, which are also the layer's
    running statistics; γ = 1, β = 0. One value is followed through 40 batches that differ in
    everything but the picture that holds it.
    """

    title = "Batch norm"
    size = (9, 4)

    def make_controls(self):
        wide = widgets.Layout(width="auto", flex="1 1 350px", max_width="440px")
        tight = widgets.Layout(width="max-content")
        return {
            "shift": widgets.FloatSlider(value=2, min=-3, max=3, step=0.1, layout=wide,
                                         description="add to the batch"),
            "scale": widgets.FloatSlider(value=1.5, min=0.5, max=2.5, step=0.1, layout=wide,
                                         description="multiply it by"),
            "mode": widgets.ToggleButtons(options=["training", "evaluation"], description="mode",
                                          style={"button_width": "auto"}, layout=tight),
            "batch_size": widgets.SelectionSlider(options=[1, 2, 4, 8, 16, 32, 64, 128], value=8,
                                                  description="batch size", layout=wide),
            "picture": widgets.Dropdown(options=["1×1", "2×2", "4×4"], description="picture size",
                                        layout=tight),
        }

    @staticmethod
    def compute(shift, scale, mode, batch_size, picture):
        """Return what batch norm does to 40 batches, computed by torch.

        Raises:
            ValueError: a single value per channel in training mode, which torch refuses too.
        """
        side = int(picture[0])
        if mode == "training" and batch_size * side * side == 1:
            raise ValueError(
                "Batch size 1 with pictures of 1×1 leaves one value per channel: the mean is the "
                "value itself, the variance is 0, and nothing remains. torch refuses this in "
                "training mode. Take a larger batch, larger pictures, or evaluation mode.")
        x = POOL[:batch_size, :, :side, :side] * scale + shift
        # The batches lie along the channel axis, so one call treats each on its own.
        y = F.batch_norm(x, torch.zeros(BATCHES), torch.ones(BATCHES),
                         training=mode == "training")
        return Normalised(x[:, 0].flatten().numpy(), y[:, 0].flatten().numpy(),
                          y[0, :, 0, 0].numpy())

    def make_figure(self, figure):
        """Make two strips of dots on the left, and the followed value per batch on the right."""
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        left.set(title="Batch 0, one channel", xlabel="value", xlim=(-9, 9), ylim=(-0.6, 1.6),
                 xticks=range(-8, 9, 2),
                 yticks=[1, 0], yticklabels=["goes in", "comes out"])
        left.axvline(0, color=figures.GREY, linewidth=1)
        self.dots, self.bars, self.marks = [], [], []
        for color in (figures.GREY, figures.BLUE):  # going in, coming out
            self.dots += left.plot([], [], "o", color=color, markersize=4, alpha=0.45)
            self.bars += left.plot([], [], "-|", color="black", linewidth=3, markersize=16,
                                   markeredgewidth=3)
            self.marks += left.plot([], [], "D", color=figures.ORANGE, markersize=10,
                                    markeredgecolor="black")
        right.set(title="◆ in 40 different batches", xlabel="batch", ylabel="◆ comes out as",
                  xlim=(-1, BATCHES), ylim=(-4, 6.5))
        for axes in (left, right):
            axes.title.set_zorder(0)  # nothing moves over it: part of the background
        (self.followed,) = right.plot([], [], "D", color=figures.ORANGE, markersize=6,
                                      markeredgecolor="black", markeredgewidth=0.8)
        (self.middle,) = right.plot([], [], "--", color="black", linewidth=1.5)
        right.legend([self.middle], ["mean of the 40"], loc="upper right").set_zorder(0)
        self.lines = [*self.dots, *self.bars, *self.marks, self.followed, self.middle]
        return self.lines

    def draw(self, result, values):
        """Move the dots; a bar spans one standard deviation to both sides of the mean."""
        for i, numbers in enumerate((result.before, result.after)):
            height = 1 - i
            shown = numbers[1:SHOWN]
            self.dots[i].set_data(shown, height + JITTER[:len(shown)])
            self.dots[i].set_markersize(8 if len(shown) < 32 else 4.5)
            mean, deviation = numbers.mean(), numbers.std()
            self.bars[i].set_data([mean - deviation, mean, mean + deviation],
                                  [height - 0.42] * 3)
            self.marks[i].set_data(numbers[:1], [height])
        self.followed.set_data(np.arange(BATCHES), result.followed)
        self.middle.set_data([-1, BATCHES], [result.followed.mean()] * 2)

    def draw_trouble(self, words, values):
        """Show what goes in; nothing comes out."""
        only = POOL[0, 0, 0, 0].item() * values["scale"] + values["shift"]
        for line in self.lines:
            line.set_data([], [])
        self.marks[0].set_data([only], [1])

    def describe(self, result, values):
        before, after = result.before, result.after
        size = count(values["batch_size"], "picture")
        batch = (f"{values['mode'].capitalize()} mode, {size} of {values['picture']}: "
                 f"mean {fixed(before.mean(), 2)} becomes {fixed(after.mean(), 2)}, standard "
                 f"deviation {fixed(before.std(), 2)} becomes {fixed(after.std(), 2)} (bars). ")
        low, high = result.followed.min(), result.followed.max()
        goes_in = fixed(before[0], 2)
        if values["mode"] == "evaluation":
            return (f"{batch}The value {goes_in} (◆) always comes out as {fixed(low, 2)}, "
                    "whatever else is in its batch.")
        if values["batch_size"] == 1:
            return (f"{batch}The picture (◆) is alone in each batch, so it is measured against "
                    f"itself: always {fixed(low, 2)}.")
        follow = (f"{batch}The value {goes_in} (◆) comes out anywhere between {fixed(low, 2)} and "
                  f"{fixed(high, 2)}, standard deviation {fixed(result.followed.std(), 2)}: it "
                  "depends on its company.")
        if len(before) == 2:
            follow += " Two values come out as about +1 and −1, whatever they were."
        return follow
