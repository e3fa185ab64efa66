"""A run in curves, numbers and words: what is told of it is the history's."""

import math

import numpy as np
import pytest
import torch

from resnet_lesson.panels.run import Run, curves, description, numbers
from resnet_lesson.training.fit import Progress
from resnet_lesson.training.history import History


def follow(training, steps=10**9):
    """Let a made-up training go on; return the ``Run`` that saw it."""
    training.run = getattr(training, "run", None)

    def watch(progress):
        training.run = training.run or Run(progress, training.now())
        training.run.add(progress, training.now())
    training.go_on(watch, steps)
    return training.run


@pytest.mark.parametrize("window", [1, 3, 20, 1000])
def test_the_curves_are_the_historys(made_up, window):
    training = made_up(seed=window)
    found, history = curves(follow(training), window), training.history
    losses = torch.tensor(history.step_losses, dtype=torch.float64)
    assert found.raw[1].tolist() == history.step_losses
    assert found.raw[0] == pytest.approx(np.arange(1, 31) / 10)
    means = [losses[max(0, i + 1 - window):i + 1].mean().item() for i in range(30)]
    assert found.smooth[1] == pytest.approx(means) and (found.smooth[0] == found.raw[0]).all()
    assert found.validation == ([1, 2, 3], history.column("validation_accuracy"))
    assert found.best == (history.best["epoch"], history.best["validation_accuracy"])
    assert found.resumed is None and found.epochs == 3


@pytest.mark.parametrize("value", [0.0, 1e-7, 3.7, 4200.0])
def test_losses_of_zero_and_of_thousands_have_an_axis(value):
    run = Run(Progress(History({"epochs": 1}, [], [value]), None, 0, 1, 10, 0.5), 0.0)
    assert curves(run, 1).top > value


def test_without_a_run_the_axes_are_empty_and_a_wrong_smoothing_is_refused():
    assert curves(None, 20).raw == ([], []) and math.isnan(curves(None, 20).best[0])
    for wrong in (0, -1, 2.5):
        with pytest.raises(ValueError, match="whole number of steps above 0"):
            curves(None, wrong)


def test_running_accuracy_is_of_its_epoch_and_leaves_out_the_noisy_start():
    history = History({"epochs": 2, "batch_size": 8}, [], [1.0])
    run = Run(Progress(history, None, 0, 1, 40, 0.01), 0.0)
    for step in range(1, 41):
        run.add(Progress(history, None, 0, step, 40, step / 100), 0.0)
    at, values = run.running
    assert at[1:] == pytest.approx([step / 40 for step in range(1, 41)])
    assert np.isnan(values[:4]).all() and values[4:] == [step / 100 for step in range(4, 41)]
    run.add(Progress(history, None, 1, 0, 40, 0.0), 0.0)
    assert math.isnan(values[-1])


def test_speed_and_time_left_are_what_the_clock_says(made_up):
    training = made_up(epochs=4, steps=10, step_seconds=2.0, validation_seconds=5.0)
    run = follow(training, 1)
    assert numbers(run) == {"epoch": "1 of 4", "step": "1 of 10", "examples/s": "…",
                            "time left": "…"}
    follow(training, 1)
    assert run.examples_per_second == pytest.approx(16)
    assert run.seconds_left == pytest.approx(38 * 2), "no validation was seen yet"
    follow(training, 8)
    assert run.seconds_left == pytest.approx(30 * 2 + 3 * 5)
    assert numbers(run) == {"epoch": "1 of 4", "step": "10 of 10", "examples/s": "16",
                            "time left": "01:15"}
    follow(training)
    assert run.seconds_left == 0
    run.outcome = "finished"
    assert numbers(run)["epoch"] == "4 of 4" and numbers(run)["took"] == "01:38"


def test_an_epoch_of_one_step_has_a_speed_too(made_up):
    training = made_up(epochs=10, steps=1, step_seconds=2.0, validation_seconds=5.0)
    assert math.isnan(follow(training, 1).seconds_left)
    run = follow(training, 1)
    assert run.examples_per_second == pytest.approx(16)
    assert run.seconds_left == pytest.approx(8 * (2 + 5))


def test_the_words_after_a_run_hold_its_numbers(made_up):
    training = made_up()
    run = follow(training)
    run.outcome = "finished"
    losses, best = training.history.step_losses, training.history.best
    assert description(run, 5) == (
        f"Finished: 3 epochs of 10 steps. Training loss, mean of 5 steps: "
        f"{np.mean(losses[:5]):.2f} in the beginning, {np.mean(losses[-5:]):.2f} in the end. Best "
        f"validation accuracy: {best['validation_accuracy']:.3f}, after epoch {best['epoch']}. "
        "Speed: 32 examples per second.")


@pytest.mark.parametrize(("steps", "outcome", "words"), [
    (11, "training", "Training: 1 of 3 epochs finished. Best validation accuracy so far: 0."),
    (3, "stopped", "Stopped by the button in epoch 1 of 3, after step 3 of 10; the history is kept."
                   " Training loss, mean of 1 step:"),
    (10, "stopped", "Stopped by the button after epoch 1 of 3; history and best weights are kept."),
    (13, "interrupted", "Stopped in epoch 2 of 3, after step 3 of 10; history and best weights"),
    (13, "OSError", "Ended by an error (OSError) in epoch 2 of 3, after step 3 of 10; history"),
])
def test_how_far_a_run_came_is_said(made_up, steps, outcome, words):
    run = follow(made_up(), steps)
    run.outcome = outcome
    assert description(run, 20).startswith(words)


def test_a_run_needs_no_settings():
    progress = Progress(History({}, [], [1.0]), None, 0, 1, 4, 0.5)
    run = Run(progress, 0.0)
    run.add(progress, 0.0)
    assert run.epochs == 1 and math.isnan(run.examples_per_second)
