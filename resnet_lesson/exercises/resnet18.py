"""The exercises of notebook 06: a stage, its parameters, and a check that can fail."""

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, seeded, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import mutants
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import randomise
from resnet_lesson.networks.resnet import ResNet

# ---------------------------------------------------------------- a stage


def make_stage(in_channels, out_channels, blocks, stride):
    """Return one stage: a sequence of basic blocks, of which only the first may change shapes."""
    layers = [BasicBlock(in_channels, out_channels, stride)]
    for _ in range(blocks - 1):
        layers.append(BasicBlock(out_channels, out_channels))
    return nn.Sequential(*layers)


def _stages(draw):
    for number in range(4):
        inside, out = draw.sample([4, 6, 8, 10], 2)
        # with two blocks alone neither their order nor a block used twice would be seen
        yield inside, out, draw.randint(2, 3) + number % 2 * 2, 1 + number % 2


def _built_stage(answer, case):
    """Return what a stage consists of, and what it makes of a batch with given weights."""
    stage = answer(*case)
    if unsolved(stage) or not isinstance(stage, nn.Module):
        return stage if unsolved(stage) else {"kind": type(stage).__name__}
    children = list(stage.children())
    slots = len(stage) if isinstance(stage, nn.Sequential | nn.ModuleList) else len(children)
    found = {"kind": "module", "blocks": slots, "own": len(set(map(id, children))),
             "strides": [getattr(block, "stride", None) for block in children],
             "inputs": [getattr(block, "in_channels", None) for block in children],
             "shapes": [tuple(tensor.shape) for tensor in stage.state_dict().values()]}
    model = make_stage(*case)
    if found["shapes"] == [tuple(tensor.shape) for tensor in model.state_dict().values()]:
        seeded(2)
        randomise(model, seed=0)
        with torch.no_grad():
            for own, tensor in zip(stage.state_dict().values(), model.state_dict().values(),
                                   strict=True):
                own.copy_(tensor)   # by place, so that names are free
            found["output"] = stage.eval()(torch.randn(2, case[0], 9, 9))
    return found


def _what_was_built(case, expected, given):
    call = f"make_stage{case}"
    if given["kind"] != "module":
        return f"{call} is a {given['kind']}; expected an nn.Sequential of blocks."
    if given["own"] < given["blocks"]:
        return f"{call} holds the same block object more than once, so its weights are shared."
    for what, words in (("blocks", "holds {} blocks; expected {}."),
                        ("strides", "has blocks of stride {}; expected {}."),
                        ("inputs", "has blocks that take {} channels; expected {}.")):
        if given[what] != expected[what]:
            return f"{call} {words.format(given[what], expected[what])}"
    if given["shapes"] != expected["shapes"]:
        return f"{call} holds tensors of other shapes than a stage of BasicBlocks."
    return f"{call} has the right weights but other outputs."


class _Backwards(nn.Sequential):
    def forward(self, x):
        first, *others = self
        x = first(x)
        for block in reversed(others):
            x = block(x)
        return x


STAGE = Exercise(
    solve=make_stage, cases=_stages, run=_built_stage, where=_what_was_built, part="make_stage",
    idea=lambda case, expected, given: (
        "Use BasicBlock in nn.Sequential." if given.get("shapes") != expected["shapes"]
        else "Are the blocks in order?"),
    mistakes=(
        Mistake(slip(make_stage, ("nn.Sequential(*layers)", "layers")),
                "Torch registers what is inside only if it is a module. nn.Sequential(*blocks) "
                "unpacks the list."),
        Mistake(slip(make_stage, ("range(blocks - 1)", "range(1)"),
                     ("*layers", "layers[0], *layers[1:] * (blocks - 1)")),
                "[block] * n repeats one object; build a new block each time round the loop."),
        Mistake(slip(make_stage, ("blocks - 1", "blocks")),
                "Count the first one too."),
        Mistake(slip(make_stage, ("out_channels))", "out_channels, stride))")),
                "A stage shrinks its maps once, in its first block."),
        Mistake(lambda i, o, blocks, stride: nn.Sequential(
            *(BasicBlock(i, o, 1) for _ in range(blocks - 1)), BasicBlock(o, o, stride)),
                "A stage shrinks its maps once, in its first block."),
        Mistake(slip(make_stage, ("BasicBlock(out_channels,", "BasicBlock(in_channels,")),
                "After the first block the maps have out_channels channels."),
        Mistake(lambda i, o, blocks, stride: _Backwards(*make_stage(i, o, blocks, stride)),
                "Are the blocks in order?"),
    ),
    hints=("The first block goes from in_channels to out_channels with the given stride.",
           "Every other block goes from out_channels to out_channels with stride 1.",
           "Collect the blocks in a list and return nn.Sequential(*blocks)."),
    remark="Four calls of this function are the trunk of ResNet-18 and of ResNet-34; only the "
           "numbers of blocks differ.", minutes=6, difficulty=2)

# ---------------------------------------------------------------- its parameters


def stage_parameters(in_channels, out_channels, blocks):
    """Return the number of parameters of a stage whose first block projects."""
    first = 9 * in_channels * out_channels + 9 * out_channels**2 + 4 * out_channels
    projection = in_channels * out_channels + 2 * out_channels
    other = 18 * out_channels**2 + 4 * out_channels
    return first + projection + (blocks - 1) * other


def counted(in_channels, out_channels, blocks):
    """Return the same, counted by torch."""
    stage = make_stage(in_channels, out_channels, blocks, 2)
    return sum(weight.numel() for weight in stage.parameters())


def _widths(draw):
    for _ in range(6):
        inside = draw.choice([3, 4, 5, 8])
        out = draw.choice([width for width in (3, 4, 6, 7, 10) if width != inside])
        yield inside, out, draw.randint(2, 6)


def _less(missing):
    """Return a wrong answer: the right count without some, given (in, out, blocks)."""
    return lambda i, o, blocks: stage_parameters(i, o, blocks) - missing(i, o, blocks)


PARAMETERS = Exercise(
    solve=stage_parameters, cases=_widths, oracle=counted,
    form=lambda given, case: None if is_number(given) else (
        f"Expected a number of parameters, got {type(given).__name__}."),
    where=lambda case, expected, given: (
        f"stage_parameters{case} gave {float(given):,.0f}; torch counts {expected:,} in that "
        "stage."),
    idea="Count 3·3·in·out for a convolution, 2 per channel for a norm.",
    mistakes=(
        Mistake(_less(lambda i, o, blocks: i * o + 2 * o),
                "Perhaps the projection on the first shortcut, a 1×1 convolution and its norm, is "
                "missing."),
        Mistake(_less(lambda i, o, blocks: 2 * o * (2 * blocks + 1)),
                "Perhaps the batch norms are missing: each has a scale and a shift per channel."),
        Mistake(_less(lambda i, o, blocks: 2 * o),
                "Perhaps the norm behind the projection is missing."),
        Mistake(_less(lambda i, o, blocks: 4 * o * blocks + i * o + 2 * o),
                "Perhaps batch norms and projection are missing."),
        Mistake(_less(lambda i, o, blocks: -2 * o * (2 * blocks + 1)),
                "Perhaps running means and variances are counted, but those are buffers: no "
                "gradient changes them."),
        Mistake(_less(lambda i, o, blocks: -o * (2 * blocks + 1)),
                "Perhaps the convolutions are counted with a bias, but before a batch norm they "
                "have none."),
        Mistake(_less(lambda i, o, blocks: 9 * (i * o - o**2)),
                "Perhaps it was forgotten that the first convolution takes in_channels, not "
                "out_channels."),
    ),
    hints=("A 3×3 convolution without bias has 9 · in · out weights; a batch norm has 2 per "
           "channel.",
           "The first block: two convolutions, two norms, and a 1×1 projection with its norm.",
           "Each other block: two convolutions from out to out, and two norms."),
    remark="Doubling the channels makes a stage about four times as large, while halving the maps "
           "makes each weight work a quarter as often: so stages cost about the same.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- a check that can fail


def same_network(ours, theirs):
    """Return whether two networks compute the same, as far as one random experiment can tell."""
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        return torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


TRAPS = (None, mutants.forget_last_relu, mutants.swap_blocks, mutants.always_batch_statistics,
         mutants.ignore_running_mean)


def small():
    """Return a narrow ResNet for colour pictures: the same parts, computed in a moment."""
    return ResNet(BasicBlock, [2, 1, 1, 1], 10, 3, widths=(8, 8, 16, 16))


def _tried(answer, case):
    """Return what a check says of a network: ``True`` for "the same"."""
    ours, theirs = small(), small()
    trap, = case
    if trap is not None:
        trap(ours)
    said = answer(ours, theirs)
    return said if unsolved(said) else bool(said)


_WORDS = {
    None: "Your check says that two equal networks differ.",
    mutants.forget_last_relu: "Your check passes a wrong network: the ReLU after each addition is "
                              "missing.",
    mutants.swap_blocks: "Your check passes a wrong network: two blocks run in the wrong order.",
    mutants.always_batch_statistics: "Your check passes a wrong network: it normalises by the "
                                     "batch even in evaluation mode.",
    mutants.ignore_running_mean: "Your check passes a wrong network: it never subtracts the "
                                 "running mean."}
_LOGITS = ("Names and counts cannot tell; compare the logits of `ours` with those of `theirs`, and "
           "not one network with itself.")

SAME_NETWORK = Exercise(
    solve=same_network, cases=lambda draw: [(trap,) for trap in TRAPS], run=_tried,
    oracle=lambda trap: trap is None, where=lambda case, expected, given: _WORDS[case[0]],
    idea="Compare the logits of both networks on the same random pictures.",
    mistakes=(
        Mistake(slip(same_network, ("ours.load_state_dict(theirs.state_dict())", "pass")),
                "Copy the weights first, and compare with a tolerance: torch.allclose."),
        Mistake(slip(same_network, (".eval()", ".train()")),
                "In training mode both do that; call eval() on both networks first."),
        Mistake(slip(same_network, ("randomise(theirs)", "pass")),
                "A fresh running mean is zero, which hides that; call randomise(theirs) before you "
                "copy the weights."),
        Mistake(slip(same_network, ("ours(x), theirs(x)", "ours.fc.weight, theirs.fc.weight")),
                _LOGITS),
        Mistake(slip(same_network, ("ours(x)", "theirs(x)")), _LOGITS),
    ),
    hints=("Give theirs random statistics: randomise(theirs). Then copy its whole state_dict.",
           "Put both networks into evaluation mode before you feed them.",
           "Feed both the same random pictures of shape (2, 3, 64, 64) and return "
           "torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)."),
    remark="It has now failed where it should. Gradients and the momentum of batch norm remain "
           "unseen by it: those need a training step.", minutes=6, difficulty=3)
