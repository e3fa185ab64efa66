"""The training dashboard: it follows a run, costs little, stops it, and never harms it."""

import math
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from resnet_lesson import training
from resnet_lesson.networks import resnet
from resnet_lesson.panels import training_dashboard as module
from resnet_lesson.panels.training_dashboard import PAUSE, TrainingDashboard
from resnet_lesson.training.fit import Progress
from resnet_lesson.training.history import History


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
def panel(used, monkeypatch):
    """Return a panel without a run that does all but paint; making one takes longer than a test."""
    monkeypatch.setattr(used, "paint", lambda: None)
    used.clock = time.perf_counter
    used.enlarge(False)
    used.reset()
    return used


@pytest.fixture
def run(made_up, panel):
    """Return a made-up training whose clock is the panel's."""
    found = made_up()
    panel.clock = found.now
    return found


@pytest.fixture
def fit(splits):
    few = splits._replace(train=splits.train.take(slice(160)),
                          validation=splits.validation.take(slice(40)))

    def train(watch, **options):
        torch.manual_seed(0)
        model = resnet.small_resnet(8, widths=(2, 2, 2), stem="small/2")
        return training.fit(model, few, batch_size=32, lr=0.05, watch=watch, progress=False,
                            **{"epochs": 2, **options})
    return train


def plain(source):
    return re.sub("<[^>]*>", " ", source)


# What is shown ------------------------------------------------------------------------------


def test_words_before_during_and_after(panel, run):
    assert repr(panel).startswith("No training yet.") and "watch=dashboard.watch" in repr(panel)
    run.go_on(panel.watch, 10)
    assert repr(panel).startswith("Training: 1 of 3 epochs finished. Best validation accuracy so")
    assert "■ in the toolbar does the same" in repr(panel)
    words = panel.words.value
    run.go_on(panel.watch, 5)
    panel.update()
    assert panel.words.value == words, "a screen reader is not told of every step"
    assert "2 of 3" in plain(panel.numbers.value) and "time left" in panel.numbers.value
    run.go_on(panel.watch)
    assert repr(panel).startswith("Finished: 3 epochs of 10 steps. Training loss, mean of 15")
    assert plain(panel.words.value).strip() == repr(panel) and "took" in panel.numbers.value
    panel.reset()
    assert panel.run is None and repr(panel).startswith("No training yet.")


def test_the_picture_during_a_run_is_what_a_full_drawing_would_be(made_up, full_drawing):
    panel, run = TrainingDashboard(), made_up()
    panel.clock = run.now
    empty = panel.pixels()
    run.go_on(panel.watch, 25)
    panel.update()
    live = panel.pixels()
    assert (live != empty).any() and (full_drawing(panel) == live).all()


def test_a_second_run_starts_afresh(panel, run, made_up):
    run.go_on(panel.watch)
    made_up(epochs=1, steps=4).go_on(panel.watch)
    assert panel.caption.startswith("Finished: 1 epoch of 4 steps. Training loss")
    assert len(panel.result.raw[0]) == 4 and panel.result.epochs == 1


def test_a_resumed_run_shows_what_was_before(fit, tmp_path, panel):
    calls = []
    fit(lambda progress: calls.append(1) or len(calls) == 8, checkpoint=tmp_path)
    history = fit(panel.watch, checkpoint=tmp_path, resume=True)
    assert panel.run.first == 7 and len(history.step_losses) == 10
    assert panel.result.resumed == pytest.approx(7 / 5)
    assert panel.result.raw[1].tolist() == history.step_losses
    assert panel.run.running[0][0] == 1
    assert panel.run.running[1][0] == history.epochs[0]["train_accuracy"]
    assert "Finished: 2 epochs of 5 steps. Resumed after 1 epoch and 2 steps" in panel.caption


# What it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("cost", "step"), [(0.03, 0.001), (0.03, 0.2), (0.3, 0.2), (0.03, 6.0)])
def test_it_draws_at_most_once_a_second_and_once_it_is_over(panel, made_up, monkeypatch, cost,
                                                           step):
    run, begun, ended = made_up(3, 40, step, 5 * step), [], []
    panel.clock = run.now

    def update():
        begun.append(run.seconds)
        run.seconds += cost
        ended.append(run.seconds)
    monkeypatch.setattr(panel, "update", update)
    run.go_on(panel.watch)
    pauses = np.subtract(begun[1:], ended[:-1])
    assert (pauses[:-1] >= PAUSE).all(), "only the end of the run comes sooner"
    assert begun[0] == pytest.approx(100 + step) and ended[-1] == run.seconds
    assert (pauses <= PAUSE + 6 * step + 1e-9).all(), "it keeps on drawing"


def test_watching_changes_no_number(fit, panel):
    alone, watched = fit(None), fit(panel.watch)
    assert alone.step_losses == watched.step_losses
    assert all(torch.equal(value, watched.best_weights[name])
               for name, value in alone.best_weights.items())


# What may go wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["draw", "describe", "paint", "curves", "Run"])
def test_errors_of_the_picture_never_stop_a_training(fit, monkeypatch, place, panel):
    def broken(*arguments, **options):
        raise ZeroDivisionError("no such ink")
    with monkeypatch.context() as patch:
        patch.setattr(panel if hasattr(panel, place) else module, place, broken)
        history = fit(panel.watch)
        assert len(history.step_losses) == 10 and not history.interrupted
        assert "could not be drawn (ZeroDivisionError: no such ink)" in repr(panel)
        assert "The training itself is not affected" in panel.words.value
    fit(panel.watch, epochs=1)
    assert repr(panel).startswith("Finished: 1 epoch of 5 steps.")


def test_the_stop_button_works_without_a_picture(fit, monkeypatch, panel):
    monkeypatch.setattr(module, "Run", None)
    history = fit(stopping(panel, 1))
    assert history.interrupted and len(history.step_losses) == 2


def test_what_is_no_progress_stops_nothing(panel):
    assert panel.watch(Progress(History({}), None, 0, 0, 0, math.nan)) is False
    assert "could not be drawn" in panel.caption


# Stopping -----------------------------------------------------------------------------------


def stopping(panel, steps):
    """Return a watch that presses the button in another thread after some steps."""
    def watch(progress):
        answer = panel.watch(progress)
        if len(progress.history.step_losses) == steps and progress.step:
            thread = threading.Thread(target=panel.buttons["stop"].click)
            thread.start()
            thread.join()
        return answer
    return watch


@pytest.mark.parametrize(("after", "words"), [
    (1, "Stopped by the button in epoch 1 of 2, after step 2 of 5; the history is kept."),
    (4, "Stopped by the button after epoch 1 of 2; history and best weights are kept."),
    (6, "Stopped by the button in epoch 2 of 2, after step 2 of 5; history and best weights")])
def test_the_button_stops_after_the_next_step_and_keeps_the_history(fit, panel, after, words):
    history = fit(stopping(panel, after))
    assert history.interrupted and len(history.step_losses) == after + 1
    assert len(history.epochs) == (after + 1) // 5
    assert repr(panel).startswith(words)
    assert panel.buttons["stop"].disabled and "took" in panel.numbers.value
    again = fit(panel.watch)  # the click is not remembered
    assert not again.interrupted and panel.caption.startswith("Finished")


def test_a_click_without_a_training_stops_none(fit):
    panel = TrainingDashboard()
    assert panel.buttons["stop"].disabled
    panel.buttons["stop"].click()
    assert not fit(panel.watch).interrupted


def test_controls_moved_during_a_run_wait_for_the_thread_that_trains(fit, monkeypatch, panel):
    painters = []
    monkeypatch.setattr(panel, "paint", lambda: painters.append(threading.get_ident()))

    def move():
        panel.controls["smoothing"].value = 5
        panel.enlarge()

    def watch(progress):
        if len(progress.history.step_losses) != 3:
            return panel.watch(progress)
        before = len(painters)
        thread = threading.Thread(target=move)
        thread.start()
        thread.join()
        assert len(painters) == before and panel.scale == 1
        answer = panel.watch(progress)
        assert len(painters) > before and panel.scale == 1.5, "the next step draws it"
        return answer
    fit(watch)
    assert set(painters) == {threading.get_ident()}
    assert "mean of 5 steps" in panel.caption


# In a notebook ------------------------------------------------------------------------------


@pytest.fixture
def cell(monkeypatch, made_up, capsys):
    """Return a function that runs code as a cell, with a ``panel`` and a made-up ``run``."""
    shell = InteractiveShell()
    monkeypatch.setattr(module, "get_ipython", lambda: shell)
    run, panel = made_up(), TrainingDashboard()
    panel.clock, panel.paint = run.now, lambda: None
    shell.user_ns |= {"run": run, "panel": panel}
    yield lambda code: (shell.run_cell(code), panel)
    shell.history_manager.end_session()
    shell.restore_sys_module_state()


@pytest.mark.parametrize(("ending", "words"), [
    ("", "Stopped in epoch 2 of 3, after step 3 of 10; history and best weights are kept."),
    ("raise KeyboardInterrupt", "Stopped in epoch 2 of 3, after step 3 of 10;"),
    ("1 / 0", "Ended by an error (ZeroDivisionError) in epoch 2 of 3, after step 3 of 10;")])
def test_the_end_of_the_cell_ends_the_run(cell, ending, words):
    _, panel = cell("run.go_on(panel.watch, 13)\n"
                    f"assert not panel.buttons['stop'].disabled\n{ending}")
    assert repr(panel).startswith(words)
    assert panel.buttons["stop"].disabled and not panel.buttons["reset"].disabled
    cell("pass")
    assert repr(panel).startswith(words)


def test_what_is_saved_of_the_panel_shows_the_run_that_ended(cell, monkeypatch):
    saved = []
    handle = SimpleNamespace(update=lambda bundle, raw: saved.append(bundle["text/plain"]))
    monkeypatch.setattr(module, "display", lambda *_, **__: handle)
    cell("panel")
    cell("run.go_on(panel.watch)")
    assert len(saved) == 1 and saved[0].startswith("Finished: 3 epochs")


def test_a_run_that_goes_on_in_the_next_cell_is_no_other_run(cell):
    cell("run.go_on(panel.watch, 13);")
    result, panel = cell("run.go_on(panel.watch, 3); assert panel.run.outcome == 'training'")
    assert result.success
    cell("run.go_on(panel.watch);")
    assert repr(panel).startswith("Finished: 3 epochs of 10 steps. Training loss")


def test_clicks_take_the_road_beside_the_busy_kernel():
    panel = TrainingDashboard()
    widgets = (panel.buttons["stop"], panel.buttons["larger"], panel.controls["smoothing"])
    assert all(widget.comm._reply_subshell_for is None for widget in widgets)
    widgets[0].close()
    module.answer_while_busy(widgets[0])  # without a comm there is nothing to do
