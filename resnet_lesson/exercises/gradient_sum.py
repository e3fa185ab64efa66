"""Exercises of notebook 02: the two terms of a gradient, and which paths carry it."""

import math

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, same, unsolved

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
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- shares of the paths


def length_shares(depth, w):
    """Return the share of (1 + w)^depth carried by paths through k branches, k = 0 … depth."""
    return [math.comb(depth, k) * w ** k / (1 + w) ** depth for k in range(depth + 1)]


def multiplied_out(depth, w):
    """Return the same from the polynomials (1 + w·t)^depth: coefficient k counts length k."""
    right = torch.ones(1, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    for _ in range(depth):
        right = torch.cat([right, zero]) + w * torch.cat([zero, right])
    return right / right.sum()


def _numbers(answer, case):
    given = answer(*case)
    return given if unsolved(given) else torch.as_tensor(given, dtype=torch.float64).flatten()


def _how_many(given, case):
    depth, _ = case
    if len(given) == depth + 1:
        return None
    return (f"Expected {depth + 1} numbers for a depth of {depth}, got {len(given)}. A path can go "
            "through 0, 1, … or all of the branches.")


LENGTH_SHARES = Exercise(
    solve=length_shares, run=_numbers, oracle=multiplied_out, form=_how_many,
    cases=lambda draw: [(draw.randint(3, 12), draw.choice([0.25, 0.5, 1.5, 2.0]))
                        for _ in range(4)],
    where=lambda case, expected, given: (
        f"For a depth of {case[0]} and w = {case[1]}, expected a first entry of "
        f"{expected[0]:.4g} and a sum of 1; got {given[0]:.4g} and {given.sum():.4g}."),
    idea="Expand (1 + w)^L with the binomial theorem and divide by the whole.",
    mistakes=(
        Mistake(lambda depth, w: [math.comb(depth, k) * w ** k for k in range(depth + 1)],
                "These are the contributions, which add up to (1 + w)^L. A share is a "
                "contribution divided by that sum."),
        Mistake(lambda depth, w: [math.comb(depth, k) / 2 ** depth for k in range(depth + 1)],
                "These are shares of the number of paths, C(L, k) ÷ 2^L. Each path also has a "
                "weight: what does a path through k branches multiply the gradient by?"),
        Mistake(lambda depth, w: [math.comb(depth, k) for k in range(depth + 1)],
                "These are numbers of paths. How much does one path through k branches carry, "
                "and what do all paths carry together?"),
        *(Mistake(wrong, "This counts one path of each length. There are L paths through exactly "
                         "one branch.") for wrong in (
            lambda depth, w: [w ** k / sum(w ** i for i in range(depth + 1))
                              for k in range(depth + 1)],
            lambda depth, w: [w ** k for k in range(depth + 1)],
            lambda depth, w: [w ** k / (1 + w) ** depth for k in range(depth + 1)])),
        Mistake(lambda depth, w: length_shares(depth, w)[::-1],
                "The right shares in reversed order: entry 0 belongs to the path that goes "
                "through no branch at all."),
    ),
    hints=("How many ways are there to choose k of L branches? math.comb(L, k).",
           "A path through k branches multiplies the gradient by w k times.",
           "All paths together make (1 + w)^L; divide each contribution by that."),
    remark="With p = w ÷ (1 + w) this is the binomial distribution: each block is passed by its "
           "branch with probability p.", minutes=6, difficulty=2)
