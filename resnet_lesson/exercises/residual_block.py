"""Exercises of notebook 05: the book's block, torchvision's, and a trained block silenced."""

import copy
import inspect

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import Exercise, Mistake, same, seeded, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import blocks

# ---------------------------------------------------------------- two blocks


class Residual(nn.Module):
    """The book's block, as in ``networks.blocks``, without its words for wrong input."""

    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, 3, strides, padding=1)
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.conv2 = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(num_channels)
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = nn.Conv2d(input_channels, num_channels, 1, strides)

    def forward(self, X):
        """Return relu(g(X) + shortcut(X))."""
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        return F.relu(Y + X)


class BasicBlock(nn.Module):
    """torchvision's block, as in ``networks.blocks``, without its words for wrong input."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels))

    def forward(self, X):
        """Return relu(g(X) + shortcut(X))."""
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.downsample is not None:
            X = self.downsample(X)
        return F.relu(Y + X)


# arguments in their order, those by name, and the shape of a batch for each
BOOK = (((3, 3), {}, (4, 3, 6, 6)), ((5, 5), {"use_1x1conv": True}, (2, 5, 4, 7)),
        ((3, 6), {"use_1x1conv": True, "strides": 2}, (4, 3, 6, 6)))
TORCHVISION = (((3, 3), {}, (4, 3, 6, 6)), ((3, 6), {}, (4, 3, 6, 6)),
               ((5, 5), {"stride": 2}, (2, 5, 5, 7)), ((6, 4), {"stride": 2}, (4, 6, 6, 6)))


def _a_block_class(answer):
    if not (inspect.isclass(answer) and issubclass(answer, nn.Module)):
        return ("Give the class itself, such as check(Residual), and derive it from nn.Module; "
                f"this is {answer!r:.80}.")
    names = list(inspect.signature(answer).parameters)
    if names[:1] == ["num_channels"]:
        return ("Your class takes num_channels first, as in later editions of the book, whose lazy "
                "layers find the input channels by themselves. Here they are given: "
                "__init__(self, input_channels, num_channels, use_1x1conv=False, strides=1).")
    return None


def _call_of(right, case):
    arguments = [*map(str, case[0]), *(f"{name}={value}" for name, value in case[1].items())]
    return f"{right.__name__}({', '.join(arguments)})"


def _run_of(right):
    """Return what builds a block, gives it random weights and returns all that it does.

    The result holds its layers by name; where they are those of ``right``, also its outputs in
    both modes, the gradients of a random sum of the output, and the running statistics after it.
    """
    def run(answer, case):
        arguments, options, x = case
        block = answer(*arguments, **options)
        if not list(block.children()):
            return ("Not solved yet: the block holds no layers. Replace the ... in both of its "
                    "methods.")
        model = right(*arguments, **options)
        wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        found = {"layers": wanted}
        try:
            if any(nn.parameter.is_lazy(weight) for weight in block.parameters()):
                if right is BasicBlock:
                    return LAZY
                with torch.no_grad():
                    block.eval()(x)   # lazy layers find their shapes
            found["layers"] = {name: tuple(value.shape)
                               for name, value in block.state_dict().items()}
            if found["layers"] == wanted:
                found |= _at_work(block, model, x)
        except RuntimeError as error:
            found["error"] = str(error).split("\n")[0].rstrip(".")
        return found
    return run


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


def _only(names, others):
    """Return the tensors that only the first has, in words; of a layer that is new, its name."""
    layers = {name.rpartition(".")[0] for name in others}
    found = [name if (layer := name.rpartition(".")[0]) in layers else layer
             for name in names if name not in others]
    return ", ".join(dict.fromkeys(found)) or "nothing"


def _difference_of(right):
    """Return what says where a block and ``right`` part."""
    def where(case, expected, given):
        call, ours, theirs = _call_of(right, case), expected["layers"], given["layers"]
        if ours.keys() != theirs.keys():
            layers = dict.fromkeys(name.rpartition(".")[0] for name in ours)
            return (f"{call} should hold the layers {', '.join(layers)}, by these names, since "
                    f"weights are poured in by name; missing: {_only(ours, theirs)}; not "
                    f"expected: {_only(theirs, ours)}.")
        for name, shape in ours.items():
            if theirs[name] != shape:
                return f"{name} of {call} has the shape {theirs[name]}, expected {shape}."
        if "error" in given:
            return (f"{call} raised in forward, on an input of shape {tuple(case[-1].shape)}: "
                    f"{given['error']}.")
        if not given["input kept"]:
            return f"{call} changes its input."
        for mode in ("evaluation", "training"):
            out, right_one = given[mode], expected[mode]
            if not isinstance(out, torch.Tensor) or out.shape != right_one.shape:
                got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
                return f"{call} gives {got}, expected a tensor of shape {tuple(right_one.shape)}."
            if not same(out, right_one, 1e-3, 1e-4):
                gap = (out - right_one).abs().max().item()
                return (f"{call}, with the same weights as ours, gives other numbers in {mode} "
                        f"mode; the largest difference is {gap:.2g}.")
        part = "gradients" if not same(given["gradients"], expected["gradients"], 1e-3, 1e-3) \
            else "running statistics of its norms"
        return f"{call} gives the right numbers, but the {part} after a training step are others."
    return where


def _follow(case, expected, given):
    if "error" in given:
        return ("Compare the shapes of both paths just before the addition. Where there is a 1×1 "
                "convolution, X goes through it on its way to the addition, and nowhere else.")
    if given["layers"].keys() != expected["layers"].keys():
        return "Layers under other names may compute the same; nothing can be poured into them."
    if given["layers"] != expected["layers"]:
        return ("Only the first convolution and the shortcut see the input's channels; everything "
                "after them sees the output's. The branch has 3×3 kernels, the shortcut 1×1.")
    return "Follow the drawing: conv1, bn1, ReLU, conv2, bn2, plus shortcut, ReLU."


LAZY = ("Lazy layers have no sizes before the first batch, and so no parameters to count or to "
        "pour weights into. Here both numbers of channels are given: nn.Conv2d and nn.BatchNorm2d.")

# what people write into forward, with the book's name of the projection
IN_FORWARD = (
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
    ("In the branch the ReLU stands before bn1; the order is convolution, norm, ReLU.",
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
    ("A ReLU follows the shortcut. The shortcut is added as it is; one ReLU comes after the sum.",
     ("X = self.conv3(X)", "X = F.relu(self.conv3(X))")),
    ("The shortcut is detached: what comes out is right, and no gradient goes back along it.",
     ("Y + X", "Y + X.detach()")),
    ("+= and inplace=True write into the caller's tensor. Write Y + X, which makes a new one.",
     ("return F.relu(Y + X)", "X += Y\n        return F.relu(X)")),
)


def _block_exercise(right, settings, slips, **options):
    """Return the exercise to write a block: ``slips`` are words and edits of its source."""
    return Exercise(
        solve=right, look=_a_block_class, run=_run_of(right), form=_half_solved,
        cases=lambda draw: [(arguments, named, torch.randn(shape))
                            for arguments, named, shape in settings],
        same=lambda one, other: same(one, other, 1e-3, 1e-3), where=_difference_of(right),
        idea=_follow, part=right.__name__, difficulty=3, **options,
        mistakes=tuple(Mistake(slip(right, *edits), words) for words, *edits in slips))


RESIDUAL = _block_exercise(
    Residual, BOOK, (
        ("With use_1x1conv=True the shortcut is projected by a 1×1 convolution: the branch "
         "changes the shape, so x must change with it.", ("if use_1x1conv:", "if False:")),
        ("Where use_1x1conv is False the shortcut is x itself; set self.conv3 = None.",
         ("if use_1x1conv:", "if True:")),
        ("The book's convolutions keep PyTorch's default, bias=True; dropping it is a good idea "
         "that comes later in this notebook.",
         ("strides, padding=1)", "strides, padding=1, bias=False)"),
         ("3, padding=1)", "3, padding=1, bias=False)")),
        ("Each of the two 3×3 convolutions is followed by a batch norm of its own, with its own "
         "scale and shift.", ("bn1", "bn2")),
        ("The norms of the book have PyTorch's own momentum, 0.1: BatchNorm2d(channels).",
         ("BatchNorm2d(num_channels)", "BatchNorm2d(num_channels, momentum=0.9)")),
        ("Only one 3×3 convolution has the stride, or the map shrinks twice.",
         ("3, padding=1)", "3, strides, padding=1)")),
        ("The first convolution takes the step that shrinks the map.",
         ("3, padding=1)", "3, stride=strides, padding=1)"),
         ("3, strides, padding=1)", "3, padding=1)")),
        ("The shortcut needs the branch's stride, or it stays too large.", ("1, strides", "1")),
        ("A 3×3 kernel loses one pixel on each side, and padding 1 gives it back; a 1×1 kernel "
         "loses none.", ("padding=1", "padding=0")), *IN_FORWARD),
    hints=(
        "Make five layers in __init__: conv1 and conv2 (3×3, padding 1), bn1 and bn2, and conv3 "
        "(1×1), which is None unless use_1x1conv is true. strides goes to conv1 and to conv3.",
        "forward has two paths. The branch: conv1, bn1, ReLU, conv2, bn2. The shortcut: X, or "
        "conv3(X).",
        "Add the two paths, then take the ReLU of the sum: F.relu(Y + X).",
    ),
    remark="Your block and the package's gave the same numbers for the same weights, in training "
           "and in evaluation mode.", minutes=10)

WHEN = "stride != 1 or in_channels != out_channels"
NO_BIAS = ("A norm follows each convolution and takes a bias away again (notebook 04), so "
           "torchvision leaves it out: bias=False, also on the shortcut.")
NO_NORM = ("The norm on the shortcut is missing: downsample is the 1×1 convolution, then a norm, "
           "in nn.Sequential.")
SHORTCUT_NORM = ("1, stride, bias=False),\n                nn.BatchNorm2d(out_channels))",
                 "1, stride, bias=False))")

BASIC_BLOCK = _block_exercise(
    BasicBlock, TORCHVISION, (
        (NO_BIAS, (", bias=False", "")), (NO_BIAS, ("padding=1, bias=False", "padding=1")),
        (NO_BIAS, ("1, stride, bias=False", "1, stride")), (NO_NORM, SHORTCUT_NORM),
        (NO_NORM, SHORTCUT_NORM, ("nn.Sequential(", "(")),
        ("The stride sits on the second convolution; in torchvision the first one takes the step.",
         ("3, padding=1", "3, stride=stride, padding=1"), ("3, stride, padding=1", "3, padding=1")),
        ("Only one 3×3 convolution has the stride, or the map shrinks twice.",
         ("3, padding=1", "3, stride, padding=1")),
        ("The shortcut needs the branch's stride, or it stays too large.", ("1, stride,", "1,")),
        ("This block projects everywhere (option C). torchvision projects where it has to "
         "(option B); elsewhere downsample is None and the shortcut is x itself.", (WHEN, "True")),
        ("This block never projects. Where the branch changes the shape, x must change with it: "
         "downsample.", (WHEN, "False")),
        ("Channels decide, and so does the size: a stride changes it, even where the channels "
         "agree.", (WHEN, "in_channels != out_channels")),
        ("The stride decides, and so do the channels: they can change at stride 1, too.",
         (WHEN, "stride != 1")),
        ("One of the two reasons is enough: or, not and.", (" or ", " and ")),
        ("Each of the two 3×3 convolutions is followed by a batch norm of its own, with its own "
         "scale and shift.", ("bn1", "bn2")),
        ("A 3×3 kernel loses one pixel on each side, and padding 1 gives it back; a 1×1 kernel "
         "loses none.", ("padding=1", "padding=0")),
        *((words.replace("conv3", "downsample"),
           *((old.replace("conv3", "downsample"), new.replace("conv3", "downsample"))
             for old, new in edits)) for words, *edits in IN_FORWARD)),
    hints=(
        "Begin with your Residual. forward stays, but for a name. In __init__ three things "
        "change: the biases, what stands on the shortcut, and who decides about it.",
        "The addition needs equal channels and equal sizes. Which two arguments can change them? "
        "Then, and only then, downsample is a layer; else it is None.",
        "downsample is nn.Sequential of a 1×1 convolution with the stride and without bias, and a "
        "norm.",
    ),
    remark="It has the names of torchvision's block and computes the same, in both modes. Notebook "
           "06 pours torchvision's weights into it.", minutes=6)

# ---------------------------------------------------------------- silence


def silence(block):
    """Make a BasicBlock's branch return 0 in both modes, and leave its convolutions alone."""
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)


def _trained_blocks(draw):
    """Return a block whose norms have learned something, as after a training."""
    block = blocks.BasicBlock(4, 4)
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                tensor.copy_(torch.randn(4))
            norm.running_var.copy_(torch.rand(4) + 0.5)
    return [(block,)]


def _silenced(answer, case):
    """Return what is left of the block: what changed in it, and how far it misses relu(x)."""
    block, = case
    before = copy.deepcopy(block)
    replaced = answer(block)
    if isinstance(replaced, nn.Module) and replaced is not block:
        return {"kind": "another"}
    known = before.state_dict()
    changed = [name for name, tensor in block.state_dict().items()
               if name not in known or not torch.equal(tensor, known[name])]
    if not block.residual or [type(m) for m in block.modules()] != [
            type(m) for m in before.modules()]:
        return {"kind": "built"}
    if not changed:
        return {"kind": "unchanged"}
    seeded(2)
    x = torch.randn(8, 4, 5, 5)
    with torch.no_grad():
        missed = [(copy.deepcopy(block).train(mode)(x) - x.relu()).abs().max().item()
                  for mode in (True, False)]
    cut = sorted({name.split(".")[0] for name in changed if name.startswith("conv")})
    weight, bias = block.bn2.weight.any(), block.bn2.bias.any()
    fits = {"silent": not max(missed) and not cut, "cut": not max(missed),
            "scale": weight and any(name.startswith("bn2") for name in changed),
            "inside": weight, "shift": bias, "else": True}
    return {"kind": next(kind for kind, fit in fits.items() if fit), "missed": missed,
            "cut": " and ".join(cut)}


def _what_is_left(case, expected, given):
    if given["kind"] == "another":
        return "You returned another block; change the weights of the one that was given."
    if given["kind"] == "built":
        return "You changed how the block is built; change numbers in its last norm instead."
    if given["kind"] == "unchanged":
        return "Not solved yet: your function changes nothing in the block."
    if given["kind"] == "cut":
        return f"The block does nothing, but {given['cut']} lost what they had learned."
    training, evaluation = given["missed"]
    return (f"The block should return relu(x); it misses by up to {training:.3g} in training "
            f"mode and {evaluation:.3g} in evaluation mode.")


def _zero(*names):
    """Return a wrong answer: it fills the named tensors of the block with zeros."""
    def answer(block):
        for name in names:
            nn.init.zeros_(block.get_parameter(name))
    return answer


def _zero_one_channel(block):
    with torch.no_grad():
        block.bn2.weight[0] = block.bn2.bias[0] = 0


SILENCE = Exercise(
    solve=silence, cases=_trained_blocks, run=_silenced, changes=True, where=_what_is_left,
    same=lambda one, other: one["kind"] == other["kind"],
    idea=lambda case, expected, given: (
        "Compare block.branch(x) with zeros." if given["kind"] == "else" else ""),
    mistakes=(
        Mistake(_zero("conv2.weight", "bn2.weight", "bn2.bias"),
                "Two tensors of the last norm are enough, and all the rest stays ready for use."),
        Mistake(_zero_one_channel, "The last norm multiplies by its weight: is every entry of it "
                "0?"),
        Mistake(_zero("conv2.weight"),
                "A zero further inside does not stay 0: batch norm subtracts a mean and adds a "
                "bias after it. Which layer has the last word?"),
        Mistake(_zero("bn2.weight"),
                "The scale is 0, and what is left is the shift: this block was trained, so its "
                "last bias is not 0 any more."),
    ),
    hints=("The branch ends in block.bn2, which computes weight · normalised + bias.",
           "nn.init.zeros_(tensor) fills a parameter with zeros, in place.",
           "Both block.bn2.weight and block.bn2.bias have to be 0."),
    remark="Fresh blocks have a shift of 0 already; there, zeroing the scale alone is enough, and "
           "that is how torchvision's zero_init_residual=True starts every block.",
    minutes=4, difficulty=2)
