"""Figures of notebook 06 draw what a network consists of, whoever wrote it."""

import pytest
from matplotlib.lines import Line2D
from torch import nn

from resnet_lesson.exercises import resnet18 as exercises
from resnet_lesson.figures import resnet18
from resnet_lesson.networks import parity, resnet


@pytest.mark.parametrize("network", [exercises.ResNet18(), exercises.library(),
                                     resnet.resnet18(1000, 3)])
def test_every_convolution_is_drawn_and_every_shortcut_solid_or_dashed(network):
    figure = resnet18.drawn(network)
    texts = [text.get_text() for text in figure.axes[0].texts]
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    drawn = [text for text in texts if text.split(",")[0] in ("7×7", "3×3", "1×1")]
    assert sorted(drawn) == sorted(
        f"{conv.kernel_size[0]}×{conv.kernel_size[0]}, {conv.out_channels}"
        + ", /2" * (conv.stride[0] == 2) for conv in convolutions)
    colors = [line.get_color() for line in figure.axes[0].findobj(Line2D)]
    assert colors.count(resnet18.IDENTITY["color"]) == 5
    assert colors.count(resnet18.PROJECTION["color"]) == 3
    assert texts.count("+") == 8 and "linear, 1,000" in texts


def test_what_was_bought_is_drawn_by_kind_and_recipe():
    rows = [parity.published(depth) for depth in (34, 50)]
    for ax, key, unit in zip(resnet18.bought(rows).axes, ("parameters", "multiply_adds"),
                             (1e6, 1e9), strict=True):
        points = [(line.get_marker(), *line.get_xydata()[0]) for line in ax.lines[1:]]
        assert points == [("o", rows[0][key] / unit, rows[0]["top1"]),
                          ("s", rows[1][key] / unit, rows[1]["top1"]),
                          ("s", rows[1][key] / unit, rows[1]["again"])]
