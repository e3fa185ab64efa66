"""Figures of notebook 05: what they draw is what the blocks do."""

import pytest
import torch

from resnet_lesson.figures import residual_block as pictures
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck

POST = ["conv", "norm", "ReLU", "conv", "norm"]


@pytest.mark.parametrize(("block", "order"), [
    (BasicBlock(4, 4), (POST, ["ReLU"])),
    (BasicBlock(4, 4, preactivation=True), (["norm", "ReLU", "conv"] * 2, [])),
    (Bottleneck(8, 8), (["conv", "norm", "ReLU", *POST], ["ReLU"])),
    (BasicBlock(4, 4, norm=False), (["conv", "ReLU", "conv"], ["ReLU"]))])
def test_layer_order_is_the_order_in_which_layers_run(block, order):
    before = {name: value.clone() for name, value in block.state_dict().items()}
    assert pictures.layer_order(block) == order
    assert block.training and not block.conv1._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_a_moved_relu_would_be_seen():
    class Moved(BasicBlock):
        def branch(self, x):
            return self.relu(super().branch(x))

    assert pictures.layer_order(Moved(4, 4)) == ([*POST, "ReLU"], ["ReLU"])


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
