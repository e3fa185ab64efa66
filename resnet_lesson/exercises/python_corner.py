"""Exercises of ``A1_python_corner``: attributes, modules, hooks and containers."""

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved


class MyDiary:
    """Keep losses, in a list of one's own."""

    def __init__(self):
        self.losses = []

    def note(self, loss):
        """Add a loss to the list."""
        self.losses.append(loss)


class Gain(nn.Module):
    """Multiply an input of any shape by one learned number that starts at zero."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        """Return gain · x."""
        return self.gain * x


def peek(net, layer, x):
    """Return what the module ``layer`` puts out while ``net(x)`` runs."""
    seen = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    handle.remove()
    return seen[0]


def tower(depth, width):
    """Return ``depth`` linear layers of width → width as a Sequential, a ReLU after each."""
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers)


def _judge_diary(answer):
    if not isinstance(answer, type):
        return f"Expected a class, got {type(answer).__name__}. Hand in MyDiary without brackets."
    if not (callable(getattr(answer, "note", None)) or "__init__" in vars(answer)
            or hasattr(answer, "losses")):
        return "Not solved yet: the class is still empty. Replace the ... in its body."
    anna, ben = answer(), answer()
    if not hasattr(anna, "losses"):
        return ("A new diary needs the attribute losses. Inside __init__ write "
                "self.losses = []; without self. it is a local variable that is gone at once.")
    if not callable(getattr(anna, "note", None)):
        return "A diary needs a method note(self, loss) that adds a loss to the list."
    anna.note(0.7)
    if list(ben.losses) == [0.7]:
        if "losses" in vars(answer):
            return ("Anna's note is still in Ben's diary: the list stands in the class body and "
                    "exists once. Move it to __init__, as self.losses = [].")
        return ("Anna's note is still in Ben's diary. A default argument such as losses=[] is "
                "made once too, when the function is defined. Make the list inside __init__.")
    anna.note(0.5)
    if list(anna.losses) != [0.7, 0.5]:
        return f"After noting 0.7 and 0.5 Anna's list should be [0.7, 0.5]; it is {anna.losses}."
    return None


@torch.random.fork_rng(devices=[])  # the notebook's own random numbers stay as they were
def _judge_gain(answer):
    if not (isinstance(answer, type) and issubclass(answer, nn.Module)):
        return "Expected a class derived from nn.Module: class Gain(nn.Module)."
    if not {"__init__", "forward"} & set(vars(answer)):
        return "Not solved yet: the class is still empty. Replace the ... in its body."
    try:
        module = answer()
    except AttributeError as error:
        if "__init__() call" in str(error):
            return (f"PyTorch says “{error}”: super().__init__() has to come first in "
                    "__init__, before anything is assigned.")
        raise
    if "__call__" in vars(answer):
        return ("You wrote __call__ and so replaced what runs the hooks. Write forward; "
                "nn.Module has a __call__ already.")
    if not hasattr(module, "_parameters"):
        return ("super().__init__() is missing: this module has no drawer for parameters. Put it "
                "first in __init__.")
    numbers = sum(parameter.numel() for parameter in module.parameters())
    if numbers == 0:
        return ("The module has no parameters, so nothing learns. A plain number or tensor is "
                "not seen: wrap it in nn.Parameter(torch.zeros(1)).")
    if numbers != 1:
        return f"One learned number was asked for; this module has {numbers}."
    (gain,) = module.parameters()
    if gain.item() != 0:
        return ("The number should start at 0, so that nothing is added; it starts at "
                f"{gain.item():.3g}.")
    with torch.no_grad():
        gain.fill_(3)
    for shape in ((2,), (3, 4), (2, 3, 5, 5)):
        x = torch.randn(shape)
        out = module(x)
        if unsolved(out):
            return "forward returns nothing yet. Return the number times x."
        if out.shape != x.shape or not torch.allclose(out, 3 * x):
            return (f"With the number set to 3 and an input of shape {shape}, the output should "
                    "be 3·x of the same shape. Use the parameter itself in forward.")
    module(torch.ones(2)).sum().backward()
    if gain.grad is None or gain.grad.item() != 2:
        return ("No gradient reaches the number. Use the parameter itself in forward, without "
                ".item(), .data or .detach().")
    return None


@torch.random.fork_rng(devices=[])
def _judge_peek(answer):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for layer in (net[1], net[0], net[2]):
        before = len(layer._forward_hooks)
        x = torch.randn(5, 3)
        place = list(net).index(layer)
        inputs = net[:place](x)
        expected = layer(inputs)
        got = answer(net, layer, x)
        if unsolved(got):
            return NOT_SOLVED
        if len(layer._forward_hooks) > before:
            return ("The hook is still on the layer and would run at every later call. Keep what "
                    "register_forward_hook returns, and call .remove() on it.")
        if isinstance(got, list | tuple):
            return f"Expected the output itself, a tensor; got a {type(got).__name__} around it."
        if not isinstance(got, torch.Tensor):
            return f"Expected a tensor, got {type(got).__name__}."
        if got.shape == expected.shape and torch.allclose(got, expected):
            continue
        if got.shape == (5, 2) and torch.allclose(got, net(x)):
            return ("This is what the whole network puts out. The hook receives (module, inputs, "
                    "output): keep its output.")
        if got.shape == inputs.shape and torch.allclose(got, inputs):
            return "This is what goes in. The hook receives (module, inputs, output)."
        return (f"Expected the layer's output of shape {tuple(expected.shape)}, got other numbers "
                f"of shape {tuple(got.shape)}. Put a hook on layer, then call net(x).")
    return None


@torch.random.fork_rng(devices=[])
def _judge_tower(answer):
    for depth, width in ((1, 3), (4, 2)):
        net = answer(depth, width)
        if unsolved(net):
            return NOT_SOLVED
        if isinstance(net, list | tuple):
            return ("This is a plain list: it cannot be called, and no parameters would be found. "
                    "Put it into nn.Sequential, with a star.")
        if not isinstance(net, nn.Sequential):
            return f"Expected an nn.Sequential, got {type(net).__name__}."
        expected = [kind for _ in range(depth) for kind in (nn.Linear, nn.ReLU)]
        kinds = [type(layer) for layer in net]
        if kinds != expected:
            return (f"For depth {depth} the layers should be "
                    f"{' '.join(kind.__name__ for kind in expected)}; they are "
                    f"{' '.join(kind.__name__ for kind in kinds)}.")
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        if any(layer.weight.shape != (width, width) for layer in linear):
            return f"Every linear layer should map {width} → {width} numbers."
        if len({id(layer) for layer in linear}) < depth:
            return (f"There should be {depth} linear layers; these are {depth} names for one, "
                    "which shares its weights. [layer] * depth repeats the layer; a loop makes "
                    "new ones.")
    return None


diary_exercise = Exercise(
    _judge_diary, MyDiary,
    ("What should happen for each new diary, once per object?",
     "__init__ runs once per object, and self is that object.",
     "def __init__(self): self.losses = []"),
    "Numbers and strings in a class body look harmless, since they cannot be changed, only "
    "replaced; lists, dicts and tensors can be.")

gain_exercise = Exercise(
    _judge_gain, Gain,
    ("__init__ makes the number, forward uses it. What comes first in __init__?",
     "A plain tensor is not trained. nn.Parameter(torch.zeros(1)) is.",
     "forward(self, x) returns self.gain * x."),
    "With this at the end of a branch a residual block starts as the identity. Bachlechner et "
    "al. (2020) call it ReZero.")

peek_exercise = Exercise(
    _judge_peek, peek,
    ("layer.register_forward_hook(f) makes layer call f(module, inputs, output) each time.",
     "Let the hook append output to a list, call net(x), and return the list's first item.",
     "register_forward_hook returns a handle; handle.remove() takes the hook away again."),
    "This works for any layer of any network, without touching its code.")

tower_exercise = Exercise(
    _judge_tower, tower,
    ("Start with an empty list and add to it in a loop.",
     "Each turn adds two items: nn.Linear(width, width) and nn.ReLU().",
     "nn.Sequential(*layers): the star hands over the items, not the list."),
    "This is how torchvision builds the stages of a ResNet: a list, a loop, and a star.")
