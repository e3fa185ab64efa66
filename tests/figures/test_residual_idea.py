"""Figures of notebook 01 draw their data; what they say is pinned for all figures together."""

import numpy as np
import pytest

from resnet_lesson.figures import residual_idea
from resnet_lesson.figures.axes import running_mean


def test_loss_curves_tell_the_ends_of_both_arms_and_draw_the_band_of_the_seeds():
    rng = np.random.default_rng(0)
    runs = {(target, depth, arm): rng.uniform(0.1, 1, (60, 4))
            for target in ("y = x", "y = x + bump") for depth in (2, 16)
            for arm in ("plain", "residual")}
    figure = residual_idea.loss_curves(runs)
    plain, residual = (np.median(runs["y = x", 16, arm][-25:].mean(0))
                       for arm in ("plain", "residual"))
    assert f"{plain:.2g} plain against {residual:.2g} residual at 16 blocks" in figure.caption
    ax, losses = figure.axes[0], running_mean(runs["y = x", 2, "plain"], 9)
    band = ax.collections[0].get_datalim(ax.transData)
    assert (band.ymin, band.ymax) == pytest.approx((losses.min(), losses.max()))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.median(losses, axis=1))


def test_the_final_loss_is_a_mean_over_the_last_steps():
    losses = np.random.default_rng(3).random((20, 3))
    np.testing.assert_allclose(residual_idea.final(losses, 5), losses[15:].mean(0))
