"""The training dashboard: what it shows is the history's, and it costs and stops what it should."""

import math
import random
import re
import threading
import time

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from resnet_lesson import data, figures, training
from resnet_lesson.networks import resnet
from resnet_lesson.panels import training_dashboard as module
from resnet_lesson.panels.picture import rgb
from resnet_lesson.panels.run import BUDGET, LIMIT, PAUSE, Run, Throttle
from resnet_lesson.panels.training_dashboard import TrainingDashboard
from resnet_lesson.training.fit import History, Progress


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Training:
    """Calls a watch as ``fit`` does, with made-up losses and accuracies, and takes its time."""

    def __init__(self, epochs=3, steps=10, step_seconds=1.0, validation_seconds=3.0, seed=0):
        self.history = History({"epochs": epochs, "batch_size": 32})
        self.epochs, self.steps = epochs, steps
        self.seconds = step_seconds, validation_seconds
        self.clock, self.chance = Clock(), random.Random(seed)
        self.done = self.answers = 0

    def seen_by(self, panel):
        panel.clock = self.clock
        return panel

    def go_on(self, watch, calls=10 ** 9):
        """Take steps until the end, the stop, or after some calls of the watch."""
        while self.done < self.epochs * self.steps:
            self.done += 1
            epoch, step = divmod(self.done - 1, self.steps)
            self.clock.now += self.seconds[0]
            self.history.step_losses.append(2 / self.done ** 0.5 + self.chance.random() / 5)
            stop = watch(Progress(self.history, None, epoch, step + 1, self.steps,
                                  self.chance.random()))
            calls -= 1
            if step + 1 == self.steps:
                self.clock.now += self.seconds[1]
                self.history.epochs.append({
                    "epoch": epoch + 1, "train_loss": 1.0, "train_accuracy": 0.5,
                    "validation_loss": 1.0, "validation_accuracy": round(self.chance.random(), 3),
                    "seconds": self.steps * self.seconds[0],
                    "examples_per_second": 32 / self.seconds[0]})
                stop = watch(Progress(self.history, None, epoch + 1, 0, self.steps, 0.0)) or stop
                calls -= 1
            if stop or calls <= 0:
                break
        self.history.interrupted = self.done < self.epochs * self.steps
        return self.history


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads that wait for each other on a busy machine take ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def used():
    return TrainingDashboard()


@pytest.fixture
def painted(used):
    """Return a panel as good as new; making one takes longer than most tests."""
    used.clock, used._trainer, used._stopped = time.perf_counter, None, False
    used._larger.value = False
    used.reset()
    return used


@pytest.fixture
def panel(painted, monkeypatch):
    """Return a panel that does all but paint, which takes longest."""
    monkeypatch.setattr(painted, "paint", lambda: None)
    return painted


@pytest.fixture(scope="module")
def splits():
    whole = data.load_fashion_mnist("mini", quiet=True)
    return whole._replace(train=whole.train.take(slice(160)),
                          validation=whole.validation.take(slice(40)))


def small_model():
    torch.manual_seed(0)
    return resnet.small_resnet(8, widths=(2, 2, 2), stem="small/2")


def fit(splits, watch, **options):
    return training.fit(small_model(), splits, batch_size=32, lr=0.05, watch=watch,
                        progress=False, **{"epochs": 2, **options})


def numbers(panel):
    """Return the large numbers above the picture, by name."""
    return dict(re.findall(r"px\">([^<]*)</div><div[^>]*>([^<]*)<", panel._numbers.value))


# What is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 20, 1000])
def test_the_curves_are_the_historys(window, panel):
    run = Training(seed=window)
    run.seen_by(panel)
    history = run.go_on(panel.watch)
    curves = TrainingDashboard.compute(panel.run, window)
    losses = torch.tensor(history.step_losses, dtype=torch.float64)
    assert curves.raw[1].tolist() == history.step_losses
    assert curves.raw[0] == pytest.approx(np.arange(1, 31) / 10)
    means = [losses[max(0, i + 1 - window):i + 1].mean().item() for i in range(30)]
    assert curves.smooth[1] == pytest.approx(means) and (curves.smooth[0] == curves.raw[0]).all()
    assert curves.top >= max(means)
    assert curves.validation == ([1, 2, 3], history.column("validation_accuracy"))
    best = history.best
    assert curves.best == (best["epoch"], best["validation_accuracy"])
    assert panel._best.get_xdata()[0] == best["epoch"]
    assert curves.resumed is None and curves.epochs == 3


def test_of_equal_epochs_the_first_is_marked(panel):
    run = Training()
    run.seen_by(panel)
    run.go_on(panel.watch, 100)
    for row in run.history.epochs:
        row["validation_accuracy"] = 0.5
    assert TrainingDashboard.compute(panel.run, 1).best == (1, 0.5)


def test_running_accuracy_is_of_its_epoch_and_leaves_out_the_noisy_start(panel):
    history = History({"epochs": 2, "batch_size": 8})
    panel.clock = Clock()
    for step in range(1, 41):
        history.step_losses.append(1.0)
        panel.watch(Progress(history, None, 0, step, 40, step / 100))
    at, values = panel.run.running
    assert at[1:] == pytest.approx([step / 40 for step in range(1, 41)])
    assert np.isnan(values[:4]).all() and values[4:] == [step / 100 for step in range(4, 41)]
    panel.watch(Progress(history, None, 1, 0, 40, 0.0))
    assert math.isnan(panel.run.running[1][-1])


def test_speed_and_time_left_are_what_the_clock_says(panel):
    run = Training(epochs=4, steps=10, step_seconds=2.0, validation_seconds=5.0)
    run.seen_by(panel)
    run.go_on(panel.watch, 1)
    assert math.isnan(panel.run.seconds_left) and math.isnan(panel.run.examples_per_second)
    assert numbers(panel) == {"epoch": "1 of 4", "step": "1 of 10", "examples/s": "…",
                              "time left": "…"}
    run.go_on(panel.watch, 2)
    assert panel.run.examples_per_second == pytest.approx(16)
    assert panel.run.seconds_left == pytest.approx(37 * 2)  # no validation was seen yet
    run.go_on(panel.watch, 7 + 1)
    panel.update()
    assert panel.run.seconds_left == pytest.approx(30 * 2 + 3 * 5)
    assert numbers(panel) == {"epoch": "1 of 4", "step": "10 of 10", "examples/s": "16",
                              "time left": "01:15"}
    run.go_on(panel.watch)
    assert panel.run.seconds_left == 0
    assert numbers(panel)["epoch"] == "4 of 4" and numbers(panel)["took"] == "01:38"


def test_an_epoch_of_one_step_has_a_speed_too(panel):
    run = Training(epochs=10, steps=1, step_seconds=2.0, validation_seconds=5.0)
    run.seen_by(panel)
    run.go_on(panel.watch, 2)
    assert math.isnan(panel.run.seconds_left)
    run.go_on(panel.watch, 2)
    assert panel.run.examples_per_second == pytest.approx(16)
    assert panel.run.seconds_left == pytest.approx(8 * (2 + 5))


def test_captions_before_during_and_after(panel):
    run = Training()
    run.seen_by(panel)
    assert repr(panel).startswith("No training yet.") and "watch=dashboard.watch" in repr(panel)
    panel.set(smoothing=5)
    run.go_on(panel.watch, 11)
    assert repr(panel).startswith("Training: 1 of 3 epochs finished. Best validation accuracy so "
                                  f"far: {run.history.best['validation_accuracy']:.3f}, after")
    assert "■ in the toolbar does the same" in repr(panel)
    words = panel._words.value
    run.go_on(panel.watch, 5)
    panel.update()
    assert panel._words.value == words  # a screen reader is not told of every step
    history = run.go_on(panel.watch)
    first, last = np.mean(history.step_losses[:5]), np.mean(history.step_losses[-5:])
    assert repr(panel) == (
        f"Finished: 3 epochs of 10 steps. Training loss, mean of 5 steps: {first:.2f} in the "
        f"beginning, {last:.2f} in the end. Best validation accuracy: "
        f"{history.best['validation_accuracy']:.3f}, after epoch {history.best['epoch']}. "
        "Speed: 32 examples per second.")
    assert html_free(panel._words.value) == repr(panel)


def html_free(source):
    return re.sub("<[^>]*>", "", source)


def test_every_smoothing_at_every_moment(panel):
    run = Training(epochs=1, steps=3)

    def watch(progress):
        panel.watch(progress)
        for smoothing in module.SMOOTHING:
            panel.set(smoothing=smoothing)
            assert panel.trouble == panel._failure == ""
    run.go_on(watch)
    assert panel.caption.startswith("Finished: 1 epoch of 3 steps.")


def test_an_impossible_smoothing_is_refused_in_words():
    for wrong in (0, -1, 2.5):
        with pytest.raises(ValueError, match="whole number of steps above 0"):
            TrainingDashboard.compute(None, wrong)


def test_losses_of_zero_and_of_thousands_have_an_axis(panel):
    for value in (0.0, 1e-7, 3.7, 4200.0):
        history = History({"epochs": 1, "batch_size": 8}, [], [value])
        panel.watch(Progress(history, None, 0, 1, 10, 0.5))
        assert panel._failure == "" and panel._left.get_ylim()[1] > value


def test_the_picture_is_what_a_full_drawing_would_be():
    panel = TrainingDashboard()
    run = Training()
    run.seen_by(panel)
    run.go_on(panel.watch, 25)
    panel.update()
    panel._render()
    live = rgb(panel._canvas)
    for artist in panel._moving:
        artist.set_animated(False)
    with figures.style():
        panel._canvas.draw()
    assert (rgb(panel._canvas) == live).all()
    assert isinstance(Image.fromarray(live), Image.Image)


def test_bundle_and_reset(painted):
    panel = painted
    run = Training()
    run.seen_by(panel)
    empty = panel._picture.value
    run.go_on(panel.watch)
    panel.set(smoothing=5)
    bundle = panel._repr_mimebundle_()
    assert {"image/png", "text/plain"} <= set(bundle) and bundle["text/plain"] == panel.caption
    panel.reset()
    assert panel.run is None and panel.values == {"smoothing": 20}
    assert panel.caption.startswith("No training yet") and panel._picture.value == empty


# Second runs and resumed ones ---------------------------------------------------------------


def test_a_second_run_starts_afresh(panel):
    first, second = Training(), Training(epochs=1, steps=4)
    second.clock = first.seen_by(panel).clock
    first.go_on(panel.watch)
    second.go_on(panel.watch)
    assert panel.caption.startswith("Finished: 1 epoch of 4 steps. Training loss")
    assert panel._left.get_xlim() == pytest.approx((0, 1.03))
    assert len(panel._raw.get_xdata()) == 4 and not panel._resumed[0].get_visible()


def test_a_resumed_run_shows_what_was_before(splits, tmp_path, panel):
    calls = []
    fit(splits, lambda progress: calls.append(1) or len(calls) == 8, checkpoint=tmp_path)
    history = fit(splits, panel.watch, checkpoint=tmp_path, resume=True)
    assert panel.run.first == 7 and len(history.step_losses) == 10
    curves = TrainingDashboard.compute(panel.run, 1)
    assert curves.resumed == pytest.approx(7 / 5) and curves.raw[1].tolist() == history.step_losses
    assert panel._resumed[0].get_visible() and panel._resumed[1].get_xdata()[0] == 1.4
    assert panel.run.running[0][0] == 1
    assert panel.run.running[1][0] == history.epochs[0]["train_accuracy"]
    assert "Finished: 2 epochs of 5 steps. Resumed after 1 epoch and 2 steps" in panel.caption


# What it costs ------------------------------------------------------------------------------


def drawings(panel, run, cost, monkeypatch):
    """Run a training with drawings that take ``cost`` seconds; return when each began."""
    times = []
    run.seen_by(panel)

    def update():
        times.append(run.clock.now)
        run.clock.now += cost
    monkeypatch.setattr(panel, "update", update)
    start = run.clock.now
    run.go_on(panel.watch)
    return times, run.clock.now - start


@pytest.mark.parametrize("cost", [0.004, 0.03, 0.3])
@pytest.mark.parametrize(("step", "steps", "validation"), [
    (0.001, 400, 0.05), (0.05, 80, 0.5), (1.0, 20, 5.0), (6.0, 5, 20.0)])
def test_drawing_stays_within_its_share(panel, cost, step, steps, validation, monkeypatch):
    run = Training(5, steps, step, validation)
    times, elapsed = drawings(panel, run, cost, monkeypatch)
    between = len(times) - 2  # the first drawing and the last one come on top
    assert between * cost <= max(LIMIT * elapsed, cost)
    assert times[0] == pytest.approx(100 + step)
    assert times[-1] == pytest.approx(100 + elapsed - cost)
    assert (between + 1) * cost == pytest.approx(panel._throttle.spent)


def test_calls_without_a_drawing_count_too(panel, monkeypatch):
    run, add, calls = Training(5, 400, 0.01, 0.1), Run.add, []

    def slow(self, progress, now):
        add(self, progress, now)
        calls.append(now)
        run.clock.now += 1e-4
    monkeypatch.setattr(Run, "add", slow)
    times, elapsed = drawings(panel, run, 0.01, monkeypatch)
    between = len(times) - 2
    assert between > 5 and between * 0.01 + len(calls) * 1e-4 <= LIMIT * elapsed


def test_without_the_share_it_would_be_slower(monkeypatch, panel):
    monkeypatch.setattr(Throttle, "allows", lambda *any: True)
    times, elapsed = drawings(panel, Training(2, 100, 0.05, 0.5), 0.03, monkeypatch)
    assert len(times) * 0.03 > 10 * LIMIT * elapsed


def test_it_draws_twice_a_second_at_most_and_at_every_end_of_an_epoch(monkeypatch, panel):
    times, elapsed = drawings(panel, Training(5, 100, 0.1, 1.0), 0.001, monkeypatch)
    for epoch in range(1, 6):
        assert min(abs(np.array(times) - 100 - 11 * epoch)) < 0.3
    assert sum(np.diff(times) < PAUSE) <= 5  # only an end of an epoch comes sooner
    assert len(times) > elapsed / PAUSE / 2
    assert BUDGET < LIMIT <= 0.02


def test_watching_changes_no_number(splits, panel):
    alone, watched = fit(splits, None), fit(splits, panel.watch)
    assert alone.step_losses == watched.step_losses
    assert all(torch.equal(value, watched.best_weights[name])
               for name, value in alone.best_weights.items())


# What may go wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["draw", "describe", "paint", "compute", "Run"])
def test_errors_of_the_picture_never_stop_a_training(splits, monkeypatch, place, panel):
    def broken(*arguments, **options):
        raise ZeroDivisionError("no such ink")
    target = {"Run": module, "compute": TrainingDashboard}.get(place, panel)
    monkeypatch.setattr(target, place, broken)
    history = fit(splits, panel.watch)
    assert len(history.step_losses) == 10 and not history.interrupted
    assert "could not be drawn (ZeroDivisionError: no such ink)" in repr(panel)
    assert "The training itself is not affected" in panel._words.value
    monkeypatch.undo()
    fit(splits, panel.watch, epochs=1)
    assert repr(panel).startswith("Finished: 1 epoch of 5 steps.")


def test_the_stop_button_works_without_a_picture(splits, monkeypatch, panel):
    monkeypatch.setattr(module, "Run", None)
    panel._trainer = 1
    history = fit(splits, lambda progress: panel._press() or panel.watch(progress))
    assert history.interrupted and len(history.step_losses) == 2


def test_what_is_no_progress_stops_nothing(panel):
    assert panel.watch(Progress(History({}), None, 0, 0, 0, 0.0)) is False
    assert "could not be drawn" in panel.caption


# Stopping -----------------------------------------------------------------------------------


def stopping(panel, steps):
    """Return a watch that presses the button in another thread after some steps."""
    def watch(progress):
        answer = panel.watch(progress)
        if len(progress.history.step_losses) == steps and progress.step:
            thread = threading.Thread(target=panel._button.click)
            thread.start()
            thread.join()
        return answer
    return watch


def test_the_button_stops_after_the_next_step_and_keeps_the_history(splits, panel):
    assert panel._button.disabled
    history = fit(splits, stopping(panel, 6))
    assert history.interrupted and len(history.step_losses) == 7 and len(history.epochs) == 1
    assert repr(panel).startswith("Stopped by the button in epoch 2 of 2, after step 2 of 5; "
                                  "history and best weights are kept. Training loss")
    assert panel._button.disabled and "took" in numbers(panel)
    again = fit(splits, panel.watch)  # the click is not remembered
    assert not again.interrupted and panel.caption.startswith("Finished")


def test_stopped_at_the_end_of_an_epoch_says_so(splits, panel):
    history = fit(splits, stopping(panel, 4), epochs=3)
    assert len(history.step_losses) == 5 and len(history.epochs) == 1
    panel.update()
    assert repr(panel).startswith("Stopped by the button after epoch 1 of 3;")


def test_a_stop_in_the_first_epoch_promises_no_best_weights(splits, panel):
    fit(splits, stopping(panel, 1))
    assert repr(panel).startswith("Stopped by the button in epoch 1 of 2, after step 2 of 5; "
                                  "the history is kept. Training loss, mean of 1 step:")


def test_a_click_without_a_training_stops_none(splits, panel):
    panel._button.click()
    assert not fit(splits, panel.watch).interrupted


def test_controls_moved_during_a_run_wait_for_the_thread_that_trains(splits, monkeypatch, panel):
    painters = []
    monkeypatch.setattr(panel, "paint", lambda: painters.append(threading.get_ident()))

    def watch(progress):
        if len(progress.history.step_losses) == 3:
            def move():
                panel.controls["smoothing"].value = 5
                panel._larger.value = True
            before = len(painters)
            thread = threading.Thread(target=move)
            thread.start()
            thread.join()
            assert len(painters) == before and panel._due
        answer = panel.watch(progress)
        if len(progress.history.step_losses) == 3:
            assert panel.scale == 1.5 and not panel._due
        return answer
    fit(splits, watch)
    assert set(painters) == {threading.get_ident()}
    assert "mean of 5 steps" in panel.caption


# In a notebook ------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch):
    shell = InteractiveShell()
    monkeypatch.setattr(module, "get_ipython", lambda: shell)
    yield shell
    shell.history_manager.end_session()
    shell.restore_sys_module_state()


@pytest.mark.parametrize(("ending", "words"), [
    ("", "Stopped in epoch 2 of 3, after step 3 of 10; history and best weights are kept."),
    ("raise KeyboardInterrupt", "Stopped in epoch 2 of 3, after step 3 of 10;"),
    ("1 / 0", "Ended by an error (ZeroDivisionError) in epoch 2 of 3, after step 3 of 10;")])
def test_the_end_of_the_cell_ends_the_run(shell, capsys, ending, words, panel):
    run = Training()
    run.seen_by(panel)
    shell.user_ns |= {"run": run, "panel": panel}
    shell.run_cell(f"run.go_on(panel.watch, 14)\nassert not panel._button.disabled\n{ending}")
    assert repr(panel).startswith(words)
    assert panel._button.disabled and not panel._reset.disabled and panel._trainer is None
    assert shell.events.callbacks["post_run_cell"].count(panel._cell_ended) == 0
    shell.run_cell("pass")
    assert repr(panel).startswith(words)
    capsys.readouterr()


def test_a_run_that_goes_on_in_the_next_cell_is_no_other_run(shell, panel):
    run = Training()
    run.seen_by(panel)
    shell.user_ns |= {"run": run, "panel": panel}
    shell.run_cell("run.go_on(panel.watch, 14);")
    shell.run_cell("run.go_on(panel.watch, 3); assert panel.run.outcome == 'training'")
    assert shell.run_cell("run.go_on(panel.watch);").success
    assert repr(panel).startswith("Finished: 3 epochs of 10 steps. Training loss")


def test_clicks_take_the_road_beside_the_busy_kernel(panel):
    for widget in (panel._button, panel._larger, panel.controls["smoothing"]):
        assert widget.comm._reply_subshell_for is None
    panel._button.close()
    module.answer_while_busy(panel._button)  # without a comm there is nothing to do


def test_a_run_needs_no_settings():
    history = History({}, [], [1.0])
    run = Run(Progress(history, None, 0, 1, 4, 0.5), 0.0)
    run.add(Progress(history, None, 0, 1, 4, 0.5), 0.0)
    assert run.epochs == 1 and math.isnan(run.examples_per_second)
