"""Figures of notebook 04: captions carry the numbers of their data; bad data is refused."""

import pytest
import torch

from resnet_lesson import figures
from resnet_lesson.figures import batch_norm


def is_png(figure):
    return figures.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(8, 6, 5, 4), (1, 1, 2, 2), (2, 9, 3, 3)])
def test_shared_statistics_frames_one_channel_and_tells_its_numbers(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 3
    figure = batch_norm.shared_statistics(x, channel=0)
    assert f"mean {x[:, 0].mean():.2f}" in figure.caption
    assert f"variance {x[:, 0].var(correction=0):.2f}" in figure.caption
    assert f"{x[:, 0].numel():,} values" in figure.caption
    rows, columns = min(shape[0], 3), min(shape[1], 6)
    framed = [axes.spines["left"].get_visible() for axes in figure.axes]
    assert framed == [j == 0 for _ in range(rows) for j in range(columns)]
    assert is_png(figure)


@pytest.mark.parametrize(("x", "channel", "words"), [
    (torch.zeros(2, 3, 4, 4), 3, "between 0 and 2"), (torch.zeros(2, 3, 4, 4), -1, "got -1"),
    (torch.zeros(3, 4, 4), 0, r"got \(3, 4, 4\)")])
def test_shared_statistics_refuses_what_it_cannot_draw(x, channel, words):
    with pytest.raises(ValueError, match=words):
        batch_norm.shared_statistics(x, channel)


def test_forgotten_eval_tells_all_four_numbers():
    figure = batch_norm.forgotten_eval(0.81, {1: 0.19, 2: 0.5, 128: 0.79}, 0.23, 100)
    for words in ("81 % right in evaluation", "79 % in mixed batches of 128",
                  "19 % in batches of 1,", "23 % in batches of 100"):
        assert words in figure.caption
    (axes,) = figure.axes
    assert list(axes.lines[1].get_ydata()) == pytest.approx([19, 50, 79])
    assert axes.get_xlabel() and axes.get_ylabel() and is_png(figure)


@pytest.mark.parametrize(("evaluation", "mixed", "single"), [
    (0.8, {}, 0.2), (80, {2: 0.5}, 0.2), (0.8, {2: -0.5}, 0.2)])
def test_forgotten_eval_refuses_what_is_no_accuracy(evaluation, mixed, single):
    with pytest.raises(ValueError, match="accuracies between 0 and 1"):
        batch_norm.forgotten_eval(evaluation, mixed, single, 100)


def test_variance_growth_draws_medians_on_a_log_axis():
    without, with_norm = [[1, 2, 4], [1, 3, 9], [1, 2, 123456]], [[1, 2, 3]] * 3
    figure = batch_norm.variance_growth(without, with_norm)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert list(axes.lines[0].get_ydata()) == [1, 2, 9]
    assert list(axes.lines[2].get_ydata()) == [1, 2, 4]
    assert list(axes.lines[3].get_ydata()) == [1, 2, 3]
    assert "after 2 residual additions" in figure.caption
    assert "9 without norm, 3.0 with" in figure.caption and is_png(figure)


def test_variance_growth_rounds_large_numbers():
    assert "120,000 without" in batch_norm.variance_growth([[1, 123456]], [[1, 2]]).caption


@pytest.mark.parametrize(("without", "with_norm"), [
    ([], [[1, 2]]), ([[1, 2]], []), ([[1, 2]], [[1, 2, 3]]), ([[1]], [[1]])])
def test_variance_growth_refuses_curves_that_do_not_match(without, with_norm):
    with pytest.raises(ValueError, match="curves of one length"):
        batch_norm.variance_growth(without, with_norm)
