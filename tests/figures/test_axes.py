"""What figures and panels share on their axes."""

import math

import pytest

from resnet_lesson import figures
from resnet_lesson.figures import axes
from resnet_lesson.findings.intervals import Interval


@pytest.mark.parametrize("zero", [True, False])
def test_a_log_axis_can_be_set_again(zero):
    _, ax = figures.new_figure()
    for low, high in ((-40, 10), (-2, 3)):
        place = axes.log_axis(ax, low, high, zero)
        assert len(ax.patches) == zero
        assert (ax.get_ylim()[0] < place < 10.0 ** low) == zero
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert (labels[0] == "0") == zero and "1" in labels and len(labels) <= 8


def test_above_moves_zeros_alone():
    assert axes.above([0, 1e-300, 2], 1e-9).tolist() == [1e-9, 1e-300, 2]


def test_bounds_hold_all_values_and_ignore_zeros():
    assert axes.bounds([0, 3e-7, 20, math.inf]) == (-7, 3)
    assert axes.bounds([1]) == (-3, 3)


@pytest.mark.parametrize("upright", [True, False])
def test_bars_go_from_end_to_end_and_dots_stand_in_the_middle(upright):
    _, ax = figures.new_figure()
    axes.dots_and_bars(ax, [7], [Interval(1, 3, 4, 10)], color="black", upright=upright)
    along = slice(None, None, 1 if upright else -1)
    assert ax.collections[0].get_segments()[0][:, along].tolist() == [[7, 1], [7, 4]]
    assert ax.lines[0].get_xydata()[0, along].tolist() == [7, 3]


def test_a_band_reaches_from_low_to_high_around_its_line():
    _, ax = figures.new_figure()
    axes.band(ax, [1, 2], [0, 1], [2, 3], [4, 6], color="black", label="one")
    limits = ax.collections[0].get_datalim(ax.transData)
    assert (limits.ymin, limits.ymax) == (0, 6)
    assert ax.lines[0].get_ydata().tolist() == [2, 3] and ax.lines[0].get_label() == "one"
