"""Figures of notebook 03 draw their data; what they say is pinned for all figures together."""

import torch

from resnet_lesson.figures import convolution_sizes


def test_coverage_writes_each_number():
    maps = {"valid": torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])}
    figure = convolution_sizes.coverage_maps(maps, kernel_size=2)
    assert "".join(text.get_text() for text in figure.axes[0].texts) == "121242121"


def test_a_window_shows_every_number_and_its_sum():
    figure = convolution_sizes.one_window([[1, 2], [3, 4]], [[1, 0], [-1, 2]])
    assert [text.get_text() for text in figure.axes[2].texts] == ["=", "1", "0", "−3", "8"]
    assert "1 + 0 + −3 + 8 = 6" in figure.caption


def test_a_field_is_as_large_as_what_is_not_zero():
    seen = torch.zeros(9, 9)
    seen[3:6, 2:7] = 1
    figure = convolution_sizes.receptive_fields({"x": seen})
    assert figure.axes[0].get_title() == "x: 3×5"
