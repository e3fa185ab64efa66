"""*Training dashboard*: watches a training run while it goes on, and stops it."""

import math
import threading
import time
from contextlib import suppress

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import display
from matplotlib.ticker import MaxNLocator

from resnet_lesson import figures
from resnet_lesson.panels.base import FigurePanel, in_a_row, paragraph
from resnet_lesson.panels.run import Run, curves, description, numbers

PAUSE = 1.0  # seconds at least between the end of one drawing and the begin of the next
SMOOTHING = (1, 5, 10, 20, 50, 100, 200)
HELP = ("The stop button ends it after the running step, and what was reached is kept; should the "
        "button not answer, ■ in the toolbar does the same.")


class TrainingDashboard(FigurePanel):
    """Curves, speed, time left and a stop button for ``training.fit(..., watch=panel.watch)``.

    Show it in a cell of its own and train in the next one. It follows one run after the other,
    resumed ones included; after the end it keeps the picture. It is drawn at most once a second,
    and an error in drawing never reaches the training.

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
        self._stored = None   # the output that a saved notebook keeps of it
        self._stopped, self._due, self._failure = False, False, ""
        self._lock = threading.RLock()  # clicks may be handled in a thread of their own
        self.numbers = widgets.HTML()
        super().__init__(**start)
        *others, stop = self.row.children
        self.row.children = others
        bar = in_a_row(stop, self.numbers)
        self.children = (self.children[0], bar, self.picture, self.words, self.row)
        for widget in (self.buttons["stop"], self.buttons["larger"], *self.controls.values()):
            answer_while_busy(widget)

    def make_controls(self):
        return {"smoothing": widgets.SelectionSlider(
            options=SMOOTHING, value=20, description="steps averaged",
            layout=widgets.Layout(width="380px", margin="2px 14px 2px 2px"))}

    def more_buttons(self):
        stop = widgets.Button(
            description="Stop training", icon="stop", disabled=True, tooltip=HELP,
            style={"button_color": figures.ORANGE, "text_color": "white", "font_weight": "bold"})
        stop.on_click(lambda _: self._press())
        return {"stop": stop}

    def _ipython_display_(self):
        self._stored = display(self._repr_mimebundle_(), raw=True, display_id=True)

    def watch(self, progress):
        """Take a ``training.Progress``; return ``True`` once the stop button was pressed."""
        if progress.history is not self._history:
            self._history, self.run, self._drawn = progress.history, None, -math.inf
            self._stopped, self._failure = False, ""
        stopped = self._stopped  # read once: a click may come at any moment from here on
        try:
            self._follow(progress, stopped)
        except Exception as error:  # a picture is never worth a training
            self._fail(error)
        return stopped

    def _follow(self, progress, stopped):
        if self._trainer is None:
            self._open()
        now = self.clock()
        run = self.run = self.run or Run(progress, now)
        run.add(progress, now)
        if run.epoch >= run.epochs:
            run.outcome = "finished"
        else:
            run.outcome = "stopped" if stopped else "training"
        ended = run.outcome != "training"
        self.buttons["stop"].disabled = ended
        waited = self._due or now - self._drawn >= PAUSE
        if ended or waited and not self._failure:
            self.update()
            self._drawn = self.clock()

    def _open(self):
        """Get ready for a run: the button works, and the end of the cell will be noticed."""
        self._trainer = threading.get_ident()
        self.buttons["stop"].disabled, self.buttons["reset"].disabled = False, True
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
            self.buttons["stop"].disabled, self.buttons["reset"].disabled = True, False
            if self.run is not None and self.run.outcome == "training":
                by_hand = error is None or isinstance(error, KeyboardInterrupt)
                self.run.outcome = "interrupted" if by_hand else type(error).__name__
            self.update()
            if self._stored is not None:   # so that it is saved as it is now, and not empty
                self._stored.update(self._repr_mimebundle_(), raw=True)
        except Exception as failure:
            self._fail(failure)

    def _fail(self, error):
        self._failure = self.caption = (
            f"The picture could not be drawn ({type(error).__name__}: {error}). The training "
            "itself is not affected; its history holds everything.")
        with suppress(Exception):
            self.words.value = paragraph(self._failure, scale=self.scale)

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
            if self.buttons["larger"].value != (self.scale > 1):
                super().rescale()  # comes back here
                return
            super().update()
            self.numbers.value = large(numbers(self.run), self.scale)

    def rescale(self):
        """Take the size that the button "Larger" asks for, as soon as ``update`` may."""
        self.update()

    def resize(self):
        super().resize()
        width, height, size = (f"{side * self.scale:.0f}px" for side in (230, 64, 22))
        stop = self.buttons["stop"]
        stop.style.font_size = size
        stop.layout = widgets.Layout(width=width, height=height, margin="4px 24px 4px 2px")

    def reset(self):
        """Move the controls back and forget the run."""
        self.run = self._history = None
        super().reset()

    def compute(self, smoothing):
        return curves(self.run, smoothing)

    def make_figure(self, figure):
        """Make the loss on the left, the accuracies on the right."""
        left, right = self._left, self._right = figure.subplots(1, 2)
        self._raw, = left.plot([], [], color=figures.SKY, label="each step", linewidth=1)
        self._smooth, = left.plot([], [], color=figures.BLUE, label="mean of the last steps",
                                  linewidth=3.5)
        self._running, = right.plot([], [], figures.DASHES["train"], linewidth=2,
                                    color=figures.COLORS["train"], label="training, epoch so far")
        self._validation, = right.plot([], [], "o-", color=figures.COLORS["validation"],
                                       label="validation", linewidth=3, markersize=9,
                                       clip_on=False)
        self._best, = right.plot([], [], "*", color=figures.GREEN, label="best epoch",
                                 markersize=22, markeredgecolor="white", clip_on=False)
        self._best_words = right.text(
            0.98, 0.38, "", transform=right.transAxes, ha="right", va="bottom",
            color=figures.GREEN, fontsize=18, fontweight="bold")
        self._resumed = [axes.axvline(0, color=figures.GREY, linestyle=":", linewidth=2)
                         for axes in (left, right)]
        for axes, title, corner in ((left, "training loss", "upper right"),
                                    (right, "accuracy", "lower right")):
            axes.set_title(title, zorder=1)  # behind the curves: in the kept background
            axes.legend(loc=corner).set_zorder(1)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=(1, 2, 5, 10)))
        right.set_ylim(0, 1)
        left.set_ylim(0, 0.35)  # the widest tick labels
        moving = [*self._resumed, self._raw, self._smooth, self._running, self._validation,
                  self._best, self._best_words]
        for artist in moving:
            artist.set_in_layout(False)
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
        if self.run is None:
            return ("No training yet. In the next cell, pass the panel's watch: "
                    "training.fit(model, splits, epochs=5, watch=dashboard.watch).")
        words = description(self.run, values["smoothing"])
        return f"{words} {HELP}" if self.run.outcome == "training" else words


def large(values, scale=1):
    """Return words by name as large letters in HTML."""
    return "".join(
        f'<div style="display:inline-block;margin-right:{22 * scale:.0f}px;line-height:1.25">'
        f'<div style="font-size:{16 * scale:.0f}px">{name}</div><div style="font-weight:bold;'
        f'font-size:{26 * scale:.0f}px;white-space:nowrap">{value}</div></div>'
        for name, value in values.items())


def answer_while_busy(widget):
    """Let messages from the browser to a widget be handled while a cell runs.

    JupyterLab sends them to a subshell, a thread beside the main one. ipykernel 7.4 reroutes them
    to the shell that spoke to the widget last, the busy one (``_reply_subshell_for`` of
    ``ipykernel.comm.comm.BaseComm``); other versions take no notice of the attribute.
    """
    with suppress(AttributeError):  # no kernel, no comm
        widget.comm._reply_subshell_for = None
