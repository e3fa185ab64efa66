"""Figures of notebook 09 draw their data; what they say is pinned for all figures together."""

import math

import pytest
import torch

from resnet_lesson.exercises.looking_inside import expected_calibration_error
from resnet_lesson.figures import looking_inside

RIGHTS = {"residual": {"as stored": {"intact": 900, "layer1.0": 400, "layer2.0": 860},
                       "measured again": {"intact": 910, "layer1.0": 890, "layer2.0": 900}},
          "plain": {"as stored": {"intact": 880, "layer1.0": 100}}}


def test_lesions_draw_accuracies_with_wilsons_intervals():
    left, right = looking_inside.one_less(RIGHTS, 1000).axes
    drawn = [line.get_ydata().tolist() for line in left.lines if line.get_linestyle() == "None"]
    assert drawn == [pytest.approx([0.9, 0.4, 0.86]), pytest.approx([0.91, 0.89, 0.9])]
    assert [text.get_text() for text in right.texts] == ["not possible"]
    for _, end in left.collections[0].get_segments()[1]:
        assert abs(0.4 - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / 1000), rel=1e-4)


def test_what_comes_back_is_a_part_of_what_was_lost():
    assert looking_inside.regained(*RIGHTS["residual"].values()) == pytest.approx(1 - 30 / 540)
    same = RIGHTS["plain"]["as stored"]
    assert looking_inside.regained(same, same) == 0
    assert looking_inside.regained(same, same | {"layer1.0": 490}) == pytest.approx(0.5)


def test_several_blocks_medians_and_the_range():
    rights = {frozenset(): 900, frozenset("a"): 800, frozenset("b"): 700, frozenset("c"): 850,
              frozenset("ab"): 300}
    assert looking_inside.by_number(rights, 1000) == pytest.approx({0: 0.9, 1: 0.8, 2: 0.3})
    ax, = looking_inside.several({"residual": {"as stored": rights}}, 1000).axes
    band = ax.collections[0].get_paths()[0].vertices
    at_one = band[band[:, 0] == 1][:, 1]
    assert (at_one.min(), at_one.max()) == pytest.approx((0.7, 0.85))


def test_feature_maps_show_the_first_on_one_scale_and_count_zeros():
    maps = {"stem": torch.zeros(4, 3, 3), "layer1": torch.ones(6, 2, 2)}
    maps["stem"][2] = 5
    figure = looking_inside.feature_maps(torch.rand(1, 9, 9), maps, columns=3)
    assert "stem: 4 maps of 3×3, 75% zeros; layer1: 6 maps of 2×2, 0% zeros" in figure.caption
    drawn = [ax.images[0] for ax in figure.axes if ax.images][1:]
    assert len(drawn) == 6 and {image.get_clim() for image in drawn} == {(0, 5)}


def test_kernels_that_cancel_are_counted_strictly():
    edge, blob, tie = torch.tensor([[1.0, -1]]), torch.ones(1, 2), torch.tensor([[5.0, -3]])
    figure = looking_inside.filters(torch.stack([edge, blob, tie])[:, None])
    assert "The 3 kernels" in figure.caption and "In 1 of them" in figure.caption


@pytest.mark.parametrize(("larger", "words"), [
    (4, "more than perfection"), (5, "cannot be told from"), (0, "more than perfection")])
def test_the_verdict_beside_perfect_calibration_turns_at_five_in_a_hundred(larger, words):
    drawn = [0.02] * larger + [0.01] * (100 - larger)
    caption = looking_inside.beside_perfect({"plain": 0.015}, {"plain": drawn}).caption
    assert words in caption and f"in {larger}% of draws" in caption


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
    assert f", calibration error {expected:.3f}. {bins} bins" in caption
