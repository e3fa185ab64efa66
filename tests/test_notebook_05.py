"""What notebook 05 takes along, and the settings in which it turns."""

import pytest
import torch
from torch import nn

from resnet_lesson.exercises import residual_block as exercises
from resnet_lesson.figures import residual_block as pictures
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck


def bends(function, shape=(2, 8, 9, 9)):
    """Return how far a function is from one that a convolution could compute: affine in x."""
    a, b, zero = torch.randn(shape), torch.randn(shape), torch.zeros(shape)
    with torch.no_grad():
        return (function(a + b) - function(a) - function(b) + function(zero)).abs().max().item()


def test_a_shortcut_past_one_convolution_is_a_convolution_and_past_two_with_a_relu_is_none():
    torch.manual_seed(0)
    first, second = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
    norm = nn.BatchNorm2d(8).eval()
    for branch in (first, lambda x: norm(first(x)), lambda x: second(first(x))):
        assert bends(lambda x, branch=branch: branch(x) + x) < 1e-5
    assert bends(lambda x: second(first(x).relu()) + x) > 0.1


@pytest.mark.parametrize("training", [True, False])
def test_a_silent_block_is_the_identity_with_equal_shapes_for_what_is_not_negative(training):
    torch.manual_seed(0)
    x = torch.randn(4, 8, 6, 6)
    fresh, trained, wide = (exercises.BasicBlock(8, channels).train(training)
                            for channels in (8, 8, 16))
    nn.init.ones_(trained.bn2.bias)   # as a training leaves it: not 0
    for block in (fresh, trained, wide):
        nn.init.zeros_(block.bn2.weight)
    assert torch.equal(fresh(x.relu()), x.relu()) and not torch.equal(fresh(x), x)
    assert not torch.equal(trained(x.relu()), x.relu())
    assert torch.equal(wide(x), wide.downsample(x).relu())
    exercises.silence(trained)
    assert torch.equal(trained(x.relu()), x.relu())


def test_only_the_last_scale_and_shift_get_a_gradient_at_first_and_none_with_preactivation():
    x = torch.randn(4, 8, 6, 6).relu()
    for options, awake in (({}, ["bn2.weight", "bn2.bias"]), ({"preactivation": True}, [])):
        block = BasicBlock(8, 8, **options)
        nn.init.zeros_(block.bn2.weight)
        (block(x) - 1).square().mean().backward()
        found = [name for name, value in block.named_parameters() if value.grad.any()]
        assert found == awake


@pytest.mark.parametrize("size", [14, 56])
def test_what_a_bottleneck_writes_turns_with_the_width_that_it_is_compared_with(size):
    basic, wide = (pictures.written(BasicBlock(width, width), size) for width in (64, 256))
    bottleneck = pictures.written(Bottleneck(256, 256), size)
    assert bottleneck == 3 * basic == 0.75 * wide
    assert basic == size**2 * (64 + 64) and pictures.written(BasicBlock(4, 8), 5) == 25 * 24


def test_a_preactivated_stage_is_x_and_all_branches_until_a_block_projects():
    torch.manual_seed(0)
    x = torch.randn(4, 8, 6, 6)
    for out_channels, adds_up in ((8, True), (16, False)):
        block, after = (BasicBlock(width, out_channels, preactivation=True)
                        for width in (8, out_channels))
        h = block(x)
        total = nn.functional.pad(x, (0, 0, 0, 0, 0, out_channels - 8)) + block.branch(x)
        assert torch.allclose(after(h), total + after.branch(h), atol=1e-4) == adds_up
