import numpy as np
import pytest

from resnet_lesson import figures
from resnet_lesson.figures import residual_idea

STEPS, SEEDS = 60, 4


def curve(end, start=1.0, seed=0):
    rng = np.random.default_rng(seed)
    shape = np.geomspace(start, end, STEPS)[:, None]
    return shape * np.exp(0.1 * rng.standard_normal((STEPS, SEEDS)))


@pytest.fixture
def runs():
    return {(target, depth, arm): curve(1e-3 * depth if arm == "residual" else 0.5, seed=depth)
            for target in ("y = x", "y = x + bump") for depth in (2, 16)
            for arm in ("plain", "residual")}


def check_style(figure):
    """Text of at least 12 points, labelled axes, a caption, and it renders without warnings."""
    assert figure.caption
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        assert text.get_fontsize() >= 12 or not text.get_text().strip(), text
    assert figures.png(figure)[:4] == b"\x89PNG"


def test_way_stations_add_up():
    figure = residual_idea.way_stations([5, 8, 4, 6], silent=2)
    check_style(figure)
    for words in ("one leap of 23 km", "5 + 8 + 4 + 6 = 23 km", "more than 8 km",
                  "keep the 13 km you had and end at 19 km", "back at 0 km"):
        assert words in figure.caption
    check_style(residual_idea.way_stations([1, 2.5], silent=0))


@pytest.mark.parametrize("legs, silent, words", [
    ([3], 0, "at least two legs"), ([3, 0], 0, "above 0"), ([3, -1], 0, "above 0"),
    ([3, 4], 2, "silent must name one of the 2 stations"), ([3, 4], -1, "silent must name"),
])
def test_impossible_journeys_are_refused_in_words(legs, silent, words):
    with pytest.raises(ValueError, match=words):
        residual_idea.way_stations(legs, silent)


def test_loss_curves_tell_the_ends_of_both_arms(runs):
    figure = residual_idea.loss_curves(runs, {"y = x": {"one constant": 1.0}})
    check_style(figure)
    assert len(figure.axes) == 4
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    plain, residual = (np.median(runs["y = x", 16, arm][-25:].mean(0))
                       for arm in ("plain", "residual"))
    assert f"{plain:.2g} plain against {residual:.2g} residual at 16 blocks" in figure.caption
    assert f"{SEEDS} seeds" in figure.caption
    swapped = {(target, depth, {"plain": "residual", "residual": "plain"}[arm]): losses
               for (target, depth, arm), losses in runs.items()}
    assert residual_idea.loss_curves(swapped).caption != figure.caption


def test_loss_curves_draw_the_band_from_lowest_to_highest_seed(runs):
    figure = residual_idea.loss_curves(runs)
    axes = figure.axes[0]
    losses = residual_idea.smooth(runs["y = x", 2, "plain"])
    band = axes.collections[0].get_datalim(axes.transData)
    assert (band.ymin, band.ymax) == pytest.approx((losses.min(), losses.max()))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.median(losses, axis=1))


def test_loss_curves_need_both_arms(runs):
    del runs["y = x", 16, "plain"]
    with pytest.raises(ValueError, match="no plain run for y = x at depth 16"):
        residual_idea.loss_curves(runs)


def test_smooth_is_a_mean_over_the_last_steps():
    losses = np.random.default_rng(3).random((20, 3))
    smooth = residual_idea.smooth(losses, window=4)
    np.testing.assert_allclose(smooth[10], losses[7:11].mean(0))
    np.testing.assert_allclose(smooth[1], losses[:2].mean(0))
    np.testing.assert_allclose(residual_idea.final(losses, 5), losses[15:].mean(0))


def test_starts_tell_first_and_last_loss():
    runs = {("small", "plain"): curve(0.5, 2), ("small", "residual"): curve(0.01, 300, seed=1)}
    figure = residual_idea.starts(runs, {"pass x on": 0.05, "one constant": 1})
    check_style(figure)
    for (start, arm), losses in runs.items():
        assert (f"{start}, {arm}: {np.median(losses[0]):.2g} → "
                f"{np.median(losses[-25:].mean(0)):.2g}") in figure.caption


def test_nested_tells_medians_and_refuses_a_small_stack_that_is_not_smaller():
    losses = {"2 plain": [0.1, 0.2, 0.9], "24 residual": [0.01, 0.02, 0.03]}
    figure = residual_idea.nested(losses, 2, 24)
    check_style(figure)
    assert "2 plain: 0.2; 24 residual: 0.02" in figure.caption
    with pytest.raises(ValueError, match="0 < small < large, got 24 and 2"):
        residual_idea.nested(losses, 24, 2)


def test_input_output_counts_what_changed():
    x = np.array([-2.0, -1.0, 0.0, 3.0])
    figure = residual_idea.input_output({"relu": (x, x.clip(0)), "same": (x, x)})
    check_style(figure)
    assert "relu: 50% of the numbers changed, the largest difference is 2" in figure.caption
    assert "same: 0% of the numbers changed, the largest difference is 0" in figure.caption
    with pytest.raises(ValueError, match="equal shapes"):
        residual_idea.input_output({"odd": (x, x[1:])})
