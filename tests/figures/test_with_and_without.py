"""Figures of notebook 08: captions follow the data, and what is missing is said in words."""

import pytest

from resnet_lesson.figures import with_and_without as pictures
from resnet_lesson.findings import comparison
from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.words import signed


def texts(figure):
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


@pytest.fixture(scope="module")
def everything(invented):
    return (invented.pairs(invented.GAPS) + invented.pairs(invented.GAPS, "no-norm", base=0.5)
            + invented.pairs({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)
            + invented.digits(invented.noisy))


def test_resolution_says_whether_the_intervals_overlap():
    figure = pictures.resolution({"plain": 0.97, "residual": 0.955}, (200, 10_000))
    assert "200 pictures: plain 0.936 to 0.986, residual 0.917 to 0.976; the intervals overlap." \
        in figure.caption
    assert figure.caption.endswith("do not overlap.")
    assert "residual, 10,000 pictures" in texts(figure)


def test_published_names_each_part_and_what_it_means(everything):
    figure = pictures.published(everything)
    assert "their one run gave −0.015" in figure.caption and "10 seeds" in figure.caption
    parts = comparison.decompose(everything)
    assert f"{signed(t_interval(parts['rate']).middle)} the rate" in figure.caption
    assert "the arms tie on these digits" in figure.caption
    assert "plain looks worse in 10 of 10, better in 0" in figure.caption
    assert "plain\n0.005" in texts(figure) and "their one run" in texts(figure)


@pytest.mark.parametrize(("gain", "seeds", "words"), [
    (0.05, 10, "the shortcut helps on these digits"),
    (-0.05, 10, "the shortcut hurts on these digits"), (0, 1, "One seed has all four runs")])
def test_published_says_what_the_arm_does(invented, gain, seeds, words):
    rows = invented.digits(lambda arm, lr, seed: invented.noisy(arm, lr, seed)
                          - gain * (arm == "residual"), seeds)
    assert words in pictures.published(rows).caption


def test_live_gives_means_and_the_paired_interval():
    errors = {("plain", 8): [0.3, 0.32], ("residual", 8): [0.2, 0.22],
              ("plain", 32): [0.5, 0.6], ("residual", 32): [0.2, 0.25]}
    caption = pictures.live(errors).caption
    assert "8 layers: plain 0.310, residual 0.210, difference +0.100 (+0.100 to +0.100" in caption
    assert "32 layers: plain 0.550, residual 0.225, difference +0.325" in caption


def test_gaps_sort_depths_by_their_verdict(invented, everything):
    caption = pictures.gaps(everything).caption
    assert "(green, round): 20, 32, 56, 34 and 56 (full set)" in caption
    assert "(grey, diamond): 8, 18 and 20 (full set)" in caption
    assert "(pink, square): nowhere" in caption and "one seed" not in caption
    caption = pictures.gaps(invented.pairs({8: -0.2})).caption
    assert "(pink, square): 8" in caption and "Not recorded yet: full" in caption
    one = pictures.gaps(invented.pairs({8: 0.1}, seeds=1)).caption
    assert "one seed, no interval (cross): 8" in one


def test_norms_say_for_each_arm_what_batch_norm_does(invented):
    gaps = {8: 0.0, 56: 0.4}
    rows = invented.pairs(gaps) + invented.pairs(gaps, "no-norm", base=0.5)
    caption = pictures.norms(rows).caption
    assert "Plain: batch norm lowers it at 8 (−0.200) and 56 (−0.200) layers. Without it, no " \
        "better than guessing, at any rate tried, at 56 layers." in caption
    assert "Residual: batch norm lowers it at 8 (−0.200) and 56 (−0.200) layers." in caption
    assert caption.count("guessing") == 1 and "diverged" not in caption
    caption = pictures.norms(invented.pairs({8: 0.1}, base=0.5)
                             + invented.pairs({8: 0.1}, "no-norm", diverged=1)).caption
    assert "Plain: batch norm raises it at 8 (+0.200)" in caption and "5 of its runs" in caption


@pytest.mark.parametrize("draw", [pictures.published, pictures.gaps, pictures.norms])
def test_without_rows_a_figure_says_what_is_missing(draw):
    figure = draw([])
    assert "nothing recorded yet" in texts(figure) and "yet" in figure.caption
