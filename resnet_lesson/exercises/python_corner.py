"""Exercises of ``A1_python_corner``: attributes, modules, hooks and containers."""

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, unsolved
from resnet_lesson.exercises.source import slip

# Two of the four look at how a class behaves, step by step; ``run`` tells what was seen first
# that is not as it should be, and ``same`` compares that.


def _seen(given, case=None):
    return given if isinstance(given, str) and given.startswith("Not solved yet") else None


def _told(case, expected, given):
    return given[1]


def _same_kind(one, other):
    return one[0] == other[0]


# ---------------------------------------------------------------- a list of one's own


class MyDiary:
    """Keep losses, in a list of one's own."""

    def __init__(self):
        self.losses = []

    def note(self, loss):
        """Add a loss to the list."""
        self.losses.append(loss)


def _a_class(answer):
    if not isinstance(answer, type):
        return f"Expected a class, got {type(answer).__name__}. Hand in the class without brackets."
    return None


def _two_diaries(answer, case):
    """Return (what was seen, a sentence) of two diaries of the class, Anna's and Ben's."""
    if not (callable(getattr(answer, "note", None)) or "__init__" in vars(answer)
            or hasattr(answer, "losses")):
        return "Not solved yet: the class is still empty. Replace the ... in its body."
    anna, ben = answer(), answer()
    if not hasattr(anna, "losses"):
        return "no list", "A new diary needs the attribute losses."
    if not callable(getattr(anna, "note", None)):
        return "no method", "A diary needs a method note(self, loss)."
    anna.note(0.7)
    if 0.7 in ben.losses:
        kind = "class body" if "losses" in vars(answer) else "default"
        return kind, "Anna's note is still in Ben's diary."
    anna.note(0.5)
    if list(anna.losses) != [0.7, 0.5]:
        return "else", (f"After noting 0.7 and 0.5 Anna's list should be [0.7, 0.5]; it is "
                        f"{anna.losses}.")
    return "right", ""


DIARY = Exercise(
    solve=MyDiary, cases=lambda draw: [()], look=_a_class, run=_two_diaries, form=_seen,
    same=_same_kind, where=_told,
    mistakes=(
        Mistake(slip(MyDiary, ("    def __init__(self):\n        self.losses", "    losses")),
                "The list stands in the class body and exists once. Move it to __init__, as "
                "self.losses = []."),
        Mistake(slip(MyDiary, ("(self):", "(self, losses=[]):"), ("= []\n", "= losses\n")),
                "A default argument such as losses=[] is made once too, when the function is "
                "defined. Make the list inside __init__."),
        Mistake(slip(MyDiary, ("self.losses = []", "losses = []")),
                "Inside __init__ write self.losses = []; without self. it is a local variable "
                "that is gone at once."),
        Mistake(slip(MyDiary, ("note", "add")),
                "It adds a loss to the list: self.losses.append(loss)."),
        Mistake(slip(MyDiary, ("losses.append(loss)", "losses = [loss]")),
                "append adds to the list; = puts another in its place."),
    ),
    hints=("What should happen for each new diary, once per object?",
           "__init__ runs once per object, and self is that object.",
           "def __init__(self): self.losses = []"),
    remark="Numbers and strings in a class body look harmless, since they cannot be changed, only "
           "replaced; lists, dicts and tensors can be.", minutes=3, difficulty=1)

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
        return "Not solved yet: the class is still empty. Replace the ... in its body."
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
        return "no super", "This module has no drawer for parameters."
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
                "super().__init__() has to come first in __init__, before anything is assigned."),
        Mistake(slip(Gain, ("forward", "__call__")),
                "Write forward; nn.Module has a __call__ already."),
        Mistake(slip(Gain, ("nn.Parameter(torch.zeros(1))", "torch.zeros(1)")),
                "So nothing learns. A plain number or tensor is not seen: wrap it in "
                "nn.Parameter(torch.zeros(1))."),
        Mistake(slip(Gain, ("zeros(1)", "zeros(4)")), "One was asked for."),
        Mistake(slip(Gain, ("zeros(1)", "ones(1)")), "So that nothing is added at first."),
        Mistake(slip(Gain, ("self.gain * x", "self.gain + x")),
                "Use the parameter itself in forward."),
        Mistake(slip(Gain, ("return self.gain * x", "pass")), "Return the number times x."),
        Mistake(slip(Gain, ("self.gain * x", "self.gain.item() * x")),
                "Use the parameter itself in forward, without .item(), .data or .detach()."),
    ),
    hints=("__init__ makes the number, forward uses it. What comes first in __init__?",
           "A plain tensor is not trained. nn.Parameter(torch.zeros(1)) is.",
           "forward(self, x) returns self.gain * x."),
    remark="With this at the end of a branch a residual block starts as the identity. Bachlechner "
           "et al. (2020) call it ReZero.", minutes=4, difficulty=2)

# ---------------------------------------------------------------- a hook


def peek(net, layer, x):
    """Return what the module ``layer`` puts out while ``net(x)`` runs."""
    seen = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    handle.remove()
    return seen[0]


def _networks(draw):
    for place in (1, 0, 2):
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        yield net, place, torch.randn(5, 3)


def _peeked(answer, case):
    """Return what the answer returned, and how many hooks it left behind."""
    net, place, x = case
    found = answer(net, net[place], x)
    return found if unsolved(found) else {"output": found, "hooks": len(net[place]._forward_hooks)}


def _one_tensor(given, case):
    found = given["output"]
    if isinstance(found, list | tuple):
        return f"Expected the output itself, a tensor; got a {type(found).__name__} around it."
    if not isinstance(found, torch.Tensor):
        return f"Expected a tensor, got {type(found).__name__}."
    return None


def _what_was_peeked(case, expected, given):
    if given["hooks"]:
        return "The hook is still on the layer and would run at every later call."
    return (f"Expected the layer's output of shape {tuple(expected['output'].shape)}, got other "
            f"numbers of shape {tuple(given['output'].shape)}.")


PEEK = Exercise(
    solve=peek, cases=_networks, run=_peeked, form=_one_tensor, where=_what_was_peeked,
    idea="Put a hook on layer, then call net(x).",
    mistakes=(
        Mistake(slip(peek, ("handle.remove()", "pass")),
                "Keep what register_forward_hook returns, and call .remove() on it."),
        Mistake(lambda net, layer, x: net(x),
                "This is what the whole network puts out. The hook receives (module, inputs, "
                "output): keep its output."),
        Mistake(slip(peek, ("append(output)", "append(inputs[0])")),
                "This is what goes in. The hook receives (module, inputs, output)."),
    ),
    hints=("layer.register_forward_hook(f) makes layer call f(module, inputs, output) each time.",
           "Let the hook append output to a list, call net(x), and return the list's first item.",
           "register_forward_hook returns a handle; handle.remove() takes the hook away again."),
    remark="This works for any layer of any network, without touching its code.",
    minutes=4, difficulty=2)

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
                "They share their weights. [layer] * depth repeats the layer; a loop makes new "
                "ones."),
        Mistake(slip(tower, (", nn.ReLU()", ""), ("*layers", "*layers, nn.ReLU()")),
                "Each turn of the loop adds both, a linear layer and a ReLU."),
        Mistake(slip(tower, ("*layers", "*layers[:-1]")),
                "The last one has a ReLU too."),
        Mistake(slip(tower, ("(width, width)", "(width, width + 1)")),
                "Both numbers of nn.Linear are the width."),
    ),
    hints=("Start with an empty list and add to it in a loop.",
           "Each turn adds two items: nn.Linear(width, width) and nn.ReLU().",
           "nn.Sequential(*layers): the star hands over the items, not the list."),
    remark="This is how torchvision builds the stages of a ResNet: a list, a loop, and a star.",
    minutes=4, difficulty=1)

