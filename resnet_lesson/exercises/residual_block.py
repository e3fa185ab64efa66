"""Exercises of notebook 05: write the block, say when to project, count a bottleneck."""

import inspect
import random

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved
from resnet_lesson.networks import blocks

NO_LAYERS = "Not solved yet: the block holds no layers. Replace the ... in both of its methods."
# (input_channels, num_channels, use_1x1conv, strides), and the shape of a batch for each.
SETTINGS = (((3, 3, False, 1), (4, 3, 6, 6)), ((5, 5, True, 1), (2, 5, 4, 7)),
            ((3, 6, True, 2), (4, 3, 6, 6)))


class Residual(nn.Module):
    """The book's block, as in ``networks.blocks``, without its words for wrong input."""

    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, padding=1,
                               stride=strides)
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(num_channels)
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1, stride=strides)

    def forward(self, X):
        """Return relu(g(X) + shortcut(X))."""
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.relu(Y + X)


def _judge_residual(answer):
    """Compare a class with the package's, with the same weights in both."""
    if not (inspect.isclass(answer) and issubclass(answer, nn.Module)):
        return ("Give the class itself, check(MyResidual), and derive it from nn.Module; "
                f"this is {answer!r}.")
    for (input_channels, num_channels, use_1x1conv, strides), shape in SETTINGS:
        options = {"use_1x1conv": use_1x1conv, "strides": strides}
        mine = answer(input_channels, num_channels, **options)
        if not list(mine.children()):
            return NO_LAYERS
        right = blocks.Residual(input_channels, num_channels, **options)
        call = f"{answer.__name__}({input_channels}, {num_channels}"
        call += "".join(f", {name}={value}" for name, value in options.items() if value > 1
                        or value is True) + ")"
        complaint = (_parts(mine, right, call) or _layers(mine, right, call)
                     or _values(mine, right, torch.randn(shape), call))
        if complaint:
            return complaint
    return None


def _parts(mine, right, call):
    """Compare names and shapes of all weights."""
    wanted = {name: value.shape for name, value in right.state_dict().items()}
    found = {name: value.shape for name, value in mine.state_dict().items()}
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing == ["conv3.bias", "conv3.weight"] and not extra:
        return (f"{call} has no conv3. With use_1x1conv=True the shortcut is projected by a 1×1 "
                "convolution: the branch changes the shape, so x must change with it.")
    if extra == ["conv3.bias", "conv3.weight"] and not missing:
        return (f"{call} has a conv3 though use_1x1conv is False. There the shortcut is x "
                "itself; set self.conv3 = None.")
    if missing and all(name.endswith("bias") for name in missing) and not extra:
        return (f"{call} has no {', '.join(missing)}. The book's convolutions keep PyTorch's "
                "default, bias=True; dropping it is a good idea that comes later in this notebook.")
    if missing and all(name.startswith("bn") for name in missing) and not extra:
        return (f"{call} has no {missing[0].split('.')[0]}. Each of the two 3×3 convolutions is "
                "followed by a batch norm of its own, with its own scale and shift.")
    if missing or extra:
        return (f"{call} should hold layers named conv1, conv2, bn1, bn2 and, with use_1x1conv, "
                "conv3, so that weights can be loaded by name; missing: "
                f"{', '.join(missing) or 'nothing'}; not expected: "
                f"{', '.join(extra) or 'nothing'}.")
    for name, shape in wanted.items():
        if found[name] != shape:
            return (f"{name} of {call} has the shape {tuple(found[name])}, expected "
                    f"{tuple(shape)}. Only the first convolution and the shortcut see "
                    "input_channels; everything after them sees num_channels. conv1 and conv2 "
                    "have 3×3 kernels, conv3 has 1×1.")
    return None


def _layers(mine, right, call):
    """Compare stride and padding of the convolutions."""
    for name, conv in right.named_children():
        if not isinstance(conv, nn.Conv2d):
            continue
        own = getattr(mine, name)
        if own.stride != conv.stride:
            why = {"conv1": "The first convolution takes the step that shrinks the map.",
                   "conv2": "Only one 3×3 convolution has the stride, or the map shrinks twice.",
                   "conv3": "The shortcut needs the branch's stride, or it stays too large."}
            return (f"{name} of {call} has stride {own.stride[0]}, expected {conv.stride[0]}. "
                    f"{why[name]}")
        if own.padding != conv.padding:
            return (f"{name} of {call} has padding {own.padding}, expected {conv.padding[0]}. A "
                    "3×3 kernel loses one pixel on each side, and padding 1 gives it back; "
                    "a 1×1 kernel loses none.")
    return None


def _values(mine, right, x, call):
    """Pour the same random weights into both and compare outputs, in both modes."""
    state = {name: torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value)
             for name, value in right.state_dict().items() if value.is_floating_point()}
    for training in (False, True):
        for module in (mine, right):
            module.load_state_dict(state, strict=False)
            module.train(training)
        kept = x.clone()
        try:
            out = mine(x)
        except RuntimeError as error:
            return (f"{call} raised in forward, on an input of shape {tuple(x.shape)}: {error}. "
                    "Compare the shapes of both paths just before the addition; if there is a "
                    "conv3, X goes through it.")
        if unsolved(out):
            return "Half solved: the layers are right, and forward still returns nothing."
        if not torch.equal(x, kept):
            return (f"{call} changes its input: += and inplace=True write into the caller's "
                    "tensor. Write Y + X, which makes a new one.")
        expected = right(x)
        if not isinstance(out, torch.Tensor) or out.shape != expected.shape:
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            return f"{call} gives {got}, expected a tensor of shape {tuple(expected.shape)}."
        if not torch.allclose(out, expected, rtol=1e-3, atol=1e-4):
            return _diagnose(mine, right, x, out, call, training)
    return None


def _mistakes(block, X):
    """Return (output, diagnosis) for each common mistake, computed with the right layers."""
    conv1, conv2, bn1, bn2 = block.conv1, block.conv2, block.bn1, block.bn2
    first = F.relu(bn1(conv1(X)))
    g = bn2(conv2(first))
    side = X if block.conv3 is None else block.conv3(X)
    yield F.relu(g), "There is no shortcut: the branch alone comes out. Add X before the last ReLU."
    yield g, ("That is the branch alone, with neither shortcut nor last ReLU. The block returns "
              "relu(g(X) + shortcut(X)).")
    yield g + side, "The last ReLU is missing: negative values come out. It follows the addition."
    yield F.relu(g) + side, ("The ReLU stands before the addition; it belongs after it. As it is, "
                             "a branch can only add to x, never take away.")
    yield F.relu(F.relu(g) + side), ("There is a ReLU before the addition as well as after it. "
                                     "bn2 is followed by the addition at once, so that the "
                                     "branch can also subtract.")
    linear = bn2(conv2(bn1(conv1(X))))
    yield F.relu(linear + side), ("The ReLU between the two convolutions is missing. Without it "
                                  "both together are one linear map.")
    yield F.relu(bn2(conv2(bn1(F.relu(conv1(X))))) + side), (
        "In the branch the ReLU stands before bn1; the book's order is convolution, norm, ReLU.")
    yield F.relu(bn2(conv2(F.relu(conv1(X)))) + side), "bn1 is never used in forward."
    yield F.relu(conv2(first) + side), "bn2 is never used in forward."
    yield F.relu(bn1(conv2(first)) + side), "bn1 is used twice; the second norm is bn2."
    yield F.relu(bn2(conv2(first) + side)), ("The addition stands before bn2; it belongs after "
                                             "it. The shortcut must not be normalised with the "
                                             "branch.")
    if block.conv3 is not None and X.shape == side.shape:
        yield F.relu(g + X), "conv3 is never used in forward: X itself is added, not conv3(X)."


def _diagnose(mine, right, x, out, call, training):
    mode = "training" if training else "evaluation"
    for wrong, diagnosis in _mistakes(right, x):
        if wrong.shape == out.shape and torch.allclose(out, wrong, rtol=1e-3, atol=1e-4):
            return f"{call}, with the same weights as ours: {diagnosis}"
    gap = (out - right(x)).abs().max().item()
    return (f"{call} gives other numbers than ours with the same weights in {mode} mode; the "
            f"largest difference is {gap:.2g}. Follow the drawing: conv1, bn1, ReLU, conv2, bn2, "
            "plus shortcut, ReLU.")


def needs_projection(in_channels, out_channels, stride):
    """Return whether the shortcut of a block must be projected for the addition to work."""
    return stride != 1 or in_channels != out_channels


def _judge_needs_projection(answer):
    draw = random.Random(0)
    for _ in range(60):
        stride, in_channels = draw.choice((1, 1, 2, 3)), draw.randint(2, 5)
        out_channels = draw.choice((in_channels, draw.randint(2, 5)))
        x = torch.zeros(1, in_channels, 9, 9)
        branch = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)(x)
        got = answer(in_channels, out_channels, stride)
        if unsolved(got):
            return NOT_SOLVED
        expected = branch.shape != x.shape
        if bool(got) == expected:
            continue
        where = f"in_channels={in_channels}, out_channels={out_channels}, stride={stride}"
        shapes = f"x is {tuple(x.shape)}, the branch makes {tuple(branch.shape)}"
        if not expected:
            return (f"For {where} you say it must be projected, but {shapes}: both can be added "
                    "as they are. Which of the three numbers can change a shape here?")
        if in_channels == out_channels:
            return (f"For {where} you say no projection is needed, but {shapes}. The channels "
                    "agree; look at height and width.")
        if stride == 1:
            return (f"For {where} you say no projection is needed, but {shapes}. The sizes agree; "
                    "look at the channels.")
        return f"For {where} you say no projection is needed, but {shapes}. Nothing agrees."
    return None


def bottleneck_weights(channels):
    """Count the convolution weights of a bottleneck from ``channels`` to ``channels``."""
    width = channels // 4
    return channels * width + 9 * width * width + width * channels


def _judge_bottleneck_weights(answer):
    for channels in random.Random(1).sample(range(8, 400, 4), 5):
        got = answer(channels)
        if unsolved(got):
            return NOT_SOLVED
        with torch.device("meta"):
            block = blocks.Bottleneck(channels, channels)
        counts = [part.weight.numel() for part in block.modules() if isinstance(part, nn.Conv2d)]
        expected, width = sum(counts), channels // 4
        if got == expected:
            continue
        diagnoses = {
            channels * width + 9 * width**2: "The last 1×1 convolution, back to all channels, is "
                                             "missing.",
            9 * width**2: "Either both 1×1 convolutions are missing, or the 3×3 kernel is counted "
                          "with one weight for each pair of channels instead of nine.",
            2 * channels * width + 3 * width**2: "A 3×3 kernel has 3 · 3 weights for each pair of "
                                                 "channels, not 3.",
            9 * (2 * channels * width + width**2): "The outer two convolutions are 1×1: one "
                                                   "weight for each pair of channels.",
            2 * channels * width + 9 * channels**2: "The 3×3 convolution works on channels // 4 "
                                                    "channels; that is the point of a bottleneck.",
            18 * channels**2: "That is a basic block: two 3×3 convolutions on all channels.",
            expected + 2 * width + channels: "No biases are asked for: batch norm follows each "
                                             "convolution, so they are left out.",
        }
        why = diagnoses.get(got, "Add up in · out · kernel area over the three convolutions.")
        return (f"For {channels} channels you count {got}, torch counts {expected:,} "
                f"({' + '.join(f'{count:,}' for count in counts)}). {why}")
    return None


residual = Exercise(
    judge=_judge_residual, solve=Residual,
    hints=(
        "Make five layers in __init__: conv1 and conv2 (3×3, padding 1), bn1 and bn2, and conv3 "
        "(1×1), which is None unless use_1x1conv is true. strides goes to conv1 and to conv3.",
        "forward has two paths. The branch: conv1, bn1, ReLU, conv2, bn2. The shortcut: X, or "
        "conv3(X).",
        "Add the two paths, then take the ReLU of the sum: F.relu(Y + X).",
    ),
    remark="Your block and the package's gave the same numbers for the same weights, in training "
           "and in evaluation mode.")

projection = Exercise(
    judge=_judge_needs_projection, solve=needs_projection,
    hints=(
        "The addition needs equal channels and equal sizes. Which argument decides about which?",
        "Two conditions, joined by “or”: one about the channels, one about the stride.",
    ),
    remark="This one line decides in torchvision which shortcuts are drawn dashed.")

bottleneck = Exercise(
    judge=_judge_bottleneck_weights, solve=bottleneck_weights,
    hints=(
        "A convolution has in_channels · out_channels · kernel height · kernel width weights.",
        "With width = channels // 4, the three go channels → width, width → width, "
        "width → channels, with kernels of 1×1, 3×3, 1×1.",
    ),
    remark="In multiples of the width w that is 4w² + 9w² + 4w² = 17w², where a basic block on "
           "the same channels has 2 · 9 · (4w)² = 288w².")
