"""Exercises of notebook 02: the two terms of a gradient, and which paths carry it."""

import math
import random

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved


def two_terms(g, x, v):
    """Return the two terms of the gradient of ⟨v, x + g(x)⟩ at x: (skip, branch)."""
    x = x.detach().requires_grad_()
    skip = v
    branch, = torch.autograd.grad(g(x), x, v)
    return skip, branch


def _judge_two_terms(answer):
    for _ in range(3):
        channels, side = random.randint(1, 4), random.randint(3, 6)
        g = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.Tanh())
        x, v = torch.randn(2, 2, channels, side, side)
        found = answer(g, x.clone(), v.clone())
        if unsolved(found):
            return NOT_SOLVED
        if not isinstance(found, tuple | list) or len(found) != 2:
            return (f"Expected a pair (skip, branch), got {type(found).__name__}. The derivative "
                    "of a sum is a sum of two terms; return both, not their sum.")
        if unsolved(*found):
            return NOT_SOLVED
        skip, branch = (torch.as_tensor(part).detach() for part in found)
        for name, part in (("skip", skip), ("branch", branch)):
            if part.shape != x.shape:
                return (f"The {name} term has the shape {tuple(part.shape)}; a gradient at x has "
                        f"the shape of x, {tuple(x.shape)}.")
        complaint = _compare(g, x, v, skip, branch)
        if complaint:
            return complaint
    return None


def _compare(g, x, v, skip, branch):
    def same(one, other):
        return torch.allclose(one, other, atol=1e-5, rtol=1e-4)

    _, right = two_terms(g, x, v)
    if same(skip, v) and same(branch, right):
        return None
    if same(skip, right) and same(branch, v):
        return ("Both terms are right, but in the wrong order: the shortcut's term comes first. "
                "Which of the two does not depend on g?")
    if same(skip, torch.ones_like(x)):
        return ("The skip term is all ones. The derivative of x is 1, but the chain rule "
                "multiplies it by the upstream gradient v.")
    if same(skip, x):
        return ("The skip term is x itself. That is what the shortcut sends forwards; backwards "
                "it sends the upstream gradient.")
    if not same(skip, v):
        return ("The skip term is not what was expected. The shortcut computes x, its derivative "
                "is the identity: what does the identity do to v?")
    if same(branch, right + v):
        return ("The branch term holds the skip term a second time. Differentiate g(x) alone, "
                "not g(x) + x.")
    if same(branch, g(x).detach() * v):
        return ("The branch term is g(x)·v, which contains no derivative. Ask torch for the "
                "gradient of g(x) at x, with v as upstream gradient.")
    if same(branch, two_terms(g, x, torch.ones_like(v))[1]):
        return ("The branch term is the gradient of the sum of g(x); v is missing. Give it to "
                "torch.autograd.grad as its third argument.")
    return ("The branch term is not Jᵀv, the gradient of g(x) at x with v as upstream gradient. "
            "torch.autograd.grad(output, input, v) computes just that.")


def length_shares(depth, w):
    """Return the share of (1 + w)^depth carried by paths through k branches, k = 0 … depth."""
    return [math.comb(depth, k) * w ** k / (1 + w) ** depth for k in range(depth + 1)]


def _judge_length_shares(answer):
    for _ in range(4):
        depth, w = random.randint(2, 12), random.choice([0.25, 0.5, 1.5, 2.0])
        found = answer(depth, w)
        if unsolved(found):
            return NOT_SOLVED
        found = torch.as_tensor(found, dtype=torch.float64).flatten()
        # The oracle multiplies the polynomials (1 + w·t)^depth: coefficient k counts length k.
        right = torch.ones(1, dtype=torch.float64)
        for _ in range(depth):
            zero = torch.zeros(1, dtype=torch.float64)
            right = torch.cat([right, zero]) + w * torch.cat([zero, right])
        counts = torch.tensor([math.comb(depth, k) for k in range(depth + 1)],
                              dtype=torch.float64)
        complaint = _compare_shares(found, right, counts, depth, w)
        if complaint:
            return complaint
    return None


def _compare_shares(found, right, counts, depth, w):
    def same(one, other):
        return one.shape == other.shape and torch.allclose(one, other, rtol=1e-6)

    shares, powers = right / right.sum(), w ** torch.arange(depth + 1, dtype=torch.float64)
    if same(found, shares):
        return None
    if len(found) != depth + 1:
        return (f"Expected {depth + 1} numbers for a depth of {depth}, got {len(found)}. A path "
                "can go through 0, 1, … or all of the branches.")
    if same(found, right):
        return (f"These are the contributions; they add up to (1 + w)^{depth} = "
                f"{right.sum():.4g}. A share is a contribution divided by that sum.")
    if same(found, counts / counts.sum()):
        return ("These are shares of the number of paths, C(L, k) ÷ 2^L. Each path also has a "
                "weight: what does a path through k branches multiply the gradient by?")
    if same(found, counts):
        return ("These are numbers of paths. How much does one path through k branches carry, "
                "and what do all paths carry together?")
    if same(found, powers / powers.sum()) or same(found, powers) or same(
            found, powers / right.sum()):
        return (f"This counts one path of each length. With a depth of {depth} there are "
                f"{int(counts[1])} paths through exactly one branch.")
    if same(found, shares.flip(0)):
        return ("The right shares in reversed order: entry 0 belongs to the path that goes "
                "through no branch at all.")
    return (f"For a depth of {depth} and w = {w}, expected a first entry of {shares[0]:.4g} and a "
            f"sum of 1; got {found[0]:.4g} and {found.sum():.4g}. Expand (1 + w)^L with the "
            "binomial theorem and divide by the whole.")


TWO_TERMS = Exercise(
    judge=_judge_two_terms, solve=two_terms,
    hints=("The shortcut computes x. Its derivative is the identity, so the upstream gradient v "
           "passes unchanged.",
           "The branch needs a gradient through g. Make a copy of x that asks for one: "
           "x = x.detach().requires_grad_().",
           "torch.autograd.grad(g(x), x, v) returns a tuple with one tensor: Jᵀv."),
    remark="The first term does not contain g: however small the branch's derivative, v arrives.")

LENGTH_SHARES = Exercise(
    judge=_judge_length_shares, solve=length_shares,
    hints=("How many ways are there to choose k of L branches? math.comb(L, k).",
           "A path through k branches multiplies the gradient by w k times.",
           "All paths together make (1 + w)^L; divide each contribution by that."),
    remark="With p = w ÷ (1 + w) this is the binomial distribution: each block is passed by its "
           "branch with probability p.")
