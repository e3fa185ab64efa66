"""Figures of notebook 04 draw their data; what they say is pinned for all figures together."""

import pytest
import torch

from resnet_lesson.figures import batch_norm


@pytest.mark.parametrize("shape", [(8, 6, 5, 4), (1, 1, 2, 2), (2, 9, 3, 3)])
def test_shared_statistics_frames_one_channel_and_tells_its_numbers(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 3
    figure = batch_norm.shared_statistics(x, channel=0)
    own = x[:, 0]
    assert figure.caption.endswith(f"{own.numel():,} values: mean {own.mean():.2f}, variance "
                                   f"{own.var(correction=0):.2f}.")
    framed = [ax.spines["left"].get_visible() for ax in figure.axes]
    assert framed == ([True] + [False] * (min(shape[1], 6) - 1)) * min(shape[0], 3)


def test_forgotten_eval_draws_percents():
    figure = batch_norm.forgotten_eval(0.81, {1: 0.19, 2: 0.5, 128: 0.79}, 0.23, 100)
    assert figure.axes[0].lines[1].get_ydata().tolist() == pytest.approx([19, 50, 79])


def test_variance_growth_draws_medians_and_the_two_laws():
    figure = batch_norm.variance_growth([[1, 2, 4], [1, 3, 9], [1, 2, 123456]], [[1, 2, 3]] * 3)
    drawn = [line.get_ydata().tolist() for line in figure.axes[0].lines]
    assert drawn == [[1, 2, 9], [1, 2, 3], [1, 2, 4], [1, 2, 3]]
