"""Statistics of the sweep: what is paired with what, at which rate, and how a contrast splits."""

import math
import random

import pytest

from resnet_lesson.experiments import sweep
from resnet_lesson.experiments.studies import ARMS, DEPTHS, IMAGENET_DEPTHS, STUDIES
from resnet_lesson.findings import comparison
from resnet_lesson.findings.comparison import compare
from resnet_lesson.panels.explore import METRICS

NOISE = (0.004, -0.006, 0.002, -0.001, 0.001)
GAPS = {8: 0.0, 20: 0.1, 32: 0.2, 56: 0.4, 18: 0.0, 34: 0.1}


def row(study, arm, depth, lr, seed, error, **more):
    """Return the last row of one made-up run."""
    setting = STUDIES[study]
    pictures = {"digits": 1000, "full": 55_000}.get(study, 5000)
    return dict.fromkeys(sweep.COLUMNS, "") | {
        "study": study, "arm": arm, "depth": depth, "lr": lr, "seed": seed, "epoch": setting.epochs,
        "epochs": setting.epochs, "data": "made up", "train_pictures": pictures, "diverged": 0,
        "gradient_norm": 0.5, "first_gradient_norm": 2.0, "seconds": 10.0, "train_error": error,
        "validation_error": error, "test_error": error, "test_error_200": error} | more


def made_up(gaps, study="depth", base=0.3, rates=(0.01, 0.03, 0.1), seeds=5, **more):
    """Return rows whose plain − residual is ``gaps[depth]``, with some noise, at rate 0.03."""
    rows = []
    for depth, gap in gaps.items():
        for seed in range(seeds):
            for lr in rates:
                worse = 0.1 * abs(math.log(lr / 0.03))
                rows.append(row(study, "residual", depth, lr, seed, base + worse, **more))
                rows.append(row(study, "plain", depth, lr, seed,
                                base + worse + gap + NOISE[seed], **more))
    return rows


@pytest.mark.parametrize(("call", "words"), [
    (lambda: compare([], ("depth", "plain", 8, 0.1), ("depth", "residual", 8, 0.1)), "no recorded"),
    (lambda: comparison.paired(made_up({8: 0})[:2], "depth", 8, rate=0.5), "rate 0.5"),
    (lambda: comparison.decompose([]), "all four runs"),
])
def test_what_cannot_be_computed_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_run_is_one_result_with_its_seconds_summed():
    first = row("depth", "plain", 8, 0.1, 0, "", epoch=1, gradient_norm=0.1, seconds=3.0,
                first_gradient_norm="", test_error="", diverged="")
    last = row("depth", "plain", 8, 0.1, 0, 0.25, gradient_norm=0.3, seconds=4.0)
    unfinished = first | {"seed": 1}
    result, = comparison.results([first, last, unfinished])
    assert (result.seconds, result.gradient_norm, result.train_error) == pytest.approx(
        (7, 0.3, 0.25))
    lost, = comparison.results([row("depth", "plain", 8, 0.1, 2, 0.9, epoch=0, seconds="",
                                    gradient_norm="", first_gradient_norm="", diverged=1)])
    assert math.isnan(lost.seconds) and math.isnan(lost.gradient_norm) and lost.diverged == 1


def test_each_arm_is_compared_at_its_own_best_rate_by_training_error():
    rows = [row("depth", arm, 20, lr, seed, error + 0.01 * seed, test_error=1 - error)
            for arm, lr, error in (("plain", 0.01, 0.3), ("plain", 0.03, 0.5), ("plain", 0.1, 0.6),
                                   ("residual", 0.01, 0.4), ("residual", 0.03, 0.1),
                                   ("residual", 0.1, 0.2))
            for seed in range(3)]
    found = comparison.paired(rows, "depth", 20, "test_error")
    assert (found.first.rate, found.second.rate) == (0.01, 0.03)
    assert (found.first.edge, found.second.edge) == ("lowest", "")
    assert found.interval.middle == pytest.approx(-0.2)
    assert comparison.paired(rows, "depth", 20, rate=0.1).interval.middle == pytest.approx(0.4)
    assert comparison.edge((0.1,), 0.1) == "" and comparison.edge((0.1, 0.3), 0.3) == "highest"


def test_pairs_are_made_by_seed_and_only_of_shared_seeds():
    rows = [row("depth", "plain", 8, 0.1, seed, 0.1 * seed) for seed in (3, 1, 2, 7)]
    rows += [row("depth", "residual", 8, 0.1, seed, 0.1 * seed - 0.05) for seed in (1, 2, 3, 9)]
    found = comparison.paired(rows, "depth", 8)
    assert found.seeds == (1, 2, 3)
    assert found.differences == pytest.approx((0.05, 0.05, 0.05))
    assert found.first.mean == pytest.approx(0.2)


def test_pairing_takes_out_what_the_arms_of_a_seed_share():
    luck = random.Random(1)
    rows = []
    for seed in range(5):
        shared = luck.uniform(0, 0.5)
        rows += [row("depth", "plain", 8, 0.1, seed, 0.3 + shared + NOISE[seed]),
                 row("depth", "residual", 8, 0.1, seed, 0.2 + shared)]
    interval = comparison.paired(rows, "depth", 8).interval
    assert interval.low < 0.1 < interval.high and interval.high - interval.low < 0.02


def digits(error):
    return [row("digits", arm, 18, lr, seed, 0.1, test_error_200=error(arm, lr, seed))
            for arm in ARMS for lr in (0.005, 0.01) for seed in range(10)]


def test_the_parts_of_the_published_contrast_add_up_to_it():
    draw = random.Random(0)
    parts = comparison.decompose(digits(lambda *_: draw.random()))
    for whole, arm, rate in zip(*parts.values(), strict=True):
        assert whole == pytest.approx(arm + rate)


@pytest.mark.parametrize(("error", "arm", "rate"), [
    (lambda arm, lr, seed: 0.3 - 0.1 * (arm == "residual"), 0.1, 0),
    (lambda arm, lr, seed: 0.3 - 0.1 * (lr == 0.01), 0, 0.1),
    (lambda arm, lr, seed: 0.3 + 0.1 * (arm == "residual") - 0.2 * (lr == 0.01), -0.1, 0.2)])
def test_each_part_gets_what_is_its_own(error, arm, rate):
    parts = comparison.decompose(digits(error))
    assert parts["arm"] == pytest.approx([arm] * 10, abs=1e-9)
    assert parts["rate"] == pytest.approx([rate] * 10, abs=1e-9)


def test_decompose_uses_the_seeds_that_have_all_four_runs():
    rows = [found for found in digits(lambda *_: 0.1)
            if not (found["seed"] == 4 and found["arm"] == "plain" and found["lr"] == 0.01)]
    assert len(comparison.decompose(rows)["arm"]) == 9


def test_the_recorded_full_study_has_no_grid_and_therefore_no_end():
    rows = made_up({20: 0.1, 56: 0.1}, "full", rates=(0.03,))
    assert comparison.paired(rows, "full", 20).first.edge == ""


def test_metrics_and_kinds_cover_the_sweep():
    assert set(METRICS.values()) <= set(comparison.Result._fields)
    assert sorted(sum(comparison.KINDS.values(), ())) == sorted(DEPTHS)
    assert set(comparison.KINDS["ImageNet"]) == set(IMAGENET_DEPTHS)
    assert {lr for side in comparison.PUBLISHED.values() for lr in [side["lr"]]} == set(
        STUDIES["digits"].rates)
