"""Figures of notebook 05: what they draw is what the blocks do."""

import pytest
import torch

from resnet_lesson.figures import residual_block as pictures
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck

CONV = "conv 3×3, 4 → 4"
POST = [CONV, "norm", "ReLU", CONV, "norm"]


@pytest.mark.parametrize(("block", "order"), [
    (BasicBlock(4, 4), (POST, [], ["ReLU"])),
    (BasicBlock(4, 4, preactivation=True), (["norm", "ReLU", CONV] * 2, [], [])),
    (Bottleneck(8, 16, 2), (["conv 1×1, 8 → 4", "norm", "ReLU", "conv 3×3, 4 → 4, stride 2",
                             "norm", "ReLU", "conv 1×1, 4 → 16", "norm"],
                            ["conv 1×1, 8 → 16, stride 2", "norm"], ["ReLU"])),
    (BasicBlock(4, 4, shortcut="C", norm=False), ([CONV, "ReLU", CONV], ["conv 1×1, 4 → 4"],
                                                  ["ReLU"]))])
def test_layer_order_is_the_order_in_which_layers_run(block, order):
    before = {name: value.clone() for name, value in block.state_dict().items()}
    assert pictures.layer_order(block) == order
    assert block.training and not block.conv1._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_a_moved_relu_would_be_seen():
    class Moved(BasicBlock):
        def branch(self, x):
            return self.relu(super().branch(x))

    assert pictures.layer_order(Moved(4, 4)) == ([*POST, "ReLU"], [], ["ReLU"])


def test_every_layer_is_drawn_as_a_box_and_a_projection_dashed():
    blocks = {"identity": BasicBlock(4, 4), "projection": BasicBlock(4, 8, 2)}
    figure = pictures.drawn(blocks)
    for ax, block in zip(figure.axes, blocks.values(), strict=True):
        boxes = [patch for patch in ax.patches if type(patch).__name__ == "FancyBboxPatch"]
        assert len(boxes) == sum(map(len, pictures.layer_order(block)))
        (path,) = ax.lines
        assert (path.get_linestyle() != "-") == (block.downsample is not None)


def test_costs_are_multiples_of_the_first():
    rows = {"one": {"parameters": 2, "time": 4}, "other": {"parameters": 3, "time": 1}}
    figure = pictures.costs(rows)
    assert figure.caption == "Beside one: other 1.5 times the parameters, 0.25 times the time."
    assert [bar.get_width() for bar in figure.axes[1].patches] == [1, 0.25]
