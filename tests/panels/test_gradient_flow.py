"""Gradient flow: what the panel shows is what was recorded, or what the same code measures now."""

import itertools

import numpy as np
import pytest

from resnet_lesson.experiments import gradients
from resnet_lesson.panels import gradient_flow
from resnet_lesson.panels.gradient_flow import QUANTITIES, GradientFlow


def test_the_cache_is_what_the_same_code_measures():
    setting = ("residual", "batch norm", "he", 4)
    shown = GradientFlow.compute(*setting)
    row = gradients.measure_network(*setting, 0)
    assert shown.profiles["residual"][0] == pytest.approx(np.array(row.gradients), rel=0.02)
    assert shown.ratios["residual"][4][0] == pytest.approx(row.gradient_ratio, rel=0.02)


def test_live_measures_new_weights_once(monkeypatch):
    gradient_flow.measured.cache_clear()
    calls = []
    real = gradients.measure_network
    monkeypatch.setattr(gradient_flow.experiment, "measure_network",
                        lambda *key: calls.append(key) or real(*key))
    setting = ("plain", "batch norm", "xavier", 4)
    first = GradientFlow.compute(*setting, live=True)
    second = GradientFlow.compute(*setting, quantity="activation spread", live=True)
    assert calls == [(*setting, gradient_flow.NEW_SEED)]
    assert gradient_flow.NEW_SEED not in gradients.SEEDS
    assert len(first.live) == 4 and first.live_ratio != second.live_ratio
    recorded = first.ratios["plain"][4]
    assert recorded.min() / 3 < first.live_ratio < recorded.max() * 3


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_limits_hold_every_value(quantity):
    blocks, ends = QUANTITIES[quantity]
    for norm, initialisation in itertools.product(gradients.NORMS, gradients.INITIALISATIONS):
        limits = GradientFlow.compute("plain", norm, initialisation, 4, quantity).limits
        rows = [row for row in gradients.load() if row[1:3] == (norm, initialisation)]
        for ((low, high), zero), values in zip(limits, (
                [value for row in rows for value in blocks(row)], [*map(ends, rows)]),
                strict=True):
            assert zero == (0 in values)
            assert all(10.0 ** low <= value <= 10.0 ** high for value in values if value)


def test_zero_is_drawn_in_its_strip_and_said():
    panel = GradientFlow(shortcut="plain", norm="none", initialisation="default", depth=64)
    assert "64 blocks (128 convolutions)" in panel.caption
    left = panel.figure.axes[0]
    plain = next(line for line in left.get_lines() if line.get_label() == "plain").get_ydata()
    assert np.isfinite(plain).all() and left.get_ylim()[0] < plain[0] < 1e-45
    assert "exactly 0" in panel.caption and "First ÷ last is 0 (in all of 8" in panel.caption
    panel.set(norm="batch norm")
    assert "exactly 0" not in panel.caption


def test_the_scale_free_number_and_the_limit_per_block_stand_beside_the_ratio():
    panel = GradientFlow(shortcut="residual", initialisation="he", depth=64)
    assert "Activation spread: 6.1·10⁹. Gradient × spread: 2.3. Training mode" in panel.caption
    assert "Per block: 1.45, the limit is 1.08." in panel.caption
    panel.set(quantity="gradient × spread", depth=4)
    assert "Gradient × spread:" not in panel.caption and "the limit is 4.64" in panel.caption
    rows = gradient_flow.recorded()["residual", "none", "he", 4]
    for place, value in ((0, rows[0].gradients[0] * rows[0].activations[0]),
                         (-1, rows[0].gradients[-1] * rows[0].activations[-1])):
        assert panel.result.profiles["residual"][0][place] == value


def test_only_the_chosen_arm_has_a_band():
    panel = GradientFlow(shortcut="residual")
    for ax in panel.figure.axes:
        assert [band.get_visible() for band in ax.collections] == [
            arm == "residual" for arm in gradients.SHORTCUTS]


@pytest.mark.parametrize(("change", "words"), [
    ({"quantity": "loss"}, "quantity must be"), ({"shortcut": "none"}, "shortcut must be"),
    ({"depth": 3}, "depth must be"), ({"norm": "layer"}, "norm must be"),
    ({"initialisation": ""}, "initialisation must be")])
def test_impossible_settings_are_refused_in_words(change, words):
    setting = {"shortcut": "plain", "norm": "none", "initialisation": "he", "depth": 4}
    with pytest.raises(ValueError, match=words):
        GradientFlow.compute(**{**setting, **change})
