"""Exercises of notebook 01: what is left to add, a plain block that does nothing, silence."""

import copy

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, same, seeded, unsolved
from resnet_lesson.networks.blocks import BasicBlock

# ---------------------------------------------------------------- what is left to add


def coefficients_of_g(a, b, c):
    """Return the coefficients of g(x) = f(x) − x for f(x) = ax² + bx + c."""
    return a, b - 1, c


def _polynomials(draw):
    return [tuple(round(draw.uniform(2, 10), 1) for _ in range(3)) for _ in range(3)]


def _three_numbers(given, case):
    try:
        count = len([float(value) for value in given])
    except (TypeError, ValueError):
        count = 0
    if count == 3:
        return None
    return (f"Expected three numbers, the factors of x², of x and the constant; "
            f"got {given!r:.80}. Return them separated by commas.")


def _misses(case, expected, given):
    x = torch.linspace(-3, 3, 101, dtype=torch.float64)
    powers = torch.stack([x**2, x, torch.ones_like(x)])
    gap = torch.tensor([float(g) - e for g, e in zip(given, expected, strict=True)],
                       dtype=torch.float64) @ powers
    a, b, c = case
    return (f"For f(x) = {a:.1f}x² + {b:.1f}x + {c:.1f} your g(x) + x misses f(x) by up to "
            f"{gap.abs().max():.3g}.")


COEFFICIENTS = Exercise(
    solve=coefficients_of_g, cases=_polynomials, form=_three_numbers, where=_misses,
    same=lambda one, other: same([float(value) for value in one], list(other)),
    idea="Write f(x) − x out and collect the terms with x², with x and without x.",
    mistakes=(
        Mistake(lambda a, b, c: (a, b, c),
                "You returned f itself: g is what is left of f after taking x away."),
        Mistake(lambda a, b, c: (a, b + 1, c),
                "You added x instead of taking it away: g(x) = f(x) − x."),
        Mistake(lambda a, b, c: (a, b, c - 1),
                "You took the number 1 away; take x away, which has the factor 1."),
        Mistake(lambda a, b, c: (a - 1, b - 1, c - 1),
                "You took 1 from every factor; only one of the three belongs to x."),
        Mistake(lambda a, b, c: (c, b - 1, a),
                "The numbers are right and in reverse order; start with the one of x²."),
    ),
    hints=("Write f(x) − x = ax² + bx + c − x.", "Which of the three terms is of the same kind as "
           "x?", "bx − x = (b − 1)x; nothing else changes."),
    remark="If f is the identity already, a = 0, b = 1, c = 0, then all three are 0: nothing to "
           "add.", minutes=3, difficulty=1)

# ---------------------------------------------------------------- a plain block that does nothing


def identity_weights(width):
    """Return W1, W2 with relu(x @ W1) @ W2 = x for every x of shape (..., width).

    W1 has the shape (width, 2·width) and keeps x and −x, since relu(x) − relu(−x) = x; W2 has
    the shape (2·width, width) and subtracts the second half from the first.
    """
    one = torch.eye(width)
    return torch.cat([one, -one], dim=1), torch.cat([one, -one], dim=0)


def _through(answer, case):
    """Return (x, what the answer's two matrices make of it), or what is no pair of them."""
    width, = case
    given = answer(width)
    if unsolved(given):
        return given
    if not (isinstance(given, tuple | list) and len(given) == 2
            and all(isinstance(weight, torch.Tensor) for weight in given)):
        return f"Expected two tensors, W1 and W2; got {type(given).__name__}. Return W1, W2."
    first, second = given
    shapes = (width, 2 * width), (2 * width, width)
    if (tuple(first.shape), tuple(second.shape)) != shapes:
        return (f"For width {width} the shapes must be {shapes[0]} and {shapes[1]}; yours are "
                f"{tuple(first.shape)} and {tuple(second.shape)}. torch.cat joins two matrices "
                "side by side with dim=1, one above the other with dim=0.")
    seeded(2)
    x = torch.randn(200, width)
    return x, torch.relu(x @ first.float()) @ second.float()


def _sample(case, expected, given):
    if not given[1].any():
        return "Every output is 0."
    return f"x = {given[0][0, 0]:.2f} came out as {given[1][0, 0]:.2f}."


def _scaled(first, second):
    """Return a wrong answer: the four blocks of both matrices as multiples of the identity."""
    def answer(width):
        one = torch.eye(width)
        return (torch.cat([first[0] * one, first[1] * one], dim=1),
                torch.cat([second[0] * one, second[1] * one], dim=0))
    return answer


def _share(case, expected, given):
    x, out = given
    factor = (out * x).sum() / (x * x).sum()
    if torch.allclose(out, factor * x, atol=1e-4):
        return f"You get x times {factor:.3g}. The two halves share x, they do not add up."
    return "Look at one number alone: which two ReLUs, combined how, give it back?"


IDENTITY = Exercise(
    solve=identity_weights, cases=lambda draw: [(draw.randint(3, 8),) for _ in range(3)],
    run=_through, form=lambda given, case: given if isinstance(given, str) else None,
    where=_sample, idea=_share,
    mistakes=(
        Mistake(_scaled((1, -1), (0, 0)),
                "That is how a residual block does nothing; a plain block has no x to fall back "
                "on and must carry every number through."),
        Mistake(_scaled((1, 1), (1, 0)),
                "Numbers above 0 pass, the others are lost in the ReLU. Use the second half of "
                "the hidden numbers to carry −x past it."),
        Mistake(_scaled((1, -1), (1, 1)),
                "You get |x|: relu(−x) has to be subtracted, so W2 needs a minus sign."),
        Mistake(_scaled((1, -1), (-1, 1)),
                "You get −x: one of the two minus signs sits on the wrong half."),
        Mistake(_scaled((1, -1), (0.5, -0.5)), "The two halves share x, they do not add up."),
    ),
    hints=("A ReLU alone loses the numbers below 0. Where does −x end up?",
           "relu(x) − relu(−x) = x for every number x.",
           "W1 = torch.cat([I, -I], dim=1) with I = torch.eye(width); W2 joins the same two with "
           "dim=0."),
    remark="A plain block can do nothing, then, but only with a special pattern in all of its "
           "weights.", minutes=6, difficulty=2)

# ---------------------------------------------------------------- silence


def silence(block):
    """Make a BasicBlock's branch return 0 in both modes, and leave its convolutions alone."""
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)


def _trained_blocks(draw):
    """Return a block whose norms have learned something, as after a training."""
    block = BasicBlock(4, 4)
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
    remark="Fresh blocks have a bias of 0 already; there, zeroing the scale alone is enough, and "
           "that is how torchvision's zero_init_residual=True starts every block.",
    minutes=5, difficulty=2)
