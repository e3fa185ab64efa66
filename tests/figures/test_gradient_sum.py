"""Figures of notebook 02 count what was recorded, and draw zeros."""

import pytest

from resnet_lesson.experiments import gradients as experiment
from resnet_lesson.figures import gradient_sum as pictures
from resnet_lesson.findings.gradient_flow import hidden, summarise, verdict


@pytest.fixture(scope="module")
def rows():
    return experiment.load()


def test_flow_draws_zeros_in_a_strip_and_counts_them(rows):
    figure = pictures.flow(rows)
    assert "8 networks sit in the grey strip" in figure.caption
    first = figure.axes[0]
    lowest = min(line.get_ydata().min() for line in first.lines if len(line.get_ydata()))
    assert first.get_ylim()[0] < lowest < 1e-30
    assert first.get_yticklabels()[0].get_text() == "0"
    assert all(label.get_text() != "0" for label in figure.axes[3].get_yticklabels())
    without = pictures.flow([row for row in rows if row.depth < 64])
    assert "grey strip" not in without.caption and "At 32 blocks" in without.caption


def test_flow_counts_what_the_table_says(rows):
    explode = sum(verdict(found.median) == "explodes" for key, found in summarise(rows).items()
                  if key[0] == "residual" and key[3] == 64)
    caption = pictures.flow(rows, ("residual", "pre-activation")).caption
    assert f"{explode} explode; pre-activation" in caption


def test_two_ratios_count_what_is_hidden_and_mark_zeros(rows):
    figure, deep = pictures.two_ratios(rows, 32), pictures.two_ratios(rows, 64)
    unseen = [setting for setting, _, _ in hidden(rows, 32) if setting[0] != "pre-activation"]
    assert f"In {len(unseen)} of them" in figure.caption
    marks = [[text.get_text() for text in drawn.axes[0].texts] for drawn in (figure, deep)]
    assert marks[0] == [] and set(marks[1]) == {"exactly 0"}
    with pytest.raises(ValueError, match="nothing was measured"):
        pictures.two_ratios(rows, 7)
