"""Figures of notebook 08: captions follow the data, and what is missing is said in words."""

import pytest

from resnet_lesson.figures import with_and_without as pictures


def texts(figure):
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_curves_draw_each_seed_and_put_zero_into_its_strip(invented):
    rows = [row for arm, depth, ends in (("plain", 20, (0.1, 0.2)), ("plain", 56, (0.4,)),
                                         ("residual", 56, (0.0,)))
            for seed, end in enumerate(ends) for row in invented.curve(
                "grid", arm, depth, 0.03, seed, [0.9, end])]
    figure = pictures.curves(rows, "grid")
    plain, residual = figure.axes
    assert (len(plain.lines), len(residual.lines)) == (3, 1)
    assert list(plain.lines[1].get_ydata()) == [0.9, 0.2]
    assert list(plain.lines[1].get_xdata()) == [79, 158]
    assert residual.lines[0].get_ydata()[1] == plain.get_yticks()[0] > 0, "the place of 0"
    assert plain.get_yticklabels()[0].get_text() == "0"
    assert "plain, 20 layers 0.1500 (rate 0.03, 2 seeds); plain, 56 layers 0.4000" in figure.caption
    assert "residual, 20 layers" not in figure.caption and "2 epochs" in figure.caption


def test_published_says_what_each_pair_of_rates_gives(invented):
    figure = pictures.published(invented.digits(invented.noisy))
    assert "as published +0.040 (" in figure.caption and "both at 0.01 +0.000" in figure.caption
    assert "their one run gave −0.015" in figure.caption and "10 seeds" in figure.caption
    assert "plain is worse in 10 of 10, better in 0" in figure.caption
    assert "The training error is 0.100 or less in every run" in figure.caption
    assert "plain\n0.005" in texts(figure) and "their one run" in texts(figure)


def test_gaps_name_rates_star_ends_and_say_what_is_missing(invented):
    figure = pictures.gaps(invented.pairs({8: -0.2}, rates=(0.01, 0.03)))
    assert "8 layers, rates 0.03* and 0.03*" in texts(figure)
    assert "(pink, square): 8" in figure.caption and "Not recorded yet: full" in figure.caption


def test_runs_without_norm_are_all_drawn(invented):
    rows = invented.pairs({8: 0.0, 18: 0.1, 56: 0.4}, "no-norm", base=0.5)
    figure = pictures.without_norm(rows)
    drawn = [line for line in figure.axes[0].lines if line.get_marker() in ("s", "o")]
    assert [len(line.get_xdata()) for line in drawn] == [15] * 4, "not the ImageNet kind"
    assert "plain: 2 of 15 at 8 and 0 of 15 at 56 layers" in figure.caption


@pytest.mark.parametrize("draw", [pictures.published, pictures.gaps, pictures.without_norm,
                                  lambda rows: pictures.curves(rows, "end")])
def test_without_rows_a_figure_says_what_is_missing(draw):
    figure = draw([])
    assert "nothing recorded yet" in texts(figure) and "yet" in figure.caption
