"""The exercises of notebook 06: a stage, its parameters, and a check that can fail."""

import random

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved
from resnet_lesson.networks import mutants
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import difference, mismatches, randomise
from resnet_lesson.networks.resnet import ResNet


def make_stage(in_channels, out_channels, blocks, stride):
    """Return one stage: a sequence of basic blocks, of which only the first may change shapes."""
    layers = [BasicBlock(in_channels, out_channels, stride)]
    for _ in range(blocks - 1):
        layers.append(BasicBlock(out_channels, out_channels))
    return nn.Sequential(*layers)


def _judge_stage(answer):
    for seed in range(6):
        rng = random.Random(seed)
        inside, out = rng.sample([4, 6, 8, 10], 2)
        blocks, stride = rng.randint(2, 5), rng.choice([1, 2])
        call = f"make_stage({inside}, {out}, {blocks}, {stride})"
        stage = answer(inside, out, blocks, stride)
        if unsolved(stage):
            return NOT_SOLVED
        if isinstance(stage, list | tuple):
            return (f"{call} is a {type(stage).__name__}; torch registers what is inside only if "
                    "it is a module. nn.Sequential(*blocks) unpacks the list.")
        if not isinstance(stage, nn.Module):
            return f"{call} is {type(stage).__name__}; expected an nn.Sequential of blocks."
        complaint = _compare_stage(call, stage, make_stage(inside, out, blocks, stride), seed)
        if complaint:
            return complaint
    return None


def _compare_stage(call, stage, expected, seed):
    children, blocks = list(stage.children()), len(expected)
    if len(set(map(id, children))) < blocks <= len(list(stage)):
        return (f"{call} holds the same block object more than once, so its weights are shared. "
                "[block] * n repeats one object; build a new block each time round the loop.")
    if len(children) != blocks:
        return f"{call} holds {len(children)} blocks; expected {blocks}. Count the first one too."
    strides = [getattr(block, "stride", None) for block in children]
    if strides != [block.stride for block in expected]:
        return (f"{call} has blocks of stride {strides}; expected "
                f"{[block.stride for block in expected]}. A stage shrinks its maps once, in its "
                "first block.")
    inputs = [getattr(block, "in_channels", None) for block in children]
    if inputs != [block.in_channels for block in expected]:
        return (f"{call} has blocks that take {inputs} channels; expected "
                f"{[block.in_channels for block in expected]}. After the first block the maps "
                "have out_channels channels.")
    found = mismatches(expected, stage)
    if found:
        return f"{call}: {found[0]} in its state_dict. Use BasicBlock in nn.Sequential."
    randomise(expected, seed).eval()
    stage.load_state_dict(expected.state_dict())
    x = torch.randn(2, expected[0].in_channels, 9, 9, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        gap = difference(stage.eval()(x), expected(x))
    return None if gap < 1e-4 else (f"{call} has the right weights but other outputs (relative "
                                    f"difference {gap:.0e}). Are the blocks in order?")


def stage_parameters(in_channels, out_channels, blocks):
    """Return the number of parameters of a stage whose first block projects."""
    first = 9 * in_channels * out_channels + 9 * out_channels**2 + 4 * out_channels
    projection = in_channels * out_channels + 2 * out_channels
    other = 18 * out_channels**2 + 4 * out_channels
    return first + projection + (blocks - 1) * other


def _judge_parameters(answer):
    for seed in range(6):
        rng = random.Random(seed)
        inside, blocks = rng.choice([3, 4, 5, 8]), rng.randint(2, 6)
        out = rng.choice([width for width in (3, 4, 6, 7, 10) if width != inside])
        stage = make_stage(inside, out, blocks, 2)
        expected = sum(weight.numel() for weight in stage.parameters())
        found = answer(inside, out, blocks)
        if unsolved(found):
            return NOT_SOLVED
        if found == expected:
            continue
        shortcut = list(stage[0].downsample.parameters())
        norms = [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d)]
        scales = sum(2 * norm.num_features for norm in norms)
        convs = [module for module in stage.modules() if isinstance(module, nn.Conv2d)]
        slips = {
            sum(weight.numel() for weight in shortcut): "the projection on the first shortcut, a "
            "1×1 convolution and its norm, is missing",
            scales: "the batch norms are missing: each has a scale and a shift per channel",
            2 * out: "the norm behind the projection is missing",
            scales + sum(weight.numel() for weight in shortcut) - 2 * out:
            "batch norms and projection are missing",
            -scales: "running means and variances are counted, but those are buffers: no "
            "gradient changes them",
            -sum(conv.out_channels for conv in convs): "the convolutions are counted with a bias, "
            "but before a batch norm they have none",
            9 * (inside * out - out**2): "the first convolution takes in_channels, not "
            "out_channels",
        }
        call = f"stage_parameters({inside}, {out}, {blocks})"
        gap = expected - found
        why = slips.get(gap, "count 3·3·in·out for a convolution, 2 per channel for a norm")
        return f"{call} gave {found:,}; torch counts {expected:,} in that stage. Perhaps {why}."
    return None


def same_network(ours, theirs):
    """Return whether two networks compute the same, as far as one random experiment can tell."""
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        return torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


_TRAPS = (
    (mutants.forget_last_relu, "the ReLU after each addition is missing. Compare the logits of "
     "`ours` with those of `theirs`, not shapes, and not one network with itself."),
    (mutants.swap_blocks, "two blocks run in the wrong order. Names and counts cannot tell; "
     "compare the numbers that come out."),
    (mutants.always_batch_statistics, "it normalises by the batch even in evaluation mode. In "
     "training mode both do that; call eval() on both networks first."),
    (mutants.ignore_running_mean, "it never subtracts the running mean. A fresh running mean is "
     "zero, which hides that; call randomise(theirs) before you copy the weights."),
)


def _judge_same(answer):
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    try:
        verdict = answer(_small(), _small())
        if unsolved(verdict):
            return NOT_SOLVED
        if not verdict:
            return ("Your check says that two equal networks differ. Copy the weights first, and "
                    "compare with a tolerance: torch.allclose.")
        for mistake, why in _TRAPS:
            wrong = _small()
            mistake(wrong)
            if answer(wrong, _small()):
                return f"Your check passes a wrong network: {why}"
    finally:
        torch.random.set_rng_state(state)
    return None


def _small():
    """Return a narrow ResNet for colour pictures: the same parts, computed in a moment."""
    return ResNet(BasicBlock, [2, 1, 1, 1], 10, 3, widths=(8, 8, 16, 16))


stage = Exercise(
    _judge_stage, make_stage,
    hints=("The first block goes from in_channels to out_channels with the given stride.",
           "Every other block goes from out_channels to out_channels with stride 1.",
           "Collect the blocks in a list and return nn.Sequential(*blocks)."),
    remark="Four calls of this function are the trunk of ResNet-18 and of ResNet-34; only the "
           "numbers of blocks differ.")

parameters = Exercise(
    _judge_parameters, stage_parameters,
    hints=("A 3×3 convolution without bias has 9 · in · out weights; a batch norm has 2 per "
           "channel.",
           "The first block: two convolutions, two norms, and a 1×1 projection with its norm.",
           "Each other block: two convolutions from out to out, and two norms."),
    remark="Doubling the channels makes a stage about four times as large, while halving the maps "
           "makes each weight work a quarter as often: so stages cost about the same.")

check = Exercise(
    _judge_same, same_network,
    hints=("Give theirs random statistics: randomise(theirs). Then copy its whole state_dict.",
           "Put both networks into evaluation mode before you feed them.",
           "Feed both the same random pictures of shape (2, 3, 64, 64) and return "
           "torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)."),
    remark="It has now failed where it should. Gradients and the momentum of batch norm remain "
           "unseen by it: those need a training step.")
