"""Figures of notebook 08: captions follow the data, and what is missing is said in words."""

import math

import pytest

from resnet_lesson import figures
from resnet_lesson.figures import tables
from resnet_lesson.figures import with_and_without as pictures
from resnet_lesson.figures.tables import say
from resnet_lesson.findings import comparison
from resnet_lesson.findings.intervals import t_interval
from resnet_lesson.words import signed
from tests.findings.test_comparison import GAPS, NOISE, digits, made_up


def texts(figure):
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


@pytest.fixture(scope="module")
def everything():
    full = made_up({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)
    return made_up(GAPS) + full + made_up(GAPS, "no-norm", base=0.5) + digits(noisy)


def noisy(arm, lr, seed):
    return 0.1 - 0.04 * (lr == 0.01) + 0.5 * NOISE[seed % 5] * (1 if arm == "plain" else -1)


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
    assert f"{signed(t_interval(parts['rate']).middle)} the rate" \
        in figure.caption
    assert "the arms tie on these digits" in figure.caption
    assert "plain looks worse in 10 of 10, better in 0" in figure.caption
    assert "plain\n0.005" in texts(figure) and "their one run" in texts(figure)


@pytest.mark.parametrize(("gain", "words"), [(0.05, "the shortcut helps on these digits"),
                                             (-0.05, "the shortcut hurts on these digits")])
def test_published_says_what_the_arm_does(gain, words):
    rows = digits(lambda arm, lr, seed: noisy(arm, lr, seed) - gain * (arm == "residual"))
    assert words in pictures.published(rows).caption


@pytest.mark.parametrize(("arm", "rate", "answer"), [
    (0, 0, "neither"), (0.1, 0, "the arm alone"), (0, -0.1, "the rate alone"), (0.1, 0.1, "both")])
def test_causes_are_what_was_put_in(arm, rate, answer):
    rows = digits(lambda which, lr, seed: 0.3 + 0.5 * NOISE[seed % 5] * (lr == 0.01)
                  + 0.3 * NOISE[-1 - seed % 5] * (which == "plain")
                  - arm * (which == "residual") - rate * (lr == 0.01))
    found, words = pictures.causes(rows)
    assert found == answer and words.count("10 seeds") == 3
    headings, lines = pictures.part_table(rows)
    assert len(lines) == 2 and len(lines[0]) == len(headings)


def test_causes_of_too_few_runs_are_not_guessed():
    assert pictures.causes([])[0] is None and "all four runs" in pictures.causes([])[1]
    one_seed = [row for row in digits(noisy) if row["seed"] == 0]
    assert pictures.causes(one_seed)[0] is None and pictures.part_table([])[1] == []


def test_one_seed_of_digits_gets_no_interval():
    rows = [row for row in digits(noisy) if row["seed"] == 0]
    assert pictures.published(rows).caption.startswith("One seed has all four runs")
    assert "not recorded yet" in pictures.scatter(rows)


def test_scatter_says_both_kinds(everything):
    words = pictures.scatter(everything)
    assert "seed to seed" in words and "binomial, at an error of 0.100" in words
    assert "On the first 200 the mean error is 0.080" in words


def test_live_gives_means_and_the_paired_interval():
    errors = {("plain", 8): [0.3, 0.32], ("residual", 8): [0.2, 0.22],
              ("plain", 32): [0.5, 0.6], ("residual", 32): [0.2, 0.25]}
    caption = pictures.live(errors).caption
    assert "8 layers: plain 0.310, residual 0.210, difference +0.100 (+0.100 to +0.100" in caption
    assert "32 layers: plain 0.550, residual 0.225, difference +0.325" in caption


def test_gaps_sort_depths_by_their_verdict(everything):
    caption = pictures.gaps(everything).caption
    assert "(green, round): 20, 32, 56, 34 and 56 (full set)" in caption
    assert "(grey, diamond): 8, 18 and 20 (full set)" in caption
    assert "(pink, square): nowhere" in caption and "one seed" not in caption
    reversed_rows = made_up({8: -0.2})
    caption = pictures.gaps(reversed_rows).caption
    assert "(pink, square): 8" in caption and "Not recorded yet: full" in caption
    assert "one seed, no interval (cross): 8" in pictures.gaps(made_up({8: 0.1}, seeds=1)).caption


def test_the_table_of_gaps_marks_rates_at_the_end_of_their_grid():
    headings, lines = pictures.gap_table(made_up({8: 0.1}, rates=(0.01, 0.03)))
    assert len(headings) == len(lines[0])
    assert lines[0][:4] == ["8", "0.400 at 0.03*", "0.300 at 0.03*", "+0.100"]
    assert pictures.gap_table(made_up({8: 0.1}))[1][0][1] == "0.400 at 0.03"
    assert pictures.gap_table(made_up({8: 0.1}, seeds=1))[1][0][4] == ""
    assert pictures.gap_table([])[1] == []


def test_norms_say_for_each_arm_what_batch_norm_does():
    rows = made_up({8: 0.0, 56: 0.4}) + made_up({8: 0.0, 56: 0.4}, "no-norm", base=0.5)
    caption = pictures.norms(rows).caption
    assert "Plain: batch norm lowers it at 8 (−0.200) and 56 (−0.200) layers. Without it, no " \
        "better than guessing, at any rate tried, at 56 layers." in caption
    assert "Residual: batch norm lowers it at 8 (−0.200) and 56 (−0.200) layers." in caption
    assert caption.count("guessing") == 1 and "diverged" not in caption
    worse = made_up({8: 0.1}, base=0.5) + made_up({8: 0.1}, "no-norm", base=0.3, diverged=1)
    caption = pictures.norms(worse).caption
    assert "Plain: batch norm raises it at 8 (+0.200)" in caption and "5 of its runs" in caption


@pytest.mark.parametrize(("plain", "residual", "words"), [
    (4.0, 1.0, "plain ÷ residual 4: no smaller"), (0.5, 1.0, "0.5: smaller"),
    (1e-5, 1.0, "less than 1/100"), (500.0, 1.0, "500: more than 100 times as large"),
    (0.0, 0.0, "no ratio"), (float("nan"), 1.0, "no ratio")])
def test_gradients_are_put_into_words(plain, residual, words):
    rows = made_up({56: 0.1})
    for row in rows:
        row["first_gradient_norm"] = plain if row["arm"] == "plain" else residual
        row["gradient_norm"] = 0.5
    first, second = pictures.gradient_norms(rows).split("\n")
    assert ("no number, since a run diverged, in plain" in first) == math.isnan(plain)
    at_first, at_last = first.split("; ")
    assert words in at_first and "last epoch 0.5 in plain and 0.5 in residual" in at_last
    assert "no norm: not recorded yet" in second


@pytest.mark.parametrize("draw", [pictures.published, pictures.gaps, pictures.norms])
def test_without_rows_a_figure_says_what_is_missing(draw):
    figure = draw([])
    assert "nothing recorded yet" in texts(figure) and "yet" in figure.caption


def test_every_figure_can_be_shown_and_has_readable_text(everything, capsys):
    drawn = (pictures.resolution({"plain": 0.97, "residual": 0.955}, (200,)),
             pictures.published(everything, "test_error"), pictures.gaps(everything),
             pictures.norms(everything))
    for figure in drawn:
        figures.show(figure)
        assert figure.caption.split()[0] in capsys.readouterr().out
        assert all(text.get_fontsize() >= 12 for text in
                   figure.findobj(lambda a: hasattr(a, "get_fontsize")) if text.get_text())


def test_sentences_are_shown_as_a_list(monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "display", lambda bundle, raw: shown.append(bundle))
    say("one: 1\n" + "two " * 40)
    assert shown[0]["text/markdown"].startswith("- **one:** 1\n- two two")
    assert all(len(line) <= 96 for line in shown[0]["text/plain"].split("\n"))
    assert shown[0]["text/plain"].startswith("- one: 1\n- two")
