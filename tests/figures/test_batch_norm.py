"""Figures of notebook 04 draw their data; what they say is pinned for all figures together."""

import numpy as np
import pytest
import torch

from resnet_lesson.figures import batch_norm


@pytest.mark.parametrize("shape", [(8, 6, 5, 4), (1, 1, 2, 2), (2, 9, 3, 3)])
def test_a_channel_is_one_column_with_one_scale_of_colours_and_one_frame(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 3
    figure = batch_norm.shared_statistics(x, x - 3, channel=0)
    own = x[:, 0]
    assert f"{own.numel():,} values, mean {own.mean():.2f}, variance " in figure.caption
    columns = figure.axes[:min(shape[1], 6)]
    assert [ax.spines["left"].get_visible() for ax in columns] == [True] + [False] * (
        len(columns) - 1)
    for j, ax in enumerate(columns):
        (picture,) = ax.images
        assert picture.get_clim() == pytest.approx((x[:, j].min(), x[:, j].max()))
        drawn = np.asarray(picture.get_array().filled(np.nan))
        assert np.isfinite(drawn).sum() == x[:3, j].numel()


def test_forgotten_eval_draws_percents_at_true_distances():
    figure = batch_norm.forgotten_eval(0.81, {1: 0.19, 2: 0.5, 128: 0.79}, 0.23, 100)
    line = figure.axes[0].lines[1]
    assert line.get_ydata().tolist() == pytest.approx([19, 50, 79])
    assert line.get_xdata().tolist() == [1, 2, 128] and figure.axes[0].get_xscale() == "log"
    assert figure.axes[1].patches[0].get_height() == pytest.approx(23)


def test_three_rates_draws_both_arms():
    figure = batch_norm.three_rates({0.1: 0.8, 0.5: 0.7}, {0.1: 0.6, 0.5: 0.1})
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines[:2]] == [
        pytest.approx([80, 70]), pytest.approx([60, 10])]
