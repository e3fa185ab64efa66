"""Exercises of notebook 02: a stack's slope, shares of paths, both terms, gradients by block."""

import itertools
import math

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks.blocks import BasicBlock

# ---------------------------------------------------------------- the slope of a stack


def stack_slope(layers, x, shortcut):
    """Return the slope at x of a stack of layers, each a pair (g, slope of g)."""
    product = 1
    for g, slope in layers:
        if shortcut:
            product = product * (slope(x) + 1)
            x = g(x) + x
        else:
            product = product * slope(x)
            x = g(x)
    return product


def _stacks(draw):
    """Return stacks of parabolas g(x) = ax² + bx, without and with shortcuts."""
    def layer():
        a, b = draw.uniform(0.1, 0.4), draw.uniform(0.3, 0.9)
        return lambda x: a * x ** 2 + b * x, lambda x: 2 * a * x + b
    return [([layer() for _ in range(layers)], draw.uniform(0.4, 1.2), shortcut)
            for layers in (2, 3, 4) for shortcut in (False, True)]


def _by_autograd(layers, x, shortcut):
    x = y = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    for g, _ in layers:
        y = g(y) + y if shortcut else g(y)
    return torch.autograd.grad(y, x)[0].item()


def _value(layers, x, shortcut):
    for g, _ in layers:
        x = g(x) + x if shortcut else g(x)
    return x


SLOPE = Exercise(
    solve=stack_slope, cases=_stacks, oracle=_by_autograd,
    where=lambda case, expected, given: (
        f"For {len(case[0])} layers, x = {case[1]:.3f} and shortcut={case[2]}: expected "
        f"{expected:.4g}, got {given:.4g}."),
    form=lambda given, case: None if is_number(given) else (
        f"Expected one number, the slope of the whole stack; got {type(given).__name__}."),
    idea="Walk x through the stack, layer by layer, and multiply the slopes that it meets.",
    mistakes=(
        Mistake(slip(stack_slope, ("x = g(x) + x", "pass"), ("x = g(x)", "pass")),
                "You take every slope at the first x. A layer's slope counts where its own input "
                "lies, so x has to move through the stack."),
        Mistake(slip(stack_slope, ("product * (slope(x) + 1)", "product * slope(x)")),
                "With shortcuts the derivative of g(x) + x is g′(x) + 1; your 1 is missing."),
        Mistake(slip(stack_slope, ("product * (slope(x) + 1)", "product * slope(x)"),
                     ("return product", "return product + shortcut")),
                "The 1 stands in every factor, not once at the end: the product of all (g′ + 1)."),
        Mistake(slip(stack_slope, ("x = g(x) + x", "x = g(x)")),
                "The 1 is there, but x moves on as if there were no shortcut: the next layer gets "
                "g(x) + x."),
        Mistake(slip(stack_slope, ("product = 1", "product = 0"), ("product * (", "product + ("),
                     ("product * slope", "product + slope")),
                "You add the slopes. The chain rule multiplies them."),
        Mistake(_value, "That is what comes out of the stack, not its slope."),
        Mistake(lambda layers, x, shortcut: stack_slope(layers, x, not shortcut),
                "Both stacks are right, but exchanged: shortcut=True is the one with + x."),
        Mistake(lambda layers, x, shortcut: stack_slope(layers, x, False),
                "This is the plain stack; with shortcut=True each layer computes g(x) + x."),
    ),
    hints=("On paper: g(x) = x² twice, at x = 2. The first slope is 4, taken at 2. Where is the "
           "second one taken?",
           "Keep two things in the loop: the x that enters the next layer, and the product so "
           "far, which starts at 1.",
           "The slope comes before x moves on. With a shortcut both gain something: the slope a "
           "1, the output x."),
    remark="torch's autograd found the same. It does just this, backwards, with matrices.",
    minutes=4, difficulty=1)

# ---------------------------------------------------------------- shares of the paths


def shares_by_length(slopes):
    """Return what paths of 0, 1, … L branches carry of the product of all (1 + w), as shares."""
    sums = [1.0]
    for w in slopes:
        by_shortcut, by_branch = [*sums, 0], [0, *[w * part for part in sums]]
        sums = [one + other for one, other in zip(by_shortcut, by_branch, strict=True)]
    return [part / sum(sums) for part in sums]


def _path_by_path(slopes):
    """Return the same as a tensor, with all 2^L paths walked one by one."""
    sums = torch.zeros(len(slopes) + 1, dtype=torch.float64)
    for choice in itertools.product([0, 1], repeat=len(slopes)):
        sums[sum(choice)] += math.prod(itertools.compress(slopes, choice))
    return sums / sums.sum()


def _sums(slopes):
    return [share * math.prod(1 + w for w in slopes) for share in shares_by_length(slopes)]


def _twice(slopes):
    sums = [1.0] + [0.0] * len(slopes)
    for w in slopes:
        for k in range(len(slopes)):
            sums[k + 1] += w * sums[k]
    return [part / sum(sums) for part in sums]


def _first(slopes):
    return [math.prod(slopes[:k]) for k in range(len(slopes) + 1)]


def _numbers(answer, case):
    given = answer(*case)
    if isinstance(given, list | tuple) and not unsolved(*given):
        if any(isinstance(value, torch.Tensor) and value.numel() > 1 for value in given):
            return given
        given = [float(torch.as_tensor(value).detach()) for value in given]
    return given if unsolved(given) else torch.as_tensor(given, dtype=torch.float64).flatten()


def _how_many(given, case):
    if not isinstance(given, torch.Tensor):
        return "Expected a list of numbers; yours holds tensors of several."
    if len(given) == len(case[0]) + 1:
        return None
    return (f"Expected {len(case[0]) + 1} numbers for {len(case[0])} slopes, got {len(given)}. A "
            "path can go through 0, 1, … or all of the branches.")


PATH_SHARES = Exercise(
    solve=shares_by_length, run=_numbers, form=_how_many,
    cases=lambda draw: [([draw.uniform(0.2, 2.5) for _ in range(size)],)
                        for size in (2, 3, 5, 7)],
    oracle=_path_by_path,
    where=lambda case, expected, given: (
        f"For the slopes {', '.join(f'{w:.2f}' for w in case[0])}: expected shares that begin "
        f"{expected[0]:.3f}, {expected[1]:.3f} and add up to 1; yours begin {given[0]:.3f}, "
        f"{given[1]:.3f} and add up to {given.sum():.3f}."),
    idea="One block with slope w turns each path into two: one goes through its shortcut and "
         "carries what it had, one through its branch and carries w times that.",
    mistakes=(
        Mistake(_sums, "These are the sums, which add up to the product of all (1 + w). A share "
                       "is a sum divided by that."),
        Mistake(lambda slopes: [math.comb(len(slopes), k) / 2 ** len(slopes)
                                for k in range(len(slopes) + 1)],
                "These are shares of the number of paths. Each path also carries something: the "
                "product of the slopes on it."),
        Mistake(lambda slopes: [math.comb(len(slopes), k) for k in range(len(slopes) + 1)],
                "These are numbers of paths. What does each of them carry?"),
        *(Mistake(wrong, "This follows one path of each length, through the first k branches. "
                         "Any k of the branches will do.") for wrong in (
            _first, lambda slopes: [part / sum(_first(slopes)) for part in _first(slopes)],
            lambda slopes: [part / math.prod(1 + w for w in slopes)
                            for part in _first(slopes)])),
        Mistake(lambda slopes: shares_by_length([sum(slopes) / len(slopes)] * len(slopes)),
                "This takes their mean for every slope. The slopes differ, and so do the products "
                "of any two of them."),
        Mistake(lambda slopes: shares_by_length(slopes)[::-1],
                "The right shares in reversed order: entry 0 belongs to the path that goes "
                "through no branch at all."),
        Mistake(_twice, "Some paths pass the same branch twice: you add to an entry that this "
                        "block has changed already. Start from the long end, or make a new list."),
    ),
    hints=("Begin with no block: one path, of length 0, which carries 1. So the list is [1].",
           "Add a block with slope w. What had length k keeps it by the shortcut, and becomes "
           "k + 1 by the branch, times w. So [1] becomes [1, w].",
           "The new list is the old one with a 0 at its end, plus w times the old one with a 0 at "
           "its front. After the last block divide by the sum."),
    remark="Your loop visits each block once; walking all 2^L paths one by one would take "
           "65,536 products for 16 blocks. The measurement below does the same with matrices.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- two terms


def two_terms(g, x, v):
    """Return the two terms of the gradient of ⟨v, x + g(x)⟩ at x: (skip, branch)."""
    x = x.detach().requires_grad_()
    skip = v
    branch, = torch.autograd.grad(g(x), x, v)
    return skip, branch


def _branches(draw):
    """Return three small branches g, each with an x and a v of shape (2, C, side, side)."""
    for _ in range(3):
        channels, side = draw.randint(1, 4), draw.randint(3, 6)
        g = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.Tanh())
        yield g, *torch.randn(2, 2, channels, side, side)


def _a_pair(given, case):
    if not isinstance(given, tuple | list) or len(given) != 2:
        return (f"Expected a pair (skip, branch), got {type(given).__name__}. The derivative "
                "of a sum is a sum of two terms; return both, not their sum.")
    if unsolved(*given):
        return "Not solved yet: one of the two terms is still missing."
    for name, part in zip(("skip", "branch"), given, strict=True):
        if isinstance(part, tuple):
            return (f"The {name} term is a tuple. torch.autograd.grad returns one; take its only "
                    "entry, as in branch, = torch.autograd.grad(…).")
        if torch.as_tensor(part).shape != case[1].shape:
            return (f"The {name} term has the shape {tuple(torch.as_tensor(part).shape)}; a "
                    f"gradient at x has the shape of x, {tuple(case[1].shape)}.")
    return None


def _which_term(case, expected, given):
    if same(list(given), list(expected)[::-1]):
        return "Both terms are right, but in the wrong order."
    if not same(given[0], expected[0]):
        return "The skip term is not what was expected."
    return "The branch term is not Jᵀv, the gradient of g(x) at x with v as upstream gradient."


def _idea(case, expected, given):
    if not same(given[0], expected[0]):
        return ("The shortcut computes x, its derivative is the identity: what does the identity "
                "do to v?")
    return "torch.autograd.grad(output, input, v) computes just that."


def _other_skip(skip):
    return lambda g, x, v: (skip(x, v), two_terms(g, x, v)[1])


def _other_branch(branch):
    return lambda g, x, v: (v, branch(g, x, v))


TWO_TERMS = Exercise(
    solve=two_terms, cases=_branches, form=_a_pair, where=_which_term, idea=_idea,
    mistakes=(
        Mistake(lambda g, x, v: two_terms(g, x, v)[::-1],
                "The shortcut's term comes first. Which of the two does not depend on g?"),
        Mistake(_other_skip(lambda x, v: torch.ones_like(x)),
                "It is all ones. The derivative of x is 1, but the chain rule multiplies it by "
                "the upstream gradient v."),
        Mistake(_other_skip(lambda x, v: x),
                "It is x itself. That is what the shortcut sends forwards; backwards it sends "
                "the upstream gradient."),
        Mistake(_other_branch(lambda g, x, v: two_terms(g, x, v)[1] + v),
                "It holds the skip term a second time. Differentiate g(x) alone, not g(x) + x."),
        Mistake(_other_branch(lambda g, x, v: g(x).detach() * v),
                "It is g(x)·v, which contains no derivative. Ask torch for the gradient of g(x) "
                "at x, with v as upstream gradient."),
        Mistake(_other_branch(lambda g, x, v: two_terms(g, x, torch.ones_like(v))[1]),
                "It is the gradient of the sum of g(x); v is missing. Give it to "
                "torch.autograd.grad as its third argument."),
    ),
    hints=("The shortcut computes x. Its derivative is the identity, so the upstream gradient v "
           "passes unchanged.",
           "The branch needs a gradient through g. Make a copy of x that asks for one: "
           "x = x.detach().requires_grad_().",
           "torch.autograd.grad(g(x), x, v) returns a tuple with one tensor: Jᵀv."),
    remark="The first term does not contain g: however small the branch's derivative, v arrives.",
    minutes=4, difficulty=2)

# ---------------------------------------------------------------- gradients block by block


def gradient_norms(blocks, loss, x):
    """Return the norm of the loss's gradient at the output of each block, first to last."""
    outputs = []
    for block in blocks:
        x = block(x)
        outputs.append(x)
    return [gradient.norm().item() for gradient in torch.autograd.grad(loss(x), outputs)]


def _stack_of_blocks(draw):
    """Return small networks as the exercise gets them: blocks, a loss, a batch."""
    for number in (2, 3, 4):
        channels = draw.randint(2, 4)
        blocks = [BasicBlock(channels, channels, residual=draw.random() < 0.5, norm=False)
                  for _ in range(number)]
        target = torch.randn(3, channels, 5, 5)
        yield blocks, lambda out, target=target: (out - target).square().sum(), torch.rand_like(
            target)


def _each(change):
    """Return a wrong answer made from the gradients at (input, each output) and these values."""
    def wrong(blocks, loss, x):
        values = [x.detach().requires_grad_()]
        for block in blocks:
            values.append(block(values[-1]))
        return change(torch.autograd.grad(loss(values[-1]), values), values)
    return wrong


def _of_weights(blocks, loss, x):
    out = nn.Sequential(*blocks)(x)
    return [gradient.norm() for gradient in torch.autograd.grad(
        loss(out), [block.conv1.weight for block in blocks])]


def _one_per_block(given, case):
    if not isinstance(given, torch.Tensor):
        return "These are whole tensors of gradients. Return the norm of each, one number a block."
    if len(given) == len(case[0]):
        return None
    return (f"Expected {len(case[0])} numbers, one for each block, got {len(given)}. Keep every "
            "block's output on the way forward.")


BLOCK_GRADIENTS = Exercise(
    solve=gradient_norms, run=_numbers, cases=_stack_of_blocks, form=_one_per_block,
    where=lambda case, expected, given: (
        f"For {len(case[0])} blocks: expected {expected[0]:.4g} at the first and "
        f"{expected[-1]:.4g} at the last, got {given[0]:.4g} and {given[-1]:.4g}."),
    idea="At each output of a block ask for the gradient of the loss, then take its norm.",
    mistakes=(
        Mistake(_each(lambda gradients, _: [part.norm() for part in gradients[:-1]]),
                "These are the gradients at the inputs of the blocks, one place too early. Keep "
                "what comes out of a block."),
        Mistake(_each(lambda gradients, _: [part.norm() for part in gradients[:0:-1]]),
                "The right numbers from last to first. Start with the first block."),
        Mistake(_each(lambda _, values: [part.norm() for part in values[1:]]),
                "These are norms of the outputs themselves, without any gradient."),
        Mistake(_each(lambda gradients, _: [part.square().sum() for part in gradients[1:]]),
                "These are squares of the norms: take the root."),
        Mistake(_each(lambda gradients, _: [part.abs().mean() for part in gradients[1:]]),
                "This is the mean size of the entries. The norm is the root of the sum of their "
                "squares; a tensor has it as .norm()."),
        Mistake(_of_weights, "These are gradients of weights. Ask for those at the outputs of "
                             "the blocks, which the notebook measures."),
    ),
    hints=("Go forwards with a loop: x = block(x), and put every x into a list.",
           "torch.autograd.grad(loss(x), outputs) takes the whole list and returns one gradient "
           "for each of its entries. A loss is one number, so it needs no v.",
           "gradient.norm() is the root of the sum of all squares."),
    remark="It takes any list of blocks: first ÷ last of yours is what the picture above shows.",
    minutes=5, difficulty=2)
