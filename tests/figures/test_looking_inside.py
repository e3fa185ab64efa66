"""Figures of notebook 09 draw their data; what they say is pinned for all figures together."""

import math

import pytest
import torch

from resnet_lesson.exercises.looking_inside import expected_calibration_error
from resnet_lesson.figures import looking_inside

INTACT = {"residual": 900, "plain": 880}
CHANGED = {"residual": {"layer1.0": 400, "layer1.1": 870, "layer2.0": 860},
           "plain": {"layer1.0": 100, "layer1.1": 120, "layer2.0": None}}


def test_effects_draw_accuracies_with_wilsons_intervals():
    ax, = looking_inside.effects(INTACT, CHANGED, 1000).axes
    assert [text.get_text() for text in ax.texts] == ["not\npossible"]
    assert sorted(y for line in ax.lines if line.get_linestyle() == "None"
                  for y in line.get_ydata()) == pytest.approx([0.1, 0.12, 0.4, 0.86, 0.87])
    for _, end in ax.collections[0].get_segments()[0]:
        assert abs(0.4 - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / 1000), rel=1e-4)


def test_survival_is_half_of_what_lies_above_guessing():
    first, second = looking_inside.survival(INTACT, CHANGED, 1000).split("\n")
    assert "(an accuracy of 0.50) after 2 of 3 lesions; not without layer1.0." in first
    assert "(an accuracy of 0.49) after 0 of 2 lesions." in second
    every = looking_inside.survival(INTACT, {"residual": {"layer1.1": 870}}, 1000)
    assert every.endswith("after 1 of 1 lesions.")


def test_several_draws_medians_and_the_range():
    results = {"residual": {0: [900], 1: [800, 700, 850], 2: [300]}}
    ax, = looking_inside.several(results, 1000).axes
    band = ax.collections[0].get_paths()[0].vertices
    at_one = band[band[:, 0] == 1][:, 1]
    assert (at_one.min(), at_one.max()) == pytest.approx((0.15, 0.3))
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.2, 0.7])


def test_feature_maps_show_the_strongest_and_count_zeros():
    maps = {"stem": torch.zeros(4, 3, 3), "layer1": torch.ones(6, 2, 2)}
    maps["stem"][2] = 5
    figure = looking_inside.feature_maps(torch.rand(1, 9, 9), maps, columns=3)
    assert "stem: 4 maps of 3×3, 75% zeros; layer1: 6 maps of 2×2, 0% zeros" in figure.caption
    assert "stem #2" in [ax.get_title() for ax in figure.axes]
    assert sum(len(ax.images) for ax in figure.axes) == 7


def test_calibration_by_hand():
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.59, 0.61, 0.0])
    right = torch.tensor([True, False, True, True, False, True])
    counts, sure, hits = looking_inside.calibration(confidence, right, 10)
    assert counts.tolist() == [1, 0, 0, 0, 0, 2, 1, 0, 0, 2]
    assert sure == pytest.approx([0, 0, 0, 0, 0, 1.14, 0.61, 0, 0, 1.9])
    assert hits.tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0, 1]


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_exercise_and_the_figure_agree(bins):
    torch.manual_seed(bins)
    confidence = torch.rand(500)
    right = torch.rand(500) < confidence
    expected = expected_calibration_error(confidence, right, bins)
    _, sure, hits = looking_inside.calibration(confidence, right, bins)
    assert abs(sure - hits).sum() / 500 == pytest.approx(expected, abs=1e-5)
    caption = looking_inside.reliability({"plain": (confidence, right)}, bins).caption
    assert f"expected calibration error {expected:.3f}. {bins} bins" in caption
