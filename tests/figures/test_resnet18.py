"""Figures of notebook 06 draw what a network consists of, whoever wrote it."""

import itertools
import math

import pytest
import torch
from matplotlib.lines import Line2D
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

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


def test_a_later_recipe_gave_more_than_a_hundred_layers_and_each_step_of_depth_gives_less():
    rows = {depth: resnet18.published(depth) for depth in resnet.FAMILY}
    gains = [rows[b]["top1"] - rows[a]["top1"] for a, b in itertools.pairwise(rows)]
    assert gains == sorted(gains, reverse=True)
    assert rows[50]["again"] - rows[50]["top1"] > rows[152]["top1"] - rows[50]["top1"]
    markers = [line.get_marker() for line in resnet18.bought(list(rows.values())).axes[1].lines[1:]]
    assert markers == ["o"] * 2 + ["s"] * 6   # a filled and a hollow one


def test_counted_as_in_the_paper_its_table_1_comes_out_and_not_without():
    def billions(network):
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
        return counter.get_total_flops() / 2e9

    for depth, printed in {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}.items():
        with torch.device("meta"):
            papers, usual = (billions(make(depth)) for make in (resnet18.as_in_the_paper,
                                                                parity.ours))
        rounded = math.floor(10 * papers) / 10 if depth == 50 else round(papers, 1)
        assert rounded == printed   # the one of depth 50 was cut off
        assert depth == 18 or round(usual, 1) != printed


def test_weights_that_are_not_here_are_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert resnet18.trained() is None
    assert capsys.readouterr().out.startswith("Not here: the trained weights resnet18-")
