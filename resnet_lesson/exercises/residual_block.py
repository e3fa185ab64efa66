"""Exercises of notebook 05: write the block, say when to project, count a bottleneck."""

import inspect

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, seeded, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import blocks

# ---------------------------------------------------------------- the block


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


# (input_channels, num_channels, use_1x1conv, strides), and the shape of a batch for each
SETTINGS = (((3, 3, False, 1), (4, 3, 6, 6)), ((5, 5, True, 1), (2, 5, 4, 7)),
            ((3, 6, True, 2), (4, 3, 6, 6)))


def _a_block_class(answer):
    if not (inspect.isclass(answer) and issubclass(answer, nn.Module)):
        return ("Give the class itself, check(MyResidual), and derive it from nn.Module; "
                f"this is {answer!r:.80}.")
    names = list(inspect.signature(answer).parameters)
    if names[:1] == ["num_channels"]:
        return ("Your class takes num_channels first, as in later editions of the book, whose lazy "
                "layers find the input channels by themselves. Here they are given: "
                "__init__(self, input_channels, num_channels, use_1x1conv=False, strides=1).")
    return None


def _blocks_to_build(draw):
    return [(*setting, torch.randn(shape)) for setting, shape in SETTINGS]


def _call_of(case):
    input_channels, num_channels, use_1x1conv, strides, _ = case
    options = {"use_1x1conv": use_1x1conv, "strides": strides}
    named = "".join(f", {name}={value}" for name, value in options.items() if value not in (0, 1)
                    or value is True)
    return f"Residual({input_channels}, {num_channels}{named})"


def _built(answer, case):
    """Build a block, give it random weights, and return all that it does with a batch.

    The result holds its layers by name; where they are those of the solution, also its outputs in
    both modes, the gradients of a random sum of the output, and the running statistics after it.
    """
    input_channels, num_channels, use_1x1conv, strides, x = case
    block = answer(input_channels, num_channels, use_1x1conv=use_1x1conv, strides=strides)
    if not list(block.children()):
        return "Not solved yet: the block holds no layers. Replace the ... in both of its methods."
    right = Residual(input_channels, num_channels, use_1x1conv, strides)
    wanted = {name: tuple(value.shape) for name, value in right.state_dict().items()}
    found = {"layers": wanted}
    try:
        if any(nn.parameter.is_lazy(weight) for weight in block.parameters()):
            with torch.no_grad():
                block.eval()(x)   # lazy layers find their shapes
        found["layers"] = {name: tuple(value.shape)
                           for name, value in block.state_dict().items()}
        if found["layers"] == wanted:
            found |= _at_work(block, right, x)
    except RuntimeError as error:
        found["error"] = str(error).split("\n")[0].rstrip(".")
    return found


def _at_work(block, right, x):
    seeded(2)
    state = {name: torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value)
             for name, value in right.state_dict().items() if value.is_floating_point()}
    v, x, found = torch.randn_like(right(x)), x.clone().requires_grad_(), {}
    for mode in ("evaluation", "training"):
        block.load_state_dict(state, strict=False)
        given = x * 1   # no leaf, so that writing into it is seen and not refused
        before = given.detach().clone()
        out = found[mode] = block.train(mode == "training")(given)
        found["input kept"] = found.get("input kept", True) and torch.equal(given, before)
        if not isinstance(out, torch.Tensor) or out.shape != v.shape:
            return found
    weights = dict(block.named_parameters())
    gradients = torch.autograd.grad((out * v).sum(), [x, *weights.values()], allow_unused=True)
    found["gradients"] = {name: torch.zeros(1) if gradient is None else gradient for name, gradient
                          in zip(["x", *weights], gradients, strict=True)}
    found["statistics"] = {name: value for name, value in block.state_dict().items()
                           if "running" in name}
    return found


def _half_solved(given, case):
    if isinstance(given, str):
        return given
    if any(unsolved(given[mode]) for mode in ("evaluation", "training") if mode in given):
        return "Half solved: the layers are right, and forward still returns nothing."
    return None


def _what_differs(case, expected, given):
    call, ours, theirs = _call_of(case), expected["layers"], given["layers"]
    missing, extra = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    if missing or extra:
        return (f"{call} should hold layers named conv1, conv2, bn1, bn2 and, with use_1x1conv, "
                "conv3, so that weights can be loaded by name; missing: "
                f"{', '.join(missing) or 'nothing'}; not expected: "
                f"{', '.join(extra) or 'nothing'}.")
    for name, shape in ours.items():
        if theirs[name] != shape:
            return f"{name} of {call} has the shape {theirs[name]}, expected {shape}."
    if "error" in given:
        return (f"{call} raised in forward, on an input of shape {tuple(case[-1].shape)}: "
                f"{given['error']}.")
    if not given["input kept"]:
        return f"{call} changes its input."
    for mode in ("evaluation", "training"):
        out, right = given[mode], expected[mode]
        if not isinstance(out, torch.Tensor) or out.shape != right.shape:
            got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            return f"{call} gives {got}, expected a tensor of shape {tuple(right.shape)}."
        if not same(out, right, 1e-3, 1e-4):
            return (f"{call}, with the same weights as ours, gives other numbers in {mode} mode; "
                    f"the largest difference is {(out - right).abs().max().item():.2g}.")
    part = "gradients" if not same(given["gradients"], expected["gradients"], 1e-3, 1e-3) else (
        "running statistics of its norms")
    return f"{call} gives the right numbers, but the {part} after a training step are others."


def _follow(case, expected, given):
    if "error" in given:
        return ("Compare the shapes of both paths just before the addition; if there is a conv3, "
                "X goes through it.")
    if given["layers"] != expected["layers"]:
        return ("Only the first convolution and the shortcut see input_channels; everything after "
                "them sees num_channels. conv1 and conv2 have 3×3 kernels, conv3 has 1×1.")
    return "Follow the drawing: conv1, bn1, ReLU, conv2, bn2, plus shortcut, ReLU."


RESIDUAL = Exercise(
    solve=Residual, cases=_blocks_to_build, look=_a_block_class, run=_built, form=_half_solved,
    same=lambda one, other: same(one, other, 1e-3, 1e-3), where=_what_differs, idea=_follow,
    part="Residual",
    mistakes=tuple(Mistake(slip(Residual, *edits), words) for words, *edits in (
        ("With use_1x1conv=True the shortcut is projected by a 1×1 convolution: the branch "
         "changes the shape, so x must change with it.", ("if use_1x1conv:", "if False:")),
        ("Where use_1x1conv is False the shortcut is x itself; set self.conv3 = None.",
         ("if use_1x1conv:", "if True:")),
        ("The book's convolutions keep PyTorch's default, bias=True; dropping it is a good idea "
         "that comes later in this notebook.", ("stride=strides)", "stride=strides, bias=False)"),
         ("kernel_size=3, padding=1)", "kernel_size=3, padding=1, bias=False)")),
        ("Each of the two 3×3 convolutions is followed by a batch norm of its own, with its own "
         "scale and shift.", ("bn1", "bn2")),
        ("The norms of the book have PyTorch's own momentum, 0.1: BatchNorm2d(channels).",
         ("BatchNorm2d(num_channels)", "BatchNorm2d(num_channels, momentum=0.9)")),
        ("Only one 3×3 convolution has the stride, or the map shrinks twice.",
         ("kernel_size=3, padding=1)", "kernel_size=3, padding=1, stride=strides)")),
        ("The first convolution takes the step that shrinks the map.",
         ("padding=1,\n                               stride=strides)", "padding=1 )"),
         ("kernel_size=3, padding=1)", "kernel_size=3, padding=1, stride=strides)")),
        ("The shortcut needs the branch's stride, or it stays too large.",
         ("kernel_size=1, stride=strides", "kernel_size=1")),
        ("A 3×3 kernel loses one pixel on each side, and padding 1 gives it back; a 1×1 kernel "
         "loses none.", ("padding=1", "padding=0")),
        ("There is no shortcut: the branch alone comes out. Add X before the last ReLU.",
         ("F.relu(Y + X)", "F.relu(Y)")),
        ("That is the branch alone, with neither shortcut nor last ReLU. The block returns "
         "relu(g(X) + shortcut(X)).", ("F.relu(Y + X)", "Y")),
        ("The last ReLU is missing: negative values come out. It follows the addition.",
         ("F.relu(Y + X)", "Y + X")),
        ("The ReLU stands before the addition; it belongs after it. As it is, a branch can only "
         "add to x, never take away.", ("F.relu(Y + X)", "F.relu(Y) + X")),
        ("There is a ReLU before the addition as well as after it. bn2 is followed by the "
         "addition at once, so that the branch can also subtract.",
         ("F.relu(Y + X)", "F.relu(F.relu(Y) + X)")),
        ("The ReLU between the two convolutions is missing. Without it both together are one "
         "linear map.", ("F.relu(self.bn1(self.conv1(X)))", "self.bn1(self.conv1(X))")),
        ("In the branch the ReLU stands before bn1; the book's order is convolution, norm, ReLU.",
         ("F.relu(self.bn1(self.conv1(X)))", "self.bn1(F.relu(self.conv1(X)))")),
        ("bn1 is never used in forward.", ("self.bn1(self.conv1(X))", "self.conv1(X)")),
        ("bn2 is never used in forward.", ("self.bn2(self.conv2(Y))", "self.conv2(Y)")),
        ("bn1 is used twice; the second norm is bn2.",
         ("self.bn2(self.conv2(Y))", "self.bn1(self.conv2(Y))")),
        ("The addition stands before bn2; it belongs after it. The shortcut must not be "
         "normalised with the branch.", ("self.bn2(self.conv2(Y))", "self.conv2(Y)"),
         ("F.relu(Y + X)", "F.relu(self.bn2(Y + X))")),
        ("conv3 is never used in forward: X itself is added, not conv3(X).",
         ("X = self.conv3(X)", "pass")),
        ("The shortcut is detached: what comes out is right, and no gradient goes back along it.",
         ("Y + X", "Y + X.detach()")),
        ("+= and inplace=True write into the caller's tensor. Write Y + X, which makes a new one.",
         ("return F.relu(Y + X)", "X += Y\n        return F.relu(X)")),
    )),
    hints=(
        "Make five layers in __init__: conv1 and conv2 (3×3, padding 1), bn1 and bn2, and conv3 "
        "(1×1), which is None unless use_1x1conv is true. strides goes to conv1 and to conv3.",
        "forward has two paths. The branch: conv1, bn1, ReLU, conv2, bn2. The shortcut: X, or "
        "conv3(X).",
        "Add the two paths, then take the ReLU of the sum: F.relu(Y + X).",
    ),
    remark="Your block and the package's gave the same numbers for the same weights, in training "
           "and in evaluation mode.", minutes=12, difficulty=3)

# ---------------------------------------------------------------- when to project


def needs_projection(in_channels, out_channels, stride):
    """Return whether the shortcut of a block must be projected for the addition to work."""
    return stride != 1 or in_channels != out_channels


def cannot_be_added(in_channels, out_channels, stride):
    """Return whether torch's shapes of x and of the branch differ."""
    x = torch.zeros(1, in_channels, 9, 9)
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)(x).shape != x.shape


def _shortcuts(draw):
    cases = [(3, 3, 1), (3, 3, 2), (3, 5, 1), (5, 3, 2)]
    while len(cases) < 40:
        stride, channels = draw.choice((1, 1, 2, 3)), draw.randint(2, 5)
        cases.append((channels, draw.choice((channels, draw.randint(2, 5))), stride))
    return cases


def _yes_or_no(answer, case):
    given = answer(*case)
    return given if unsolved(given) else bool(given)


def _said(case, expected, given):
    in_channels, out_channels, stride = case
    side = (9 - 1) // stride + 1
    say = "no projection is needed" if expected else "it must be projected"
    return (f"For in_channels={in_channels}, out_channels={out_channels}, stride={stride} you say "
            f"{say}, but x is {(1, in_channels, 9, 9)} and the branch makes "
            f"{(1, out_channels, side, side)}.")


PROJECTION = Exercise(
    solve=needs_projection, cases=_shortcuts, run=_yes_or_no, oracle=cannot_be_added, where=_said,
    idea=lambda case, expected, given: (
        "Look at channels, height and width." if expected
        else "Both can be added as they are. Which of the three numbers can change a shape here?"),
    mistakes=(
        Mistake(slip(needs_projection, ("stride != 1 or ", "")),
                "The channels agree; look at height and width."),
        Mistake(slip(needs_projection, (" or in_channels != out_channels", "")),
                "The sizes agree; look at the channels."),
        Mistake(slip(needs_projection, (" or ", " and ")),
                "One of the two is enough: or, not and."),
        Mistake(lambda in_channels, out_channels, stride: True,
                "Both can be added as they are. Which of the three numbers can change a shape "
                "here?"),
    ),
    hints=(
        "The addition needs equal channels and equal sizes. Which argument decides about which?",
        "Two conditions, joined by “or”: one about the channels, one about the stride.",
    ),
    remark="This one line decides in torchvision which shortcuts are drawn dashed.",
    minutes=3, difficulty=1)

# ---------------------------------------------------------------- a bottleneck


def bottleneck_weights(channels):
    """Count the convolution weights of a bottleneck from ``channels`` to ``channels``."""
    width = channels // 4
    return channels * width + 9 * width * width + width * channels


def counted(channels):
    """Return the weights of each convolution of the package's bottleneck, by torch."""
    with torch.device("meta"):
        block = blocks.Bottleneck(channels, channels)
    return [part.weight.numel() for part in block.modules() if isinstance(part, nn.Conv2d)]


COUNT = "channels * width + 9 * width * width + width * channels"

BOTTLENECK = Exercise(
    solve=bottleneck_weights, oracle=lambda channels: sum(counted(channels)),
    cases=lambda draw: [(channels,) for channels in draw.sample(range(8, 400, 4), 5)],
    form=lambda given, case: None if is_number(given) else (
        f"Expected a number of weights, got {type(given).__name__}."),
    where=lambda case, expected, given: (
        f"For {case[0]} channels you count {float(given):,.0f}, torch counts {expected:,} "
        f"({' + '.join(f'{count:,}' for count in counted(*case))})."),
    idea="Add up in · out · kernel area over the three convolutions.",
    mistakes=tuple(Mistake(slip(bottleneck_weights, (COUNT, count)), words) for count, words in (
        ("channels * width + 9 * width**2",
         "The last 1×1 convolution, back to all channels, is missing."),
        ("9 * width**2",
         "Either both 1×1 convolutions are missing, or the 3×3 kernel is counted with one weight "
         "for each pair of channels instead of nine."),
        ("2 * channels * width + 3 * width**2",
         "A 3×3 kernel has 3 · 3 weights for each pair of channels, not 3."),
        ("9 * (2 * channels * width + width**2)",
         "The outer two convolutions are 1×1: one weight for each pair of channels."),
        ("2 * channels * width + 9 * channels**2",
         "The 3×3 convolution works on channels // 4 channels; that is the point of a "
         "bottleneck."),
        ("18 * channels**2", "That is a basic block: two 3×3 convolutions on all channels."),
        ("2 * channels * width + 9 * width**2 + 2 * width + channels",
         "No biases are asked for: batch norm follows each convolution, so they are left out."),
    )),
    hints=(
        "A convolution has in_channels · out_channels · kernel height · kernel width weights.",
        "With width = channels // 4, the three go channels → width, width → width, "
        "width → channels, with kernels of 1×1, 3×3, 1×1.",
    ),
    remark="In multiples of the width w that is 4w² + 9w² + 4w² = 17w², where a basic block on "
           "the same channels has 2 · 9 · (4w)² = 288w².", minutes=5, difficulty=2)
