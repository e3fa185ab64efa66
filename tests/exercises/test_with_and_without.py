"""The exercises of notebook 08: solutions pass, wrong answers get their own diagnosis."""

import math
import random
import statistics

import pytest
from scipy import stats

from resnet_lesson.exercises.with_and_without import CONFOUNDS, PAIRED_INTERVAL
from resnet_lesson.findings.intervals import quantile


def differing(plain, residual):
    return {name for name in plain if name in residual and plain[name] != residual[name]}


WRONG_NAMES = {
    "with the arm": (lambda p, r: {n for n in {*p, *r} if p.get(n) != r.get(n)},
                     "The arm is in your answer"),
    "only shared names": (lambda p, r: differing(p, r) - {"arm"}, "only one of the two runs"),
    "what agrees": (lambda p, r: {n for n in p if p[n] == r.get(n)}, "in which the two runs agree"),
    "the first": (lambda p, r: sorted({n for n in {*p, *r} - {"arm"} if p.get(n) != r.get(n)})[:1],
                  "every setting before you return"),
    "always the rate": (lambda p, r: {"learning rate", "seed"}, "in which the two runs agree"),
    "yes or no": (lambda p, r: p != r, "Expected a set of names"),
    "a name": (lambda p, r: "seed", "Expected a set of names"),
    "a count": (lambda p, r: 2, "Expected a set of names"),
    "missing key": (lambda p, r: {n for n in {*p, *r} - {"arm"} if p[n] != r[n]},
                    "raised KeyError"),
}


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_wrong_names_are_diagnosed(name):
    answer, words = WRONG_NAMES[name]
    random.seed(random.SystemRandom().random())   # the check draws nothing from it
    verdict = CONFOUNDS.check(answer)
    assert not verdict and words in verdict.words, verdict.words


@pytest.mark.parametrize("answer", [
    lambda p, r: {n for n in p if n != "arm" and p[n] != r.get(n)},       # never looks at r's names
    lambda p, r: {n for n in r if n != "arm" and r[n] != p.get(n)},
    lambda p, r: {n for n in {*p, *r} - {"arm"} if p.get(n, 0) != r.get(n, 0)},
    lambda p, r: {n for n in {*p, *r} - {"arm"} if p.get(n) != r.get(n)}])
def test_a_value_that_reads_like_a_missing_one_is_no_excuse(answer):
    assert not CONFOUNDS.check(answer)


def interval(half, middle=lambda d, p, r: statistics.fmean(d)):
    def answer(plain, residual):
        d = [p - r for p, r in zip(plain, residual, strict=True)]
        mean, reach = middle(d, plain, residual), half(d, plain, residual)
        return mean - reach, mean, mean + reach
    return answer


def error(values):
    return statistics.stdev(values) / math.sqrt(len(values))


right = PAIRED_INTERVAL.solve
WRONG_INTERVALS = {
    "unpaired": (interval(lambda d, p, r: quantile(len(d)) * math.hypot(error(p), error(r))),
                 "nothing in common"),
    "unpaired, pooled": (interval(lambda d, p, r: quantile(2 * len(d) - 1)
                                  * math.hypot(error(p), error(r))), "nothing in common"),
    "normal": (interval(lambda d, p, r: 1.96 * error(d)), "1.96"),
    "divided by n": (interval(lambda d, p, r: quantile(len(d)) * statistics.pstdev(d)
                              / math.sqrt(len(d))), "n − 1"),
    "spread of seeds": (interval(lambda d, p, r: quantile(len(d)) * statistics.stdev(d)),
                        "square root of n"),
    "one standard error": (interval(lambda d, p, r: error(d)), "one standard error"),
    "one-sided": (interval(lambda d, p, r: stats.t.ppf(0.95, len(d) - 1) * error(d)),
                  "degrees of freedom"),
    "n degrees": (interval(lambda d, p, r: stats.t.ppf(0.975, len(d)) * error(d)),
                  "degrees of freedom"),
    "range": (interval(lambda d, p, r: (max(d) - min(d)) / 2), "times as wide"),
    "reversed": (lambda p, r: right(r, p), "sign is reversed"),
    "other order": (lambda p, r: (right(p, r)[1], right(p, r)[0], right(p, r)[2]),
                    "another order"),
    "mean of plain": (interval(lambda d, p, r: error(d), lambda d, p, r: statistics.fmean(p)),
                      "mean of the differences"),
    "extremes": (lambda p, r: (right(p, r)[1] - 1, right(p, r)[1], right(p, r)[1] + 2),
                 "equally far"),
    "two ends": (lambda p, r: right(p, r)[::2], "got 2"),
    "mean alone": (lambda p, r: right(p, r)[1], "got float"),
    "raises": (lambda p, r: p - r, "raised TypeError"),
}


@pytest.mark.parametrize("name", WRONG_INTERVALS)
def test_wrong_intervals_are_diagnosed(name):
    answer, words = WRONG_INTERVALS[name]
    verdict = PAIRED_INTERVAL.check(answer)
    assert not verdict and words in verdict.words


def test_the_solution_is_what_scipy_computes():
    plain, residual = [0.4, 0.55, 0.38, 0.5], [0.2, 0.31, 0.29, 0.33]
    low, high = stats.ttest_rel(plain, residual).confidence_interval()
    assert PAIRED_INTERVAL.solve(plain, residual) == pytest.approx(
        (low, (low + high) / 2, high))


def test_the_published_experiment_has_two_confounds():
    plain = {"arm": "plain", "lr": 0.005, "epochs": 5}
    assert CONFOUNDS.solve(plain, {"arm": "residual", "lr": 0.01, "epochs": 5, "seed": 0}) == {
        "lr", "seed"}


def test_lists_and_tuples_of_names_count_as_sets():
    assert CONFOUNDS.check(lambda p, r: list(CONFOUNDS.solve(p, r)))
    assert CONFOUNDS.check(lambda p, r: tuple(CONFOUNDS.solve(p, r)))
