"""What a training will take: steps times a measured step, said in words."""

import math

import pytest

from resnet_lesson.training import arrangement, pace


def test_a_step_of_no_pictures_is_refused_in_words(mini, network):
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        pace.estimate(network(), mini.train, epochs=2, batch_size=0)


def test_an_estimate_is_steps_times_the_measured_step(mini, network, monkeypatch):
    monkeypatch.setattr(pace, "step_seconds", lambda *args, **options: 0.5)
    estimate = pace.estimate(network(), mini.train, epochs=3, batch_size=64)
    assert estimate.steps == 3 * math.ceil(len(mini.train) / 64)
    assert estimate.seconds == pytest.approx(0.5 * estimate.steps)
    assert estimate.within(10) == 20 and estimate.within(0) == 1
    assert estimate.within(1e9) == estimate.within(math.inf) == estimate.steps
    assert "2 minutes on this machine (237 steps of 0.5 s)" in repr(estimate)


def test_the_step_of_fit_is_measured_but_the_first_one(mini, network, equal, monkeypatch):
    taken, clock, step = [], iter((0, 9, 20, 23, 30, 34)), arrangement.step

    def watched(model, optimizer, X, y, *arguments, **options):
        taken.append(tuple(X.shape))
        return step(model, optimizer, X, y, *arguments, **options)
    monkeypatch.setattr(arrangement, "step", watched)
    monkeypatch.setattr(arrangement.time, "perf_counter", lambda: next(clock))
    model = network()
    chosen = arrangement.Arrangement("bfloat16", True)
    seconds = pace.step_seconds(model, mini.train, batch_size=50, size=32, arrangement=chosen)
    assert seconds == 3 and taken == 3 * [(50, 1, 32, 32)] and equal(model, network())
