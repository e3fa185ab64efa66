"""Figures of notebook 02 count what was recorded, and draw zeros."""

import pytest

from resnet_lesson.experiments import gradients as experiment
from resnet_lesson.figures import gradient_sum as pictures
from resnet_lesson.findings.gradient_flow import summarise, verdict


@pytest.fixture(scope="module")
def rows():
    return experiment.load()


def test_flow_draws_zeros_in_a_strip_and_counts_them(rows):
    figure = pictures.flow(rows)
    assert "In 8 networks it is exactly 0 (grey strip)" in figure.caption
    first = figure.axes[0]
    lowest = min(line.get_ydata().min() for line in first.lines if len(line.get_ydata()))
    assert first.get_ylim()[0] < lowest < 1e-30
    assert first.get_yticklabels()[0].get_text() == "0"
    without = pictures.flow([row for row in rows if row.depth < 64])
    assert "grey strip" not in without.caption and "At 32 blocks" in without.caption


def test_flow_counts_what_the_table_says(rows):
    explode = sum(verdict(found.median) == "explodes" for key, found in summarise(rows).items()
                  if key[0] == "residual" and key[3] == 64)
    caption = pictures.flow(rows, ("residual", "pre-activation")).caption
    assert f"{explode} explode; pre-activation" in caption


def test_all_fields_of_flow_have_one_scale(rows):
    figure = pictures.flow(rows)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert "a factor of up to 4.64 at 4 and 1.08 at 64 blocks" in figure.caption


def test_path_lengths_counts_the_paths_and_weighs_them():
    figure = pictures.path_lengths({"a": [0, 0, 1.0]}, {"a": [0.5, 0.5, 0]})
    bars = [patch.get_height() for patch in figure.axes[0].patches]
    assert bars == [0.25, 0.5, 0.25, 0, 0, 1]
    assert "a: 2.0 measured, 0.5 expected. By their number alone it is 1." in figure.caption
