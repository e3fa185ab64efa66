"""Intervals equal scipy's, and say when nothing is known."""

import math
import random
import statistics

import pytest
from scipy import stats

from resnet_lesson.findings.intervals import Interval, t_interval, wilson


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_the_t_interval_is_scipys(count):
    draw = random.Random(count)
    values = [draw.gauss(0.2, 0.1) for _ in range(count)]
    low, high = stats.t.interval(0.95, count - 1, statistics.fmean(values), stats.sem(values))
    assert t_interval(values) == pytest.approx((low, statistics.fmean(values), high, count))


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (194, 200), (191, 200), (1, 2),
                                             (3, 10), (90, 100)])
def test_wilsons_interval_is_scipys(hits, total):
    found = stats.binomtest(hits, total).proportion_ci(method="wilson")
    assert wilson(hits, total) == pytest.approx((found.low, hits / total, found.high, total))


def test_a_share_of_nothing_is_unknown():
    low, share, high, count = wilson(0, 0)
    assert (low, high, count) == (0, 1, 0) and math.isnan(share)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: t_interval([]), "at least one value"), (lambda: wilson(3, 2), "3 of 2"),
    (lambda: wilson(-1, 2), "-1 of 2")])
def test_what_cannot_be_computed_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(("ends", "verdict"), [
    ((0.1, 0.3), "above"), ((-0.3, -0.1), "below"), ((-0.1, 0.1), "tie"), ((0, 0), "tie"),
    ((-math.inf, math.inf), "unknown"), ((math.nan, math.nan), "unknown")])
def test_the_verdict_of_an_interval(ends, verdict):
    assert Interval(ends[0], sum(ends) / 2, ends[1], 3).verdict == verdict


def test_one_seed_says_nothing_about_its_spread():
    assert t_interval([0.4]) == (-math.inf, 0.4, math.inf, 1)
    assert t_interval([0.4, math.nan]).verdict == "unknown"
