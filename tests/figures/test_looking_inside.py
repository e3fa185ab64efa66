"""Figures of notebook 09 say in words what they draw, and their numbers are right."""

import math

import pytest
import torch

from resnet_lesson import figures
from resnet_lesson.exercises.looking_inside import expected_calibration_error
from resnet_lesson.figures import looking_inside

INTACT = {"residual": 900, "plain": 880}
CHANGED = {"residual": {"layer1.0": 400, "layer1.1": 870, "layer2.0": 860},
           "plain": {"layer1.0": 100, "layer1.1": 120, "layer2.0": None}}


def words(figure):
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return figure.caption + " " + " ".join(texts)


def test_effects_count_what_stays_close_and_name_the_ends():
    figure = looking_inside.effects(INTACT, CHANGED, 1000)
    assert ("Residual, intact 0.900: within five points of that after 2 of 3 changes; from 0.400 "
            "(layer1.0) to 0.870 (layer1.1).") in figure.caption
    assert "Plain, intact 0.880: within five points of that after 0 of 2 changes" in figure.caption
    assert words(figure).count("not\npossible") == 1
    drawn = figure.axes[0].get_lines()
    assert sorted(y for line in drawn if line.get_linestyle() == "None"
                  for y in line.get_ydata()) == pytest.approx([0.1, 0.12, 0.4, 0.86, 0.87])


def test_effects_draw_wilsons_intervals():
    figure = looking_inside.effects(INTACT, CHANGED, 1000)
    residual = figure.axes[0].collections[0].get_segments()
    (_, low), (_, high) = residual[0]
    for end in (low, high):
        assert abs(0.4 - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / 1000), rel=1e-4)


def test_survival_is_half_of_what_lies_above_guessing():
    first, second = looking_inside.survival(INTACT, CHANGED, 1000).split("\n")
    assert "(an accuracy of 0.50) after 2 of 3 lesions; not without layer1.0." in first
    assert "(an accuracy of 0.49) after 0 of 2 lesions." in second
    every = looking_inside.survival(INTACT, {"residual": {"layer1.1": 870}}, 1000)
    assert every.endswith("after 1 of 1 lesions.")


def test_several_gives_medians_and_the_range():
    results = {"residual": {0: [900], 1: [800, 700, 850], 2: [300]},
               "plain": {0: [880], 1: [100, 90, 110], 2: [100]}}
    figure = looking_inside.several(results, 1000)
    assert "residual: 0.10 intact, 0.20 without 1, 0.70 without 2" in figure.caption
    assert "plain: 0.12 intact, 0.90 without 1" in figure.caption
    assert "At the most 3 different choices" in figure.caption
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    at_one = band[band[:, 0] == 1][:, 1]
    assert (at_one.min(), at_one.max()) == pytest.approx((0.15, 0.3))


def test_shares_name_the_ends():
    caption = looking_inside.shares({"layer1.0": 0.5, "layer1.1": 0.25, "layer2.0": 0.75}).caption
    assert "Largest: layer2.0 with 0.75; smallest: layer1.1 with 0.25" in caption


def test_feature_maps_show_the_strongest_and_count_zeros():
    maps = {"stem": torch.zeros(4, 3, 3), "layer1": torch.ones(6, 2, 2)}
    maps["stem"][2] = 5
    figure = looking_inside.feature_maps(torch.rand(1, 9, 9), maps, columns=3)
    assert "stem: 4 maps of 3×3, 75% zeros; layer1: 6 maps of 2×2, 0% zeros" in figure.caption
    titles = [axes.get_title() for axes in figure.axes]
    assert "stem #2" in titles and sum(len(axes.images) for axes in figure.axes) == 7


@pytest.mark.parametrize(("first", "second"), [
    ([1, 2, 3, 4], [10, 20, 30, 40]), ([1, 2, 3, 4], [4, 3, 2, 1]),
    ([1, 2, 2, 5, 7], [3, 1, 4, 4, 9])])
def test_rank_correlation_is_scipys(first, second):
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with scikit-learn")
    expected = stats.spearmanr(first, second).statistic
    assert looking_inside.rank_correlation(first, second) == pytest.approx(expected)


def test_share_against_drop_says_whether_chance_would_do():
    names = [f"layer1.{i}" for i in range(9)]
    rising = looking_inside.share_against_drop(dict(zip(names, range(9), strict=True)),
                                       dict(zip(names, range(9), strict=True))).caption
    assert "9 blocks: +1.00" in rising and "beyond" in rising
    firsts = [f"layer{1 + i // 3}.{i % 3}" for i in range(9)]
    carried = looking_inside.share_against_drop(   # the first blocks alone make the correlation
        dict(zip(firsts, (7, 1, 2, 8, 3, 4, 9, 5, 6), strict=True)),
        dict(zip(firsts, (7, 4, 3, 8, 2, 6, 9, 1, 5), strict=True))).caption
    with_them, without = carried.split(" Without the first block of each stage, ")
    assert "9 blocks" in with_them and "beyond" in with_them
    assert without.startswith("over 6 blocks: ") and "within that" in without
    mixed = looking_inside.share_against_drop(
        dict(zip(names, range(9), strict=True)),
        dict(zip(names, (3, 8, 1, 6, 0, 7, 2, 5, 4), strict=True))).caption
    assert "within that" in mixed


def test_calibration_by_hand():
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.59, 0.61])
    right = torch.tensor([True, False, True, True, False])
    bins = looking_inside.calibration(confidence, right, 10)
    assert [i for i, one in enumerate(bins) if one] == [5, 6, 9]
    assert bins[5].count == 2 and bins[5].accuracy == 1
    assert bins[9].confidence == pytest.approx(0.95) and bins[9].accuracy == 0.5
    error = 2 / 5 * (1 - 0.57) + 1 / 5 * 0.61 + 2 / 5 * 0.45
    assert looking_inside.calibration_error(bins) == pytest.approx(error)


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_exercise_and_the_figure_agree(bins):
    torch.manual_seed(bins)
    confidence = torch.rand(500)
    right = torch.rand(500) < confidence
    found = looking_inside.calibration_error(looking_inside.calibration(confidence, right, bins))
    assert found == pytest.approx(
        expected_calibration_error(confidence, right, bins), abs=1e-5)


def test_a_perfectly_calibrated_answer_has_no_error_and_a_boastful_one_has():
    torch.manual_seed(0)
    right = torch.rand(1000) < 0.8
    honest, boastful = (torch.full((1000,), value) for value in (right.float().mean().item(), 1.0))
    figure = looking_inside.reliability({"residual": (honest, right), "plain": (boastful, right)})
    assert "not decided by so few pictures; expected calibration error 0.000" in figure.caption
    assert "surer than right" in figure.caption
    shy = looking_inside.reliability({"plain": (torch.full((1000,), 0.3), right)})
    assert "less sure than right" in shy.caption


def test_every_figure_can_be_shown_with_readable_text():
    names = [f"layer1.{i}" for i in range(3)]
    shown = [looking_inside.effects(INTACT, CHANGED, 1000),
             looking_inside.several({"plain": {0: [9], 1: [1, 2]}}, 10),
             looking_inside.shares(dict.fromkeys(names, 0.5)),
             looking_inside.share_against_drop(dict(zip(names, (1, 2, 3), strict=True)),
                                       dict(zip(names, (1, 3, 2), strict=True))),
             looking_inside.feature_maps(torch.rand(1, 8, 8), {"stem": torch.rand(9, 4, 4)}),
             looking_inside.reliability({"plain": (torch.rand(50), torch.rand(50) < 0.5)})]
    for figure in shown:
        assert figures.png(figure).startswith(b"\x89PNG") and figure.caption.endswith(".")
        texts = [text for axes in figure.axes for text in
                 [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_xticklabels(),
                  *axes.texts]]
        assert min(text.get_fontsize() for text in texts) >= 12
