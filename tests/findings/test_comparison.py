"""Statistics of the sweep: what is paired with what, at which rate, and how a contrast splits."""

import math
import random

import pytest

from resnet_lesson.experiments.studies import DEPTHS, IMAGENET_DEPTHS, STUDIES
from resnet_lesson.findings import comparison


@pytest.mark.parametrize(("call", "words"), [
    (lambda rows: comparison.paired([], "depth", 8, rate=0.1), "no recorded run of study 'depth'"),
    (lambda rows: comparison.paired(rows, "depth", 8, rate=0.5), "depth 8, rate 0.5"),
    (lambda rows: comparison.paired(rows[::3], "depth", 8), "share no seed"),
    (lambda rows: comparison.contrasts([]), "all four runs")])
def test_what_cannot_be_computed_is_refused_in_words(invented, call, words):
    rows = invented.pairs({8: 0}, rates=(0.03,), seeds=2)
    with pytest.raises(ValueError, match=words):
        call(rows)


def test_a_run_is_one_result_with_its_steps_and_its_first_gradient(invented):
    first = invented.row("depth", "plain", 8, 0.1, 0, "", epoch=1, first_gradient_norm=0.3)
    last = invented.row("depth", "plain", 8, 0.1, 0, 0.25, first_gradient_norm="")
    unfinished = first | {"seed": 1}
    result, = comparison.results([first, last, unfinished])
    assert (result.steps, result.first_gradient_norm, result.train_error) == (158, 0.3, 0.25)
    lost, = comparison.results([invented.row(
        "depth", "plain", 8, 0.1, 2, 0.9, epoch=0, first_gradient_norm="", diverged=1)])
    assert math.isnan(lost.first_gradient_norm) and lost.diverged == 1


def test_each_arm_is_compared_at_its_own_best_rate_by_training_error(invented):
    rows = [invented.row("depth", arm, 20, lr, seed, error + 0.01 * seed, test_error=1 - error)
            for arm, errors in (("plain", (0.3, 0.5, 0.6)), ("residual", (0.4, 0.1, 0.2)))
            for lr, error in zip((0.01, 0.03, 0.1), errors, strict=True) for seed in range(3)]
    found = comparison.paired(rows, "depth", 20, "test_error")
    assert (found.first.rate, found.second.rate) == (0.01, 0.03)
    assert (found.first.edge, found.second.edge) == ("lowest", "")
    assert found.interval.middle == pytest.approx(-0.2)
    both = comparison.paired(rows, "depth", 20, rate=0.1)
    assert both.interval.middle == pytest.approx(0.4) and both.first.edge == ""
    assert comparison.side(rows[:6], "depth", "plain", 20).edge == "lowest"
    assert comparison.side(rows[9:15], "depth", "residual", 20).edge == "highest"
    assert comparison.side(rows[:3], "depth", "plain", 20).edge == "", "one rate is no grid"


def test_pairs_are_made_by_seed_and_only_of_shared_seeds(invented):
    rows = [invented.row("depth", "plain", 8, 0.1, seed, 0.1 * seed, diverged=int(seed == 7))
            for seed in (3, 1, 2, 7)]
    rows += [invented.row("depth", "residual", 8, 0.1, seed, 0.1 * seed - 0.05)
             for seed in (1, 2, 3, 9)]
    found = comparison.paired(rows, "depth", 8)
    assert found.seeds == (1, 2, 3)
    assert found.differences == pytest.approx((0.05, 0.05, 0.05))
    assert found.first.mean == pytest.approx(0.2) and found.first.diverged == 0
    assert comparison.side(rows, "depth", "plain", 8).diverged == 1


def test_pairing_takes_out_what_the_arms_of_a_seed_share(invented):
    luck = random.Random(1)
    rows = []
    for seed in range(5):
        shared = luck.uniform(0, 0.5)
        rows += [invented.row("depth", "plain", 8, 0.1, seed, 0.3 + shared + invented.NOISE[seed]),
                 invented.row("depth", "residual", 8, 0.1, seed, 0.2 + shared)]
    interval = comparison.paired(rows, "depth", 8).interval
    assert interval.low < 0.1 < interval.high and interval.high - interval.low < 0.02


@pytest.mark.parametrize(("error", "contrasts"), [
    (lambda arm, lr, seed: 0.3 - 0.1 * (arm == "residual"), (0.1, 0.1, 0.1)),
    (lambda arm, lr, seed: 0.3 - 0.1 * (lr == 0.01), (0.1, 0, 0)),
    (lambda arm, lr, seed: 0.3 + 0.1 * (arm == "residual") * (lr == 0.01), (-0.1, 0, -0.1))])
def test_each_contrast_pairs_the_rates_that_it_names(invented, error, contrasts):
    rows = [row for row in invented.digits(error)
            if (row["seed"], row["arm"], row["lr"]) != (4, "plain", 0.01)]
    found = comparison.contrasts(rows)
    for name, value in zip(("as published", "both at 0.005", "both at 0.01"), contrasts,
                           strict=True):
        assert found[name] == pytest.approx([value] * 9), "the seeds that have all four runs"


def test_kinds_and_published_rates_are_those_of_the_sweep():
    assert sorted(sum(comparison.KINDS.values(), ())) == sorted(DEPTHS)
    assert set(comparison.KINDS["ImageNet"]) == set(IMAGENET_DEPTHS)
    assert {side["lr"] for side in comparison.PUBLISHED.values()} == set(STUDIES["digits"].rates)
