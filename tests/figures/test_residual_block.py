"""Figures of notebook 05: what they draw is what the blocks do."""

import re

import pytest
import torch

from resnet_lesson import figures
from resnet_lesson.figures import residual_block as pictures
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck

POST = ["conv", "norm", "ReLU", "conv", "norm"]


def test_layer_order_is_the_order_in_which_layers_run():
    assert pictures.layer_order(BasicBlock(4, 4)) == (POST, ["ReLU"])
    assert pictures.layer_order(BasicBlock(4, 4, preactivation=True)) == (
        ["norm", "ReLU", "conv"] * 2, [])
    assert pictures.layer_order(Bottleneck(8, 8)) == (
        ["conv", "norm", "ReLU", "conv", "norm", "ReLU", "conv", "norm"], ["ReLU"])
    assert pictures.layer_order(BasicBlock(4, 4, norm=False)) == (["conv", "ReLU", "conv"],
                                                                  ["ReLU"])


def test_layer_order_leaves_the_block_as_it_was():
    block = BasicBlock(4, 4)
    before = {name: value.clone() for name, value in block.state_dict().items()}
    pictures.layer_order(block)
    assert block.training and not block.conv1._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())
    with pytest.raises(ValueError, match="projects"):
        pictures.layer_order(BasicBlock(4, 8))


def test_a_moved_relu_would_be_seen():
    class Moved(BasicBlock):
        def branch(self, x):
            return self.relu(super().branch(x))

    assert pictures.layer_order(Moved(4, 4)) != pictures.layer_order(BasicBlock(4, 4))


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_orders_draws_every_layer_and_says_what_lies_on_the_path():
    figure = pictures.orders({"post": BasicBlock(4, 4),
                              "pre": BasicBlock(4, 4, preactivation=True)})
    assert texts(figure).count("conv") == 4 and texts(figure).count("+") == 2
    assert "on the path of x lies ReLU. Pre:" in figure.caption
    assert figure.caption.endswith("on the path of x lies nothing.")
    check_text(figure)


def test_shortcuts_are_dashed_where_torchs_state_dict_has_a_projection():
    networks = {"eighteen": resnet.small_resnet(20, widths=(4, 8, 12)),
                "bottlenecks": resnet.ResNet(Bottleneck, [2, 1], widths=(4, 8))}
    figure = pictures.shortcuts(networks)
    for ax, (name, network) in zip(figure.axes, networks.items(), strict=True):
        arrows = [patch for patch in ax.patches if type(patch).__name__ == "FancyArrowPatch"]
        drawn = [arrow.get_linestyle() != "-" for arrow in arrows]
        keys = network.state_dict()
        assert drawn == [any(key.startswith(f"{place}.downsample") for key in keys)
                         for place, _ in network.blocks()]
        assert f"{name}: {drawn.count(False)} solid, {drawn.count(True)} dashed" in figure.caption
    check_text(figure)
    with pytest.raises(ValueError, match="plain has blocks without shortcuts"):
        pictures.shortcuts({"plain": resnet.small_resnet(8, residual=False)})


def test_costs_names_the_ratios_of_its_data():
    rows = [{"name": "a", "parameters": 3000, "multiply_adds": 8_000_000},
            {"name": "b", "parameters": 1500, "multiply_adds": 2_000_000},
            {"name": "c", "parameters": 1000, "multiply_adds": 1_000_000}]
    figure = pictures.costs(rows)
    assert re.findall(r"[\d.]+(?= times)", figure.caption) == ["2.0", "4.0", "3.0", "8.0"]
    assert {"3,000", "8.0", "1.0"} <= set(texts(figure))
    check_text(figure)
    with pytest.raises(ValueError, match="at least two"):
        pictures.costs(rows[:1])


def check_text(figure):
    assert figures.png(figure).startswith(b"\x89PNG")
    assert all(text.get_fontsize() >= 12 for ax in figure.axes for text in ax.texts)
