"""Exercises of notebook 01: what is left to add, a plain block that does nothing, silence."""

import copy

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved
from resnet_lesson.networks.blocks import BasicBlock


def coefficients_of_g(a, b, c):
    """Return the coefficients of g(x) = f(x) − x for f(x) = ax² + bx + c."""
    return a, b - 1, c


def _judge_coefficients(answer):
    a, b, c = (torch.rand(3) * 8 + 2).round(decimals=1).tolist()
    given = answer(a, b, c)
    if unsolved(given):
        return NOT_SOLVED
    try:
        found = torch.tensor([float(value) for value in given])
    except (TypeError, ValueError):
        found = torch.tensor([])
    if len(found) != 3:
        return (f"Expected three numbers, the factors of x², of x and the constant; "
                f"got {given!r}. Return them separated by commas.")
    x = torch.linspace(-3, 3, 101)
    right = a * x**2 + b * x + c - x
    curve = found[0] * x**2 + found[1] * x + found[2]
    if torch.allclose(curve, right, atol=1e-3):
        return None
    tried = (f"For f(x) = {a:.1f}x² + {b:.1f}x + {c:.1f} your g(x) + x misses f(x) by up to "
             f"{(curve - right).abs().max():.3g}. ")
    change = found - torch.tensor([a, b, c])
    if torch.allclose(change, torch.zeros(3), atol=1e-4):
        return tried + "You returned f itself: g is what is left of f after taking x away."
    if torch.allclose(change, torch.tensor([0.0, 1.0, 0.0]), atol=1e-4):
        return tried + "You added x instead of taking it away: g(x) = f(x) − x."
    if torch.allclose(change, torch.tensor([0.0, 0.0, -1.0]), atol=1e-4):
        return tried + "You took the number 1 away; take x away, which has the factor 1."
    if torch.allclose(change, torch.tensor([-1.0, -1.0, -1.0]), atol=1e-4):
        return tried + "You took 1 from every factor; only one of the three belongs to x."
    if torch.allclose(found.flip(0), torch.tensor([a, b - 1, c]), atol=1e-4):
        return tried + "The numbers are right and in reverse order; start with the one of x²."
    return tried + "Write f(x) − x out and collect the terms with x², with x and without x."


COEFFICIENTS = Exercise(
    _judge_coefficients, coefficients_of_g,
    ("Write f(x) − x = ax² + bx + c − x.", "Which of the three terms is of the same kind as x?",
     "bx − x = (b − 1)x; nothing else changes."),
    "If f is the identity already, a = 0, b = 1, c = 0, then all three are 0: nothing to add.")


def identity_weights(width):
    """Return W1, W2 with relu(x @ W1) @ W2 = x for every x of shape (..., width).

    W1 has the shape (width, 2·width) and keeps x and −x, since relu(x) − relu(−x) = x; W2 has
    the shape (2·width, width) and subtracts the second half from the first.
    """
    one = torch.eye(width)
    return torch.cat([one, -one], dim=1), torch.cat([one, -one], dim=0)


def _judge_identity(answer):
    width = int(torch.randint(3, 9, ()))
    given = answer(width)
    if unsolved(given):
        return NOT_SOLVED
    if not (isinstance(given, tuple | list) and len(given) == 2
            and all(isinstance(weight, torch.Tensor) for weight in given)):
        return f"Expected two tensors, W1 and W2; got {type(given).__name__}. Return W1, W2."
    first, second = given
    shapes = (width, 2 * width), (2 * width, width)
    if (tuple(first.shape), tuple(second.shape)) != shapes:
        return (f"For width {width} the shapes must be {shapes[0]} and {shapes[1]}; yours are "
                f"{tuple(first.shape)} and {tuple(second.shape)}. torch.cat joins two matrices "
                "side by side with dim=1, one above the other with dim=0.")
    x = torch.randn(200, width)
    out = torch.relu(x @ first.float()) @ second.float()
    if torch.allclose(out, x, atol=1e-5):
        return None
    sample = f"x = {x[0, 0]:.2f} came out as {out[0, 0]:.2f}. "
    if not out.any():
        return ("Every output is 0. That is how a residual block does nothing; a plain block has "
                "no x to fall back on and must carry every number through.")
    if torch.allclose(out, x.relu(), atol=1e-5):
        return sample + ("Numbers above 0 pass, the others are lost in the ReLU. Use the second "
                         "half of the hidden numbers to carry −x past it.")
    if torch.allclose(out, x.abs(), atol=1e-5):
        return sample + "You get |x|: relu(−x) has to be subtracted, so W2 needs a minus sign."
    if torch.allclose(out, -x, atol=1e-5):
        return sample + "You get −x: one of the two minus signs sits on the wrong half."
    factor = (out * x).sum() / (x * x).sum()
    if torch.allclose(out, factor * x, atol=1e-4):
        return sample + f"You get x times {factor:.3g}: the two halves share x, they do not add up."
    return sample + "Look at one number alone: which two ReLUs, combined how, give it back?"


IDENTITY = Exercise(
    _judge_identity, identity_weights,
    ("A ReLU alone loses the numbers below 0. Where does −x end up?",
     "relu(x) − relu(−x) = x for every number x.",
     "W1 = torch.cat([I, -I], dim=1) with I = torch.eye(width); W2 joins the same two with dim=0."),
    "A plain block can do nothing, then, but only with a special pattern in all of its weights.")


def silence(block):
    """Make a BasicBlock's branch return 0 in both modes, and leave its convolutions alone."""
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)


def _judge_silence(answer):
    block = BasicBlock(4, 4)
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                tensor.copy_(torch.randn(4))
            norm.running_var.copy_(torch.rand(4) + 0.5)
    before = copy.deepcopy(block)
    replaced = answer(block)
    if isinstance(replaced, nn.Module) and replaced is not block:
        return "You returned another block; change the weights of the one that was given."
    changed = [name for name, tensor in block.state_dict().items()
               if name not in before.state_dict()
               or not torch.equal(tensor, before.state_dict()[name])]
    if not changed and block.residual and isinstance(block.bn2, nn.BatchNorm2d):
        return "Not solved yet: your function changes nothing in the block."
    if not block.residual or [type(m) for m in block.modules()] != [
            type(m) for m in before.modules()]:
        return "You changed how the block is built; change numbers in its last norm instead."
    x = torch.randn(8, 4, 5, 5)
    wanted = x.relu()
    missed = {}
    for mode in (True, False):
        with torch.no_grad():
            missed[mode] = (copy.deepcopy(block).train(mode)(x) - wanted).abs().max().item()
    cut = sorted({name.split(".")[0] for name in changed if name.startswith("conv")})
    if max(missed.values()) == 0:
        return (f"The block does nothing, but {' and '.join(cut)} lost what they had learned. "
                "Two tensors of the last norm are enough, and all the rest stays ready for "
                "use.") if cut else None
    worst = (f"The block should return relu(x); it misses by up to {missed[True]:.3g} in training "
             f"mode and {missed[False]:.3g} in evaluation mode. ")
    if block.bn2.weight.any():
        if any(name.startswith("bn2") for name in changed):
            return worst + "The last norm multiplies by its weight: is every entry of it 0?"
        return worst + ("A zero further inside does not stay 0: batch norm subtracts a mean and "
                        "adds a bias after it. Which layer has the last word?")
    if block.bn2.bias.any():
        return worst + ("The scale is 0, and what is left is the shift: this block was trained, so "
                        "its last bias is not 0 any more.")
    return worst + "Compare block.branch(x) with zeros."


SILENCE = Exercise(
    _judge_silence, silence,
    ("The branch ends in block.bn2, which computes weight · normalised + bias.",
     "nn.init.zeros_(tensor) fills a parameter with zeros, in place.",
     "Both block.bn2.weight and block.bn2.bias have to be 0."),
    "Fresh blocks have a bias of 0 already; there, zeroing the scale alone is enough, and that is "
    "how torchvision's zero_init_residual=True starts every block.")
