"""Figures of notebook 03 draw their data; what they say is pinned for all figures together."""

import torch

from resnet_lesson.figures import convolution_sizes


def test_coverage_writes_each_number():
    maps = {"valid": torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])}
    figure = convolution_sizes.coverage_maps(maps, kernel_size=2)
    assert "".join(text.get_text() for text in figure.axes[0].texts) == "121242121"


def test_walks_draw_every_size():
    lines = {name: [("input", size), ("conv", size // 2)] for name, size in (("a", 96), ("b", 28))}
    figure = convolution_sizes.walks(lines)
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[96, 48], [28, 14]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["96", "48", "28", "14"]
