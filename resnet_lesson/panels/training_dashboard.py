"""*Training dashboard*: watches a training run while it goes on, and stops it."""

import functools
import html
import math
import threading
import time
from contextlib import suppress
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from IPython import get_ipython
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from resnet_lesson import figures
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.panels.run import Run, Throttle

SMOOTHING = (1, 5, 10, 20, 50, 100, 200)
HELP = ("The stop button ends it after the running step, and what was reached is kept; should the "
        "button not answer, ■ in the toolbar does the same.")


class Curves(NamedTuple):
    """What ``TrainingDashboard.compute`` returns; positions are in epochs.

    Attributes:
        raw, smooth: (positions, losses), of single steps and as a mean of the last ones.
        running: (positions, training accuracies of the epoch so far); nan between two epochs.
        validation: (positions, accuracies), one per finished epoch.
        best: (position, accuracy) of the best epoch; nan before the first has finished.
        epochs, top: ends of the axes, in epochs and in loss.
        resumed: where this part of the run began, or ``None`` for its very start.
    """

    raw: tuple
    smooth: tuple
    running: tuple
    validation: tuple
    best: tuple
    epochs: int
    top: float
    resumed: float


class TrainingDashboard(FigurePanel):
    """Curves, speed, time left and a stop button for ``training.fit(..., watch=panel.watch)``.

    Show it in a cell of its own and train in the next one. It follows one run after the other,
    resumed ones included; after the end it keeps the picture. Drawing takes at most 2 % of the
    time (``Throttle``), and an error in it never reaches the training.

    A click arrives during the running cell in JupyterLab from 4.4 on with ipykernel from 7 on; it
    only sets a flag, and ``watch`` answers ``True`` after the step. Elsewhere it waits until the
    cell ends; Jupyter's own stop button ends the training everywhere. ``run`` is the ``Run`` that
    is, or was last, watched; the control ``smoothing`` says how many steps the thick line averages.
    """

    title = "Training dashboard"
    size = (10.5, 4.4)
    clock = staticmethod(time.perf_counter)

    def __init__(self, **start):
        self.run = self._history = None
        self._trainer = None  # the thread that trains now
        self._stopped, self._due, self._failure = False, False, ""
        self._lock = threading.RLock()  # clicks may be handled in a thread of their own
        self._numbers = widgets.HTML()
        self._button = widgets.Button(
            description="Stop training", icon="stop", disabled=True, tooltip=HELP,
            style={"button_color": figures.ORANGE, "text_color": "white", "font_weight": "bold"})
        self._button.on_click(lambda _: self._press())
        super().__init__(**start)
        bar = widgets.HBox([self._button, self._numbers],
                           layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
        title, row, *rest = self.children
        self.children = [title, bar, *rest, row]
        self.resize()
        for widget in (self._button, self._larger, *self.controls.values()):
            answer_while_busy(widget)

    def make_controls(self):
        """Return the smoothing of the loss."""
        return {"smoothing": widgets.SelectionSlider(
            options=SMOOTHING, value=20, description="steps averaged",
            layout=widgets.Layout(width="380px", margin="2px 14px 2px 2px"))}

    def watch(self, progress):
        """Take a ``training.Progress``; return ``True`` once the stop button was pressed."""
        if progress.history is not self._history:
            self._history, self.run, self._throttle = progress.history, None, Throttle()
            self._stopped, self._failure = False, ""
        stopped = self._stopped  # read once: a click may come at any moment from here on
        try:
            self._follow(progress, stopped)
        except Exception as error:  # a picture is never worth a training
            self._fail(error)
        return stopped

    def _follow(self, progress, stopped):
        now = self.clock()
        self.run = self.run or Run(progress, now)
        if self._trainer is None:
            self._open()
        run = self.run
        run.add(progress, now)
        before, run.outcome = run.outcome, ("finished" if run.epoch >= run.epochs else
                                            "stopped" if stopped else "training")
        self._button.disabled = run.outcome != "training"
        if run.outcome != before or not self._failure and (
                self._due or self._throttle.allows(now, run.step == 0)):
            self.update()
            self._throttle.drew(now, self.clock())
        else:
            self._throttle.looked(now, self.clock())

    def _open(self):
        """Get ready for a run: the button works, and the end of the cell will be noticed."""
        self._trainer = threading.get_ident()
        self._button.disabled, self._reset.disabled = False, True
        shell = get_ipython()
        if shell is not None:
            def ended(result=None):
                shell.events.unregister("post_run_cell", ended)
                self._cell_ended(getattr(result, "error_in_exec", None))
            shell.events.register("post_run_cell", ended)

    def _cell_ended(self, error):
        """Say what became of a run that ended without a last call of ``watch``."""
        self._trainer, self._stopped = None, False
        try:
            self._button.disabled, self._reset.disabled = True, False
            if self.run is not None and self.run.outcome == "training":
                self.run.outcome = ("interrupted" if error is None
                                    or isinstance(error, KeyboardInterrupt)
                                    else type(error).__name__)
            self.update()
        except Exception as failure:
            self._fail(failure)

    def _fail(self, error):
        self._failure = self.caption = (
            f"The picture could not be drawn ({type(error).__name__}: {error}). The training "
            "itself is not affected; its history holds everything.")
        with suppress(Exception):
            self._words.value = f'<p role="status">{html.escape(self._failure)}</p>'

    def _press(self):
        """Ask the run to end; called in another thread than the one that trains."""
        self._stopped = self._trainer is not None

    def update(self):
        """Compute, draw and describe; during a run, leave that to the thread that trains."""
        if self._trainer not in (None, threading.get_ident()):  # a click, in its own thread
            self._due = True
            return
        with self._lock:
            self._due = False
            if self._larger.value == (self.scale == 1):
                super()._enlarge()  # comes back here
                return
            self.compute = functools.partial(TrainingDashboard.compute, self.run)
            super().update()
            self._numbers.value = numbers(self.run, self.scale)

    def _enlarge(self):
        self.update()

    def resize(self):
        """Give picture and button the size that ``scale`` asks for."""
        super().resize()
        width, height, text = (f"{size * self.scale:.0f}px" for size in (230, 64, 22))
        self._button.style.font_size = text
        self._button.layout = widgets.Layout(width=width, height=height, margin="4px 24px 4px 2px")

    def reset(self):
        """Move the controls back and forget the run."""
        self.run = self._history = None
        super().reset()

    @staticmethod
    def compute(run, smoothing):
        """Return the ``Curves`` of a ``Run`` (or of ``None``) as far as it has come.

        Raises:
            ValueError: ``smoothing`` is no whole number above 0.
        """
        if smoothing < 1 or smoothing != int(smoothing):
            raise ValueError(f"smoothing must be a whole number of steps above 0, got {smoothing}")
        if run is None:
            return Curves(*[([], [])] * 4, (math.nan, math.nan), 5, 2.5, None)
        history, losses = run.history, np.asarray(run.history.step_losses, dtype=float)
        sums = np.concatenate([[0.0], np.cumsum(losses)])
        ends = np.arange(1, len(losses) + 1)
        starts = np.maximum(ends - int(smoothing), 0)  # fewer steps at the beginning
        means = (sums[ends] - sums[starts]) / (ends - starts)
        return Curves(
            (ends / run.steps, losses), (ends / run.steps, means), run.running,
            (history.column("epoch"), history.column("validation_accuracy")),
            (history.best["epoch"], history.best["validation_accuracy"]) if history.epochs
            else (math.nan, math.nan), run.epochs,
            MaxNLocator(6).tick_values(0, 1.04 * means.max())[-1] if len(means) else 2.5,
            run.first / run.steps if run.first else None)

    def make_figure(self, figure):
        """Make the loss on the left, the accuracies on the right."""
        self._left, self._right = figure.subplots(1, 2)
        self._raw, self._smooth, self._running, self._validation, self._best = (
            axes.plot([], [], dash, color=color, label=label, **options)[0]
            for axes, dash, color, label, options in (
                (self._left, "-", figures.SKY, "each step", {"linewidth": 1}),
                (self._left, "-", figures.BLUE, "mean of the last steps", {"linewidth": 3.5}),
                (self._right, figures.DASHES["train"], figures.COLORS["train"],
                 "training, epoch so far", {"linewidth": 2}),
                (self._right, "o-", figures.COLORS["validation"], "validation",
                 {"linewidth": 3, "markersize": 9, "clip_on": False}),
                (self._right, "*", figures.GREEN, "best epoch",
                 {"markersize": 22, "markeredgecolor": "white", "clip_on": False})))
        self._best_words = self._right.text(
            0.98, 0.38, "", transform=self._right.transAxes, ha="right", va="bottom",
            color=figures.GREEN, fontsize=18, fontweight="bold")
        self._resumed = [axes.axvline(0, color=figures.GREY, linestyle=":", linewidth=2)
                         for axes in (self._left, self._right)]
        for axes, title, corner in ((self._left, "training loss", "upper right"),
                                    (self._right, "accuracy", "lower right")):
            axes.set_title(title, zorder=1)  # behind the curves: in the kept background
            axes.legend(loc=corner).set_zorder(1)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=(1, 2, 5, 10)))
        self._right.set_ylim(0, 1)
        moving = [*self._resumed, self._raw, self._smooth, self._running, self._validation,
                  self._best, self._best_words]
        for artist in moving:
            artist.set_in_layout(False)
        # The layout is found once, with the widest tick labels, so that it need not be redone.
        self._left.set_ylim(0, 0.35)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return moving

    def draw(self, result, values):
        """Move the curves; the axes change only where a run needs others."""
        for axes in (self._left, self._right):
            axes.set_xlim(0, 1.03 * result.epochs)
        self._left.set_ylim(0, result.top)
        for line, points in zip((self._raw, self._smooth, self._running, self._validation),
                                result, strict=False):
            line.set_data(*points)
        for line in self._resumed:
            line.set_xdata([result.resumed or 0] * 2)
            line.set_visible(result.resumed is not None)
        epoch, best = result.best
        self._best.set_data([epoch], [best])
        self._best_words.set_text("" if math.isnan(best) else f"best: {best:.3f}, epoch {epoch}")

    def describe(self, result, values):
        """Return how far the run came, its losses and its best epoch; how to start before one."""
        return description(self.run, values["smoothing"])


def description(run, smoothing):
    """Return a run in words; during the run they change only when an epoch ends."""
    if run is None:
        return ("No training yet. In the next cell, pass the panel's watch: "
                "training.fit(model, splits, epochs=5, watch=dashboard.watch).")
    rows, losses = run.history.epochs, run.history.step_losses
    where = (f"in epoch {run.epoch + 1} of {run.epochs}, after step {run.step} of {run.steps}"
             if run.step else f"after epoch {run.epoch} of {run.epochs}")
    kept = "; history and best weights are kept." if rows else "; the history is kept."
    words = {"training": f"Training: {run.epoch} of {count(run.epochs, 'epoch')} finished.",
             "finished": f"Finished: {count(run.epochs, 'epoch')} of {count(run.steps, 'step')}.",
             "stopped": f"Stopped by the button {where}{kept}",
             "interrupted": f"Stopped {where}{kept}"}.get(
                 run.outcome, f"Ended by an error ({run.outcome}) {where}{kept}")
    if run.first:
        epoch, step = divmod(run.first, run.steps)
        words += f" Resumed after {count(epoch, 'epoch')} and {count(step, 'step')} (dotted line)."
    if run.outcome != "training":
        size = min(smoothing, max(len(losses) // 2, 1))
        words += (f" Training loss, mean of {count(size, 'step')}: "
                  f"{np.mean(losses[:size]):.2f} in the beginning, "
                  f"{np.mean(losses[-size:]):.2f} in the end.")
    if rows:
        best = run.history.best
        words += (f" Best validation accuracy{' so far' * (run.outcome == 'training')}: "
                  f"{best['validation_accuracy']:.3f}, after epoch {best['epoch']}. Speed: ")
        seconds, speed = (np.array(run.history.column(name)) for name in (
            "seconds", "examples_per_second"))
        words += f"{speed @ seconds / seconds.sum():,.0f} examples per second."
    return f"{words} {HELP}" if run.outcome == "training" else words


def numbers(run, scale=1):
    """Return epoch, step, speed and time of a run as large numbers in HTML."""
    training = run is None or run.outcome == "training"
    values = ("–",) * 4 if run is None else (
        f"{run.epoch + (run.step > 0)} of {run.epochs}", f"{run.step or run.steps} of {run.steps}",
        *("…" if math.isnan(value) else form(value) for value, form in (
            (run.examples_per_second, "{:,.0f}".format),
            (run.seconds_left if training else run.now - run.start, tqdm.format_interval))))
    names = ("epoch", "step", "examples/s", "time left" if training else "took")
    return "".join(
        f'<div style="display:inline-block;margin-right:{22 * scale:.0f}px;line-height:1.25">'
        f'<div style="font-size:{16 * scale:.0f}px">{name}</div><div style="font-weight:bold;'
        f'font-size:{26 * scale:.0f}px;white-space:nowrap">{value}</div></div>'
        for name, value in zip(names, values, strict=True))


def answer_while_busy(widget):
    """Let messages from the browser to a widget be handled while a cell runs.

    JupyterLab sends them to a subshell, a thread beside the main one. ipykernel 7.4 reroutes them
    to the shell that spoke to the widget last, the busy one (``_reply_subshell_for`` of
    ``ipykernel.comm.comm.BaseComm``); other versions take no notice of the attribute.
    """
    with suppress(AttributeError):  # no kernel, no comm
        widget.comm._reply_subshell_for = None


def count(number, noun):
    """Return a number with its noun: 1 epoch, 2 epochs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
