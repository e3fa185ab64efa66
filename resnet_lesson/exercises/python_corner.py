"""Exercises of ``A1_python_corner``: four pieces of code that are handed out broken."""

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, unsolved
from resnet_lesson.exercises.source import slip

# What is handed out earns the words of a mistake; they ask, so that the answer stays the reader's.
# Two of the four look at how a class behaves, step by step; ``run`` tells what was seen first
# that is not as it should be, and ``same`` compares that.


def _seen(given, case=None):
    return given if isinstance(given, str) and given.startswith("Not solved yet") else None


def _told(case, expected, given):
    return given[1]


def _same_kind(one, other):
    return one[0] == other[0]


# ---------------------------------------------------------------- a list of one's own


class MyCurve:
    """Keep the losses of one training, in a list of its own."""

    def __init__(self):
        self.losses = []

    def note(self, loss):
        """Add a loss to the list."""
        self.losses.append(loss)


def _a_class(answer):
    if not isinstance(answer, type):
        return f"Expected a class, got {type(answer).__name__}. Hand in the class without brackets."
    return None


def _two_curves(answer, case):
    """Return (what was seen, a sentence) of two objects of the class, for two trainings."""
    if not (callable(getattr(answer, "note", None)) or "__init__" in vars(answer)
            or hasattr(answer, "losses")):
        return "Not solved yet: the class is empty. It needs __init__ and note."
    first, second = answer(), answer()
    if not hasattr(first, "losses"):
        return "no list", "A new curve needs the attribute losses."
    if not callable(getattr(first, "note", None)):
        return "no method", "A curve needs a method note(self, loss)."
    first.note(0.7)
    if 0.7 in second.losses:
        kind = "class body" if "losses" in vars(answer) else "default"
        return kind, "One training noted 0.7, and it stands in the other's curve."
    first.note(0.5)
    if list(first.losses) != [0.7, 0.5]:
        return "else", (f"After noting 0.7 and 0.5 the curve should be [0.7, 0.5]; it is "
                        f"{first.losses}.")
    return "right", ""


CURVE = Exercise(
    solve=MyCurve, cases=lambda draw: [()], look=_a_class, run=_two_curves, form=_seen,
    same=_same_kind, where=_told,
    mistakes=(
        Mistake(slip(MyCurve, ("(self):", "(self, losses=[]):"), ("= []\n", "= losses\n")),
                "How often does Python make the list in losses=[]: at each call, or once?"),
        Mistake(slip(MyCurve, ("    def __init__(self):\n        self.losses", "    losses")),
                "The list stands in the class body and exists once. Move it to __init__, as "
                "self.losses = []."),
        Mistake(slip(MyCurve, ("self.losses = []", "losses = []")),
                "Inside __init__ write self.losses = []; without self. it is a local variable "
                "that is gone at once."),
        Mistake(slip(MyCurve, ("note", "add")),
                "It adds a loss to the list: self.losses.append(loss)."),
        Mistake(slip(MyCurve, ("losses.append(loss)", "losses = [loss]")),
                "append adds to the list; = puts another in its place."),
    ),
    hints=("What has to happen anew for each object? __init__ runs for each object; the line "
           "with def is read once.",
           "Make the list inside __init__, not in the line with def.",
           "def __init__(self): self.losses = []"),
    remark="Where a caller may hand in a list: losses=None in the line with def, and in __init__ a "
           "new list if it is None.", minutes=2, difficulty=1)

# ---------------------------------------------------------------- a learned number


class Gain(nn.Module):
    """Multiply an input of any shape by one learned number that starts at zero."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        """Return gain · x."""
        return self.gain * x


def _a_module(answer):
    if not (isinstance(answer, type) and issubclass(answer, nn.Module)):
        return "Expected a class derived from nn.Module: class Gain(nn.Module)."
    if not {"__init__", "forward"} & set(vars(answer)):
        return "Not solved yet: the class is empty. It needs __init__ and forward."
    return None


def _a_gain(answer, case):
    """Return (what was seen, a sentence) of a module of the class, used and differentiated."""
    try:
        module = answer()
    except AttributeError as error:
        if "__init__() call" not in str(error):
            raise
        return "no super", f"PyTorch says “{error}”."
    if not hasattr(module, "_parameters"):
        return "no super", "This module has no drawers."
    if "__call__" in vars(answer):
        return "call", "You wrote __call__ and so replaced what runs the hooks."
    count = sum(parameter.numel() for parameter in module.parameters())
    if count != 1:
        return "none" if count == 0 else "many", f"This module has {count} learned numbers."
    gain, = module.parameters()
    if gain.item() != 0:
        return "start", f"The number should start at 0; it starts at {gain.item():.3g}."
    with torch.no_grad():
        gain.fill_(3)
    for shape in ((2,), (3, 4), (2, 3, 5, 5)):
        x = torch.randn(shape)
        out = module(x)
        if unsolved(out):
            return "nothing", "forward returns nothing yet."
        if out.shape != x.shape or not torch.allclose(out, 3 * x):
            return "output", (f"With the number set to 3 and an input of shape {shape}, the output "
                              "should be 3·x of the same shape.")
    out = module(torch.ones(2)).sum()
    if out.requires_grad:
        out.backward()
    if gain.grad is None or gain.grad.item() != 2:
        return "gradient", "No gradient reaches the number."
    return "right", ""


GAIN = Exercise(
    solve=Gain, cases=lambda draw: [()], look=_a_module, run=_a_gain, form=_seen,
    same=_same_kind, where=_told,
    mistakes=(
        Mistake(slip(Gain, ("super().__init__()", "pass")),
                "What makes the drawers, and where does it have to stand?"),
        Mistake(slip(Gain, ("forward", "__call__")),
                "Write forward; nn.Module has a __call__ already."),
        Mistake(slip(Gain, ("nn.Parameter(torch.zeros(1))", "torch.zeros(1)")),
                "So nothing learns: a plain tensor goes into no drawer. What marks one that is to "
                "be learned?"),
        Mistake(slip(Gain, ("zeros(1)", "zeros(4)")), "One was asked for."),
        Mistake(slip(Gain, ("zeros(1)", "ones(1)")), "So that nothing is added at first."),
        Mistake(slip(Gain, ("self.gain * x", "self.gain + x")),
                "Use the parameter itself in forward."),
        Mistake(slip(Gain, ("return self.gain * x", "pass")), "Return the number times x."),
        Mistake(slip(Gain, ("self.gain * x", "self.gain.item() * x")),
                "Use the parameter itself in forward, without .item(), .data or .detach()."),
    ),
    hints=("Two things are wrong, both in __init__. The first one is a missing line.",
           "super().__init__() comes first. Which drawer does a plain tensor go into?",
           "nn.Parameter(torch.zeros(1)) goes into the drawer of parameters."),
    remark="With this at the end of a branch a residual block starts as the identity. Bachlechner "
           "et al. (2020) call it ReZero.", minutes=3, difficulty=2)

# ---------------------------------------------------------------- a hook


def peek(net, layer, x):
    """Return what the module ``layer`` puts out while ``net(x)`` runs."""
    seen = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    handle.remove()
    return seen[0]


def _networks(draw):
    for place in (1, 0, 2, None):
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        yield net, place, torch.randn(5, 3)


def _peeked(answer, case):
    """Return what the answer returned, and how many hooks it left behind; no place is the net."""
    net, place, x = case
    layer = net if place is None else net[place]
    try:
        found = answer(net, layer, x)
    except IndexError:   # an empty list
        found = "nothing"
    return found if unsolved(found) else {"output": found, "hooks": len(layer._forward_hooks)}


def _one_tensor(given, case):
    found = given["output"]
    if isinstance(found, list | tuple):
        return f"Expected the output itself, a tensor; got a {type(found).__name__} around it."
    if not isinstance(found, torch.Tensor) and found != "nothing":
        return f"Expected a tensor, got {type(found).__name__}."
    return None


def _what_was_peeked(case, expected, given):
    if isinstance(given["output"], str):
        return "Asked for the output of net itself (layer is net), your hook never ran."
    if given["hooks"]:
        return "The hook is still on the layer and would run at every later call."
    return (f"Expected the layer's output of shape {tuple(expected['output'].shape)}, got other "
            f"numbers of shape {tuple(given['output'].shape)}.")


PEEK = Exercise(
    solve=peek, cases=_networks, run=_peeked, form=_one_tensor, where=_what_was_peeked,
    idea="Put a hook on layer, then call net(x).",
    mistakes=(
        Mistake(slip(peek, ("handle.remove()", "pass")),
                "What does register_forward_hook return, and what can that do?"),
        Mistake(slip(peek, ("    net(x)", "    net.forward(x)")),
                "Which of the two ways to call a network runs its hooks?"),
        Mistake(lambda net, layer, x: net(x),
                "This is what the whole network puts out. The hook receives (module, inputs, "
                "output): keep its output."),
        Mistake(slip(peek, ("append(output)", "append(inputs[0])")),
                "This is what goes in. The hook receives (module, inputs, output)."),
    ),
    hints=("Two lines are wrong. One leaves something behind, one skips something.",
           "register_forward_hook returns a handle; handle.remove() takes the hook away again.",
           "net(x) runs net's own hooks, net.forward(x) does not."),
    remark="This works for any layer of any network, without touching its code. Without remove() "
           "every later call adds to the list, and what it holds stays in memory.",
    minutes=3, difficulty=2)

# ---------------------------------------------------------------- a list, a loop and a star


def tower(depth, width):
    """Return ``depth`` linear layers of width → width as a Sequential, a ReLU after each."""
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers)


def _layers(answer, case):
    """Return the kinds of the layers, their shapes, and how many layers there really are."""
    net = answer(*case)
    if unsolved(net):
        return net
    if not isinstance(net, nn.Sequential):
        return {"net": type(net).__name__}
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    return {"net": "Sequential", "kinds": [type(layer).__name__ for layer in net],
            "shapes": [tuple(layer.weight.shape) for layer in linear],
            "own": len(set(map(id, linear)))}


def _what_was_built(case, expected, given):
    depth, width = case
    if given["net"] != "Sequential":
        return f"Expected an nn.Sequential, got {given['net']}."
    if given["kinds"] != expected["kinds"]:
        return (f"For depth {depth} the layers should be {' '.join(expected['kinds'])}; they are "
                f"{' '.join(given['kinds']) or 'none'}.")
    if given["shapes"] != expected["shapes"]:
        return f"Every linear layer should map {width} → {width} numbers."
    return f"There should be {depth} linear layers; these are {depth} names for {given['own']}."


TOWER = Exercise(
    solve=tower, cases=lambda draw: [(1, draw.randint(2, 5)), (4, 2), (draw.randint(2, 6), 3)],
    run=_layers, form=lambda given, case: None, where=_what_was_built,
    mistakes=(
        Mistake(slip(tower, ("nn.Sequential(*layers)", "layers")),
                "A plain list cannot be called, and no parameters would be found. Put it into "
                "nn.Sequential, with a star."),
        Mistake(slip(tower, ("range(depth)", "range(1)"), ("*layers", "*layers * depth")),
                "They share their weights. What does [layer] * depth repeat: the layer, or the "
                "line that makes it?"),
        Mistake(slip(tower, (", nn.ReLU()", ""), ("*layers", "*layers, nn.ReLU()")),
                "Each turn of the loop adds both, a linear layer and a ReLU."),
        Mistake(slip(tower, ("*layers", "*layers[:-1]")),
                "The last one has a ReLU too."),
        Mistake(slip(tower, ("(width, width)", "(width, width + 1)")),
                "Both numbers of nn.Linear are the width."),
    ),
    hints=("nn.Sequential(*layers): the star hands over the items, not the list.",
           "Two things are wrong. For the second: how often does nn.Linear(…) run?",
           "Start with layers = []; in a loop, layers += [nn.Linear(width, width), nn.ReLU()]."),
    remark="This is how torchvision builds the stages of a ResNet: a list, a loop, and a star.",
    minutes=3, difficulty=2)

