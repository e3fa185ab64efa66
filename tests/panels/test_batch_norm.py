"""The panel *batch norm*: its numbers against torch's layer, its words for the impossible."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson.panels.batch_norm import BATCHES, POOL, BatchNormPanel

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
PICTURES = ("1×1", "2×2", "4×4")


@pytest.fixture(scope="module")
def panel():
    return BatchNormPanel()


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize(("batch_size", "picture"), list(itertools.product((2, 8, 128), PICTURES)))
def test_compute_is_what_the_layer_does_batch_by_batch(mode, batch_size, picture):
    shift, scale, side = -1.3, 0.7, int(picture[0])
    result = BatchNormPanel.compute(shift, scale, mode, batch_size, picture)
    for i in range(BATCHES):
        layer = nn.BatchNorm2d(1).train(mode == "training")
        x = POOL[:batch_size, i:i + 1, :side, :side] * scale + shift
        y = layer(x).detach()
        assert result.followed[i] == pytest.approx(y[0, 0, 0, 0].item(), abs=1e-5)
        if i == 0:
            np.testing.assert_allclose(result.before, x.flatten(), atol=1e-6)
            np.testing.assert_allclose(result.after, y.flatten(), atol=1e-5)


@pytest.mark.parametrize(("mode", "batch_size", "picture"),
                         list(itertools.product(["training", "evaluation"], SIZES, PICTURES)))
def test_it_refuses_exactly_what_torch_refuses(mode, batch_size, picture):
    side = int(picture[0])

    def refuses(function):
        try:
            function()
        except ValueError as error:
            return str(error)
        return ""

    layer = nn.BatchNorm2d(1).train(mode == "training")
    by_torch = refuses(lambda: layer(torch.ones(batch_size, 1, side, side)))
    by_us = refuses(lambda: BatchNormPanel.compute(0.0, 1.0, mode, batch_size, picture))
    assert bool(by_us) == bool(by_torch)
    if by_us:
        assert "Batch size 1" in by_us and "1×1" in by_us and "evaluation mode" in by_us


def spread(mode, batch_size):
    return BatchNormPanel.compute(0.0, 1.0, mode, batch_size, "1×1").followed.std()


def test_noise_falls_with_the_batch_and_is_gone_in_evaluation():
    noise = [spread("training", size) for size in SIZES[1:]]
    assert all(a > b for a, b in itertools.pairwise(noise))
    assert all(spread("evaluation", size) < 1e-6 for size in SIZES)


def test_shift_and_scale_vanish_in_training_only():
    one = BatchNormPanel.compute(0.0, 1.0, "training", 16, "2×2")
    other = BatchNormPanel.compute(3.0, 2.5, "training", 16, "2×2")
    np.testing.assert_allclose(one.after, other.after, atol=1e-4)
    np.testing.assert_allclose(one.followed, other.followed, atol=1e-4)
    moved = BatchNormPanel.compute(3.0, 2.5, "evaluation", 16, "2×2")
    np.testing.assert_allclose(moved.after, moved.before, rtol=1e-4)


def test_two_values_come_out_as_plus_and_minus_one():
    result = BatchNormPanel.compute(0.0, 2.5, "training", 2, "1×1")
    assert sorted(np.round(result.after)) == [-1, 1]


def test_the_caption_tells_what_the_picture_shows(panel):
    panel.set(shift=0.0, scale=1.0, mode="training", batch_size=4, picture="1×1")
    followed = panel.result.followed
    for number in (followed.min(), followed.max(), followed.std()):
        assert f"{number:.2f}".replace("-", "−") in panel.caption
    panel.set(mode="evaluation")
    assert "always comes out as 0.50" in panel.caption
    panel.set(mode="training", batch_size=2)
    assert "about +1 and −1" in panel.caption
    panel.set(batch_size=1, picture="4×4")
    assert "alone in each batch" in panel.caption
    assert "-" not in panel.caption


def test_where_torch_refuses_nothing_comes_out_and_the_panel_recovers(panel):
    panel.set(mode="training", batch_size=1, picture="1×1")
    assert panel.trouble and not panel.faded and len(panel.followed.get_xdata()) == 0
    panel.reset()
    assert not panel.trouble and len(panel.followed.get_xdata()) == BATCHES
