"""Exercises of notebook 01: g from f, the two stacks, a plain identity, a start, silence."""

import copy

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, same, seeded, unsolved

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
           "add.", minutes=2, difficulty=1)

# ---------------------------------------------------------------- the two stacks


def run_stack(x, blocks, residual):
    """Send x through all blocks; a residual stack adds each block's input to its answer."""
    for block in blocks:
        g = block(x)
        x = g + x if residual else g
    return x


def _stacks(draw):
    layers = [nn.Linear(3, 3) for _ in range(3)]
    return [(torch.randn(5, 3), layers, residual) for residual in (False, True)]


def _always(residual):
    return lambda x, blocks, _: run_stack(x, blocks, residual)


def _doubled(x, blocks, residual):
    for block in blocks:
        x = block(x)
        x = x + x if residual else x
    return x


def _first_input(x, blocks, residual):
    start = x
    for block in blocks:
        x = block(x) + start if residual else block(x)
    return x


def _once(x, blocks, residual):
    return run_stack(x, blocks, False) + (x if residual else 0)


STACK = Exercise(
    solve=run_stack, cases=_stacks,
    same=lambda one, other: same(one, other),
    where=lambda case, expected, given: (
        f"With residual={case[2]} three blocks should turn the first x into "
        f"{expected[0, 0].item():.3f} …; yours do not."),
    idea="Follow one x on paper through two blocks, once with the shortcut and once without.",
    mistakes=(
        Mistake(_always(False), "Your stack never adds x. Where is `residual` asked?"),
        Mistake(_always(True), "Your stack adds x in the plain case, too."),
        Mistake(_doubled, "You overwrote x before adding it: what you add is the answer again. "
                "Give the block's answer another name."),
        Mistake(_first_input, "You add the stack's first x everywhere; each block adds its own "
                "input, which the block before made."),
        Mistake(_once, "You add x once, round the whole stack; every block has a shortcut."),
    ),
    hints=("A loop over the blocks; x changes in every round.",
           "g = block(x) first; then the new x is g or g + x.",
           "x = g + x if residual else g"),
    remark="One addition a block is all that a residual stack has more than a plain one.",
    minutes=5, difficulty=2)

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
    remark="It is one pattern of many: with any invertible matrix A, the pair [A, −A] and "
           "[A⁻¹; −A⁻¹] does the same.", minutes=5, difficulty=2)

# ---------------------------------------------------------------- a start that passes x on


def passing_start(width, noise):
    """Return W1, W2: the pattern that passes x on, plus normal noise on every weight."""
    one = torch.eye(width)
    W1, W2 = torch.cat([one, -one], dim=1), torch.cat([one, -one], dim=0)
    return W1 + noise * torch.randn(W1.shape), W2 + noise * torch.randn(W2.shape)


def _noisy(answer, case):
    """Return in one word what the answer's two matrices are, beside the pattern."""
    width, noise = case
    given = answer(width, noise)
    if unsolved(given):
        return given
    if not (isinstance(given, tuple | list) and len(given) == 2
            and all(isinstance(weight, torch.Tensor) for weight in given)
            and [tuple(weight.shape) for weight in given]
            == [(width, 2 * width), (2 * width, width)]):
        return "shape"
    W1, W2 = (weight.detach().float() for weight in given)
    one = torch.eye(width) * W1.diagonal().mean().sign()
    left = W1 - torch.cat([one, -one], dim=1), W2 - torch.cat([one, -one], dim=0)
    spread, zeros = ([f(part).item() for part in left] for f in (
        torch.std, lambda part: (part == 0).float().mean()))
    lopsided = any(part.mean().abs() > part.std() / 2 for part in left)
    fits = {"still": max(spread) == 0, "one": min(spread) == 0, "where": max(zeros) > 0.1,
            "alone": W1.diagonal().mean().abs() < 0.5, "lopsided": lopsided,
            "size": not all(0.8 < value / noise < 1.25 for value in spread), "right": True}
    return next(kind for kind, fit in fits.items() if fit)


def _start(first=1.0, pattern=1.0, draw=torch.randn, power=1):
    """Return a wrong start: noise on W2 alone, no pattern, or noise of another kind."""
    def answer(width, noise):
        one = pattern * torch.eye(width)
        W1, W2 = torch.cat([one, -one], dim=1), torch.cat([one, -one], dim=0)
        return (W1 + first * noise**power * draw(W1.shape), W2 + noise**power * draw(W2.shape))
    return answer


def _factor(width, noise):
    W1, W2 = identity_weights(width)
    return W1 * (1 + noise * torch.randn(W1.shape)), W2 * (1 + noise * torch.randn(W2.shape))


START = Exercise(
    solve=passing_start, cases=lambda draw: [(32, 0.05), (40, 0.1)], run=_noisy,
    form=lambda given, case: None if given != "shape" else (
        "Expected W1 and W2, two tensors of shapes (width, 2·width) and (2·width, width)."),
    where=lambda case, expected, given: (
        f"For width {case[0]} and noise {case[1]} the start is not yet the pattern plus noise."),
    idea="Begin with the pattern of exercise 3 and add noise · torch.randn to every weight.",
    mistakes=(
        Mistake(lambda width, noise: identity_weights(width),
                "There is no noise on it: the two matrices are the bare pattern."),
        Mistake(_start(first=0), "One of the two matrices has no noise."),
        Mistake(_factor, "Many weights are still exactly 0: a factor does not move a 0. Add the "
                "noise."),
        Mistake(_start(pattern=0.0), "This is noise alone; the pattern is missing."),
        Mistake(_start(draw=torch.rand), "Your noise is never below 0; torch.randn has both "
                "signs, torch.rand has not."),
        Mistake(_start(power=2), "The noise has another size: its spread is to be `noise`."),
        Mistake(_start(first=15.0), "The noise has another size: its spread is to be `noise`."),
    ),
    hints=("The pattern is what your identity_weights returns.",
           "torch.randn(W1.shape) draws one number for every weight, with a spread of 1.",
           "W1 + noise * torch.randn(W1.shape), and the same for W2."),
    remark="Starts that let the input through have a name where the pattern is rotated at random: "
           "looks-linear (Balduzzi et al. 2017).", minutes=5, difficulty=2)

# ---------------------------------------------------------------- silence


def silence(block):
    """Make a small block answer 0 whatever it is given, and leave its first layer alone."""
    nn.init.zeros_(block[2].weight)
    nn.init.zeros_(block[2].bias)


def _small_blocks(draw):
    return [(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)),)]


def _silenced(answer, case):
    """Return in one word what is left of the block."""
    block, = case
    before = copy.deepcopy(block)
    answer(block)
    old, new = before.state_dict(), block.state_dict()
    if [type(part) for part in block.modules()] != [type(part) for part in before.modules()]:
        return "built"
    if old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old):
        return "unchanged"
    seeded(2)
    answers_zero = not block(torch.randn(50, 4)).any()
    cut = not all(torch.equal(old[name], new[name]) for name in ("0.weight", "0.bias"))
    fits = {"silent": answers_zero and not cut, "cut": answers_zero, "bias": not new[
        "2.weight"].any(), "weight": not new["2.bias"].any(), "inside": cut, "else": True}
    return next(kind for kind, fit in fits.items() if fit)


def _zero(*names):
    """Return a wrong answer: it fills the named tensors of the block with zeros."""
    def answer(block):
        for name in names:
            nn.init.zeros_(block.get_parameter(name))
    return answer


SILENT = Exercise(
    solve=silence, cases=_small_blocks, run=_silenced, changes=True,
    where=lambda case, expected, given: {
        "built": "You changed how the block is built; change numbers in its last layer instead.",
        "unchanged": "Not solved yet: your function changes nothing in the block.",
        "cut": "The block answers 0, but its first layer lost what it holds."}.get(
            given, "The block's answer is not 0 everywhere."),
    idea=lambda case, expected, given: (
        "Which layer has the last word?" if given == "else" else ""),
    mistakes=(
        Mistake(_zero("0.weight", "0.bias", "2.weight", "2.bias"),
                "The last layer alone is enough; the first one stays ready for use."),
        Mistake(_zero("2.weight"), "The last layer adds a bias as well."),
        Mistake(_zero("2.bias"), "The last layer multiplies before it adds: what about its "
                "weight?"),
        Mistake(_zero("0.weight", "0.bias"), "The first layer's zeros reach the last layer, which "
                "still adds its bias."),
    ),
    hints=("The block is a Sequential: block[2] is its last layer.",
           "nn.init.zeros_(tensor) fills a parameter with zeros, in place.",
           "Both block[2].weight and block[2].bias have to be 0."),
    remark="Such a block answers g = 0, so that with its shortcut it returns x exactly.",
    minutes=3, difficulty=1)
