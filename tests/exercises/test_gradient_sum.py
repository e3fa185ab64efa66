"""The exercises of notebook 02: solutions pass, wrong answers get their own diagnosis."""

import math

import pytest
import torch

from resnet_lesson.exercises import gradient_sum
from resnet_lesson.exercises.gradient_sum import LENGTH_SHARES, TWO_TERMS


def gradient(output, x, v):
    return torch.autograd.grad(output, x, v)[0]


def asking(answer):
    return lambda g, x, v: answer(g, x.requires_grad_(), v)


WRONG_TERMS = {
    "the sum": (asking(lambda g, x, v: v + gradient(g(x), x, v)), "Expected a pair"),
    "swapped": (asking(lambda g, x, v: (gradient(g(x), x, v), v)), "wrong order"),
    "ones": (asking(lambda g, x, v: (torch.ones_like(x), gradient(g(x), x, v))), "all ones"),
    "x itself": (asking(lambda g, x, v: (x, gradient(g(x), x, v))), "is x itself"),
    "no skip": (asking(lambda g, x, v: (0 * v, gradient(g(x), x, v))), "identity do to v"),
    "skip twice": (asking(lambda g, x, v: (v, gradient(g(x) + x, x, v))), "second time"),
    "forward value": (lambda g, x, v: (v, g(x) * v), "no derivative"),
    "v forgotten": (asking(lambda g, x, v: (v, gradient(g(x).sum(), x, None))), "v is missing"),
    "squared": (asking(lambda g, x, v: (v, gradient(g(x), x, v * v))), "not Jᵀv"),
    "a number": (asking(lambda g, x, v: (v.sum(), gradient(g(x), x, v))), "shape of x"),
    "raises": (lambda g, x, v: g.missing, "raised AttributeError"),
    "no gradient asked": (lambda g, x, v: (v, gradient(g(x), x, v)), "raised RuntimeError"),
}


@pytest.mark.parametrize("name", WRONG_TERMS)
def test_wrong_terms_are_diagnosed(name):
    answer, words = WRONG_TERMS[name]
    verdict = TWO_TERMS.check(answer)
    assert not verdict and words in verdict.words


def shares(depth, w):
    return [math.comb(depth, k) * w ** k for k in range(depth + 1)]


WRONG_SHARES = {
    "contributions": (shares, "add up to"),
    "counts": (lambda depth, w: [math.comb(depth, k) for k in range(depth + 1)],
               "numbers of paths"),
    "shares of counts": (lambda depth, w: [math.comb(depth, k) / 2 ** depth
                                           for k in range(depth + 1)], "also has a weight"),
    "one path each": (lambda depth, w: [w ** k / (1 + w) ** depth for k in range(depth + 1)],
                      "one path of each length"),
    "powers": (lambda depth, w: [w ** k for k in range(depth + 1)], "one path of each length"),
    "no pure shortcut": (lambda depth, w: [part / (1 + w) ** depth
                                           for part in shares(depth, w)[1:]], "Expected"),
    "reversed": (lambda depth, w: [part / (1 + w) ** depth
                                   for part in shares(depth, w)[::-1]], "reversed"),
    "wrong base": (lambda depth, w: [part / 3 ** depth for part in shares(depth, w)],
                   "binomial theorem"),
    "one number": (lambda depth, w: 1.0, "got 1"),
    "words": (lambda depth, w: "half", "raised"),
}


@pytest.mark.parametrize("name", WRONG_SHARES)
def test_wrong_shares_are_diagnosed(name):
    answer, words = WRONG_SHARES[name]
    verdict = LENGTH_SHARES.check(answer)
    assert not verdict and words in verdict.words


def test_the_checks_change_no_input_of_theirs():
    def spoils(g, x, v):
        terms = gradient_sum.two_terms(g, x, v)
        terms = tuple(term.clone() for term in terms)
        x.zero_()
        v.zero_()
        return terms
    assert TWO_TERMS.check(spoils)


def test_half_an_answer_is_unsolved():
    assert "Not solved yet" in TWO_TERMS.check(lambda g, x, v: (v, ...)).words
