"""The exercises of notebook 06: a stage, the whole ResNet-18, what a convolution costs."""

import functools
import inspect

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, seeded, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import randomise, stage_outputs

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


def _shapes(module):
    """Return the shape of every tensor of a module by its name."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _built_stage(answer, case):
    """Return what a stage consists of, and what it makes of a batch with given weights.

    A block is whatever has two convolutions under torchvision's names, the reader's own included.
    """
    stage = answer(*case)
    if unsolved(stage) or not isinstance(stage, nn.Module):
        return stage if unsolved(stage) else {"kind": type(stage).__name__}
    blocks = [part for _, part in stage.named_modules(remove_duplicate=False)
              if isinstance(getattr(part, "conv2", None), nn.Conv2d)]
    right = make_stage(*case)
    found = {"kind": "module", "blocks": len(blocks), "own": len(set(map(id, blocks))),
             "strides": [block.conv1.stride[0] for block in blocks],
             "inputs": [block.conv1.in_channels for block in blocks],
             "shapes": [_shapes(block) for block in blocks]}
    if found["shapes"] == list(map(_shapes, right)):
        seeded(2)
        randomise(right, seed=0)
        for own, block in zip(blocks, right, strict=True):
            own.load_state_dict(block.state_dict())
        with torch.no_grad():
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
        else "Run the blocks in their order, and check the block itself in notebook 05."),
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

# ---------------------------------------------------------------- the whole network


class ResNet18(nn.Module):
    """Stem, four stages of two basic blocks, head; named as in torchvision."""

    def __init__(self, in_channels=3, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = make_stage(64, 64, blocks=2, stride=1)
        self.layer2 = make_stage(64, 128, blocks=2, stride=2)
        self.layer3 = make_stage(128, 256, blocks=2, stride=2)
        self.layer4 = make_stage(256, 512, blocks=2, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x):
        """Return the logits."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x)
        return self.fc(torch.flatten(x, 1))


def library(in_channels=3, num_classes=1000):
    """Return torchvision's ResNet-18, for pictures of any number of channels."""
    network = torchvision.models.resnet18(num_classes=num_classes)
    if in_channels != 3:
        network.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
    return network


@functools.cache
def _weights(in_channels, num_classes):
    """Return the random weights and statistics that every answer gets."""
    return randomise(library(in_channels, num_classes)).state_dict()


def _pictures(draw):
    for channels, classes in ((3, 1000), (1, 10)):
        yield channels, classes, torch.randn(2, channels, draw.randint(33, 40), 36)


def _a_network_class(answer):
    if inspect.isclass(answer) and issubclass(answer, nn.Module):
        return None
    return ("Give the class itself, check(ResNet18), and derive it from nn.Module; "
            f"this is {answer!r:.80}.")


def _assembled(answer, case):
    """Return the tensors of a network by name and, where they are right, what its parts make."""
    in_channels, num_classes, x = case
    weights = _weights(in_channels, num_classes)
    for device in ("meta", "cpu"):   # on meta there are no weights to draw; not all run there
        found = {}
        try:
            with torch.device(device):
                network = answer(in_channels=in_channels, num_classes=num_classes)
            found["tensors"] = _shapes(network)
            if found["tensors"] == {name: tuple(value.shape) for name, value in weights.items()}:
                network.load_state_dict({name: value.clone() for name, value in weights.items()},
                                        assign=True)
                network.eval().register_forward_hook(
                    lambda module, inputs, output, found=found: found.update(output=output))
                found["stages"] = stage_outputs(network, x)
            return found
        except (RuntimeError, ValueError) as error:
            found["error"] = str(error).split("\n")[0].rstrip(".")
    return found


def _half_assembled(given, case):
    if given.get("tensors") == {}:
        return "Not solved yet: the network holds no layers. Replace the ... in both methods."
    if "stages" in given and not isinstance(given["output"], torch.Tensor):
        return "Half solved: the layers are right, and forward returns no tensor yet."
    return None


def _where_it_differs(case, expected, given):
    call, ours, theirs = f"ResNet18{case[:2]}", expected["tensors"], given.get("tensors")
    if theirs is None:
        return f"{call} raised: {given['error']}."
    missing, extra = ([name for name in one if name not in other]
                      for one, other in ((ours, theirs), (theirs, ours)))
    if missing or extra:
        return (f"{call} should hold tensors with torchvision's names; missing: "
                f"{_some(missing)}; not expected: {_some(extra)}.")
    for name, shape in ours.items():
        if theirs[name] != shape:
            return f"{name} of {call} has the shape {theirs[name]}, expected {shape}."
    if "error" in given:
        return f"{call} raised in forward: {given['error']}."
    for stage, right in expected["stages"].items():
        found = given["stages"].get(stage)
        if found is None:
            place = {"stem": "stage 1", "pooled": "fc", "logits": "fc"}.get(stage, stage)
            return f"{call}: forward does not reach {place}."
        if found.shape != right.shape:
            return f"{call}: {stage} gives {tuple(found.shape)}, expected {tuple(right.shape)}."
        if not same(found, right, 1e-3, 1e-3):
            return f"{call}, with torchvision's weights, gives other numbers at: {stage}."
    return f"{call} has right logits, but returns something else."


def _some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "") or "nothing"


def _where_to_look(case, expected, given):
    if given.get("tensors") != expected["tensors"]:
        return "Compare your names and numbers with the list line by line."
    if "error" in given:
        return "Print x.shape after each line of forward: where is it not what the list says?"
    return "Everything before that point agrees, so look at the step that leads to it."


RESNET18 = Exercise(
    solve=ResNet18, cases=_pictures, look=_a_network_class, run=_assembled, part="ResNet18",
    oracle=lambda *case: _assembled(library, case), form=_half_assembled,
    same=lambda one, other: same(one, other, 1e-3, 1e-3), where=_where_it_differs,
    idea=_where_to_look,
    mistakes=tuple(Mistake(slip(ResNet18, *edits), words) for words, *edits in (
        ("The stem's convolution is followed by a norm too, so it has no bias.",
         (", bias=False", "")),
        ("A part that forward uses must be kept with self. in __init__, or torch does not know "
         "its weights.", ("self.layer1 = ", "self.__dict__['layer1'] = ")),
        ("Every stage of ResNet-18 has two blocks.", ("blocks=2", "blocks=3")),
        ("Each stage takes the channels that the one before it gives: 64, 64, 128, 256.",
         ("make_stage(64, 128", "make_stage(128, 128")),
        ("The first convolution must take in_channels, whatever they are.",
         ("Conv2d(in_channels", "Conv2d(3")),
        ("The last layer must give num_classes scores, whatever they are.",
         ("(512, num_classes)", "(512, 1000)")),
        ("Without padding 3 the 7×7 convolution loses the border.", (", padding=3", "")),
        ("A pooling layer moves by its own size unless told otherwise: say stride=2.",
         ("kernel_size=3, stride=2", "kernel_size=3")),
        ("The stem ends with a max-pool, which halves the side once more.",
         ("self.maxpool(F.relu(self.bn1(self.conv1(x))))", "F.relu(self.bn1(self.conv1(x)))")),
        ("bn1 is never used in forward.", ("self.bn1(self.conv1(x))", "self.conv1(x)")),
        ("The ReLU after bn1 is missing.", ("F.relu(self.bn1(self.conv1(x)))",
                                            "self.bn1(self.conv1(x))")),
        ("Stage 1 keeps the size: its stride is 1, since the stem has halved twice.",
         ("64, blocks=2, stride=1", "64, blocks=2, stride=2")),
        ("Stages 2, 3 and 4 halve the side: their stride is 2.", ("stride=2)\n        self.l",
                                                                 "stride=1)\n        self.l"),
         ("blocks=2, stride=2)", "blocks=2, stride=1)")),
        ("The stages run in the order of their numbers, each on what the one before it gave.",
         ("x = self.layer1(x)", "pass"), ("x = self.layer2(x)", "x = self.layer1(self.layer2(x))")),
        ("Inside a stage the blocks run in their order: call the stage, self.layer1(x).",
         ("self.layer1(x)", "self.layer1[0](self.layer1[1](x))")),
        ("A stage is never used in forward.", ("x = self.layer1(x)", "pass")),
        ("The mean over each map is missing before the linear layer.",
         ("x = self.avgpool(x)", "pass")),
        ("The linear layer needs one row of numbers per picture: torch.flatten(x, 1).",
         ("torch.flatten(x, 1)", "x")),
        ("Logits are what fc gives. Softmax comes with the loss, or when somebody asks for "
         "shares.", ("self.fc(torch.flatten(x, 1))", "self.fc(torch.flatten(x, 1)).softmax(1)")),
    )),
    hints=("In __init__ write one line for each name of the list: self.conv1 = nn.Conv2d(…), and "
           "so on. The four stages are four calls of make_stage.",
           "forward sends x through them from top to bottom: F.relu after bn1, then the max-pool.",
           "Before fc the maps (N, 512, 1, 1) become rows (N, 512): torch.flatten(x, 1)."),
    remark="With the same weights, random statistics included, it gives torchvision's numbers at "
           "every stage.", minutes=12, difficulty=3)

# ---------------------------------------------------------------- what a convolution costs


def cost(in_channels, out_channels, kernel_size, side):
    """Return weights and multiply-adds of a convolution without bias; side is the output's."""
    weights = kernel_size**2 * in_channels * out_channels
    return weights, weights * side**2


def counted(in_channels, out_channels, kernel_size, side):
    """Return the same, counted by torch."""
    with torch.device("meta"):
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(1, in_channels, *[side + kernel_size - 1] * 2))
    return layer.weight.numel(), counter.get_total_flops() // 2


def _pair(answer, case):
    given = answer(*case)
    return tuple(given) if getattr(given, "ndim", 0) == 1 else given


def _two_numbers(given, case):
    if isinstance(given, list | tuple) and len(given) == 2 and all(map(is_number, given)):
        return None
    return f"Expected two numbers, weights and multiply-adds; got {given!r:.60}."


def _what_costs(case, expected, given):
    names = ("weights", "multiply-adds")
    name, right, found = next(row for row in zip(names, expected, given, strict=True)
                              if row[1] != row[2])
    return f"cost{case}: {float(found):,.0f} {name}; torch counts {right:,}."


COST = Exercise(
    solve=cost, oracle=counted, where=_what_costs, form=_two_numbers,
    run=_pair,
    cases=lambda draw: [(draw.randint(2, 9), draw.randint(10, 19), draw.choice((3, 5, 7)),
                         draw.randint(20, 60)) for _ in range(5)],
    idea="Each output pixel of each output channel needs one window of every input channel.",
    mistakes=tuple(Mistake(slip(cost, edit), words) for words, edit in (
        ("A kernel has kernel_size · kernel_size weights for each pair of channels.",
         ("kernel_size**2", "kernel_size")),
        ("Each output channel has a kernel of its own for every input channel: in · out.",
         (" * in_channels * out", " * out")),
        ("No bias is asked for: a norm follows.", ("\n    return", " + out_channels\n    return")),
        ("A map has side · side pixels.", ("side**2", "side")),
        ("A multiplication and the addition after it count as one here, not as two.",
         ("* side**2", "* 2 * side**2")),
        ("Each weight is used at every pixel of the output, so the work is weights · pixels.",
         ("weights * side**2", "out_channels * side**2")),
    )),
    hints=("How many numbers does one kernel hold? How many kernels are there?",
           "A weight is used once for each pixel of the output: side · side times."),
    remark="Double the channels on both sides and the weights become four times as many; halve the "
           "side and each is used a quarter as often.", minutes=3, difficulty=1)
