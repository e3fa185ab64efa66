"""Statistics of the sweep: intervals equal scipy's, and every sentence follows from its rows."""

import math
import random
import statistics

import pytest
from scipy import stats

from resnet_lesson.experiments import comparison, sweep
from resnet_lesson.experiments.comparison import Interval, compare, t_interval, wilson
from resnet_lesson.panels.explore import METRICS

NOISE = (0.004, -0.006, 0.002, -0.001, 0.001)


def row(study, arm, depth, lr, seed, error, **more):
    """Return the last row of one made-up run."""
    setting = sweep.STUDIES[study]
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


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_the_t_interval_is_scipys(count):
    draw = random.Random(count)
    values = [draw.gauss(0.2, 0.1) for _ in range(count)]
    low, high = stats.t.interval(0.95, count - 1, statistics.fmean(values), stats.sem(values))
    assert t_interval(values) == pytest.approx((low, statistics.fmean(values), high, count))


@pytest.mark.parametrize(("hits", "total"), [(0, 200), (194, 200), (191, 200), (200, 200), (1, 2)])
def test_wilsons_interval_is_scipys(hits, total):
    found = stats.binomtest(hits, total).proportion_ci(method="wilson")
    assert wilson(hits, total)[:3] == pytest.approx((found.low, hits / total, found.high))


def test_wilsons_interval_is_that_of_the_other_notebooks():
    import torch

    from resnet_lesson.figures.training import wilson as drawn
    low, share, high = drawn(torch.tensor([37]), torch.tensor([90]))
    assert wilson(37, 90)[:3] == pytest.approx((low.item(), share.item(), high.item()), abs=1e-4)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: t_interval([]), "at least one value"), (lambda: wilson(3, 2), "3 of 2"),
    (lambda: wilson(0, 0), "total > 0"),
    (lambda: compare([], ("depth", "plain", 8, 0.1), ("depth", "residual", 8, 0.1)), "no recorded"),
    (lambda: comparison.paired(made_up({8: 0})[:2], "depth", 8, rate=0.5), "rate 0.5"),
    (lambda: comparison.decompose([]), "all four runs"),
])
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
            for arm in sweep.ARMS for lr in (0.005, 0.01) for seed in range(10)]


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


PLANNED = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
              for study in sweep.STUDIES.values() for depth in study.depths)
GAPS = {8: 0.0, 20: 0.1, 32: 0.2, 56: 0.4, 18: 0.0, 34: 0.1}


def line(text, *words):
    found = [line for line in text.split("\n") if all(word in line for word in words)]
    assert len(found) == 1, (words, text)
    return found[0]


def test_the_conclusion_says_where_arms_tie_and_where_a_gap_opens():
    text = comparison.conclusion(made_up(GAPS))
    small = line(text, "6n + 2 kind")
    gap, tie = small.split("; ")
    assert "a gap for the shortcut at 20 layers +0.100 (" in gap and "56 layers +0.400 (" in gap
    assert tie.startswith("a tie at 8 layers ") and "5 seeds" in tie
    narrow = line(text, "ImageNet kind, narrow (16 to 128 channels) on 28×28 pixels")
    assert "gap for the shortcut at 34 layers" in narrow and "a tie at 18 layers" in narrow
    assert "the same pattern: a tie at 18, a gap for the shortcut at 34" in text
    assert "the deeper one fits its own training pictures worse" in line(
        text, "Plain, 56 against 20 layers")
    assert "no difference is shown" in line(text, "Residual, 56 against 20 layers")
    assert line(text, "In short").startswith(
        "In short, with batch norm and equally many steps: plain networks fit their training "
        "pictures worse than residual ones at 20, 32, 56 and 34; the two tie at 8 and 18 layers.")
    assert "a tie is not proof" in text and "for more epochs" in text


def test_a_reversed_table_gives_the_reversed_conclusion():
    text = comparison.conclusion(made_up({depth: -gap for depth, gap in GAPS.items()}, base=0.6))
    assert "gap against the shortcut at 20 layers −0.100" in text
    assert "gap for the shortcut" not in text.replace("He et al.", "")
    assert "another pattern: a tie at 18, a gap against it at 34" in text
    assert "the deeper one fits its training pictures better" in line(text, "Plain, 56 against 20")
    assert "plain networks fit" not in text and "own training pictures worse" not in text
    assert "residual networks fit theirs worse at 20, 32, 56 and 34 layers" in text


def test_all_ties_claim_no_gap():
    text = comparison.conclusion(made_up(dict.fromkeys(GAPS, 0.0)))
    assert "a tie at 8 layers" in text and "gap for the shortcut at" not in text
    assert "gap against" not in text
    assert "no difference is shown" in line(text, "Plain, 56 against 20 layers")
    assert "another pattern: a tie at 18, a tie at 34" in text


def test_two_arms_that_only_guess_are_no_tie():
    found = made_up({8: 0.0, 20: 0.0}, "no-norm", base=0.5) + made_up(
        {32: 0.0}, "no-norm", base=0.88) + made_up({56: 0.08}, "no-norm", base=0.82)
    said = line(comparison.conclusion(found), "no norm, 6n + 2 kind")
    gap, tie, nothing = said.split("; ")
    assert "a gap for the shortcut at 56 layers" in gap, "one arm that learns is enough"
    assert tie.startswith("a tie at 8 layers") and "20 layers" in tie and "32" not in tie
    assert nothing.startswith("nothing to compare, since both arms only guess, at 32 layers")


def test_missing_studies_and_runs_are_named():
    text = comparison.conclusion(made_up({20: 0.1}))
    assert "no pair of runs is recorded: no-norm, digits and full" in text
    assert f"Not complete: 30 of {PLANNED} planned runs" in text
    assert "He et al." not in text and "against 20 layers" not in text and "ImageNet" not in text
    assert "full" not in line(comparison.conclusion(made_up(GAPS)), "Not shown, since").split(
        ":")[0]


def test_no_rows_and_single_seeds_still_give_true_words():
    empty = comparison.conclusion([])
    assert f"Not complete: 0 of {PLANNED}" in empty and "gap" not in empty
    one = comparison.conclusion(made_up(GAPS, seeds=1))
    assert "too few seeds at 8 layers +0.004 (one seed, no interval)" in one
    assert "a gap" not in one and "a tie at" not in one and "He et al." not in one
    assert "nothing can be said from one seed" in line(one, "Plain, 56 against 20")
    one_arm = [found for found in made_up(GAPS) if found["arm"] == "plain"]
    assert "gap" not in comparison.conclusion(one_arm)


def test_full_and_no_norm_get_their_own_lines():
    rows = made_up(GAPS) + made_up({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)
    rows += made_up({8: -0.2}, "no-norm", base=0.5)
    text = comparison.conclusion(rows)
    full = line(text, "55,000 pictures, 1 epoch), batch norm")
    assert "gap for the shortcut at 56 layers +0.300" in full and "a tie at 20" in full
    assert "worse" in line(text, "Full set, plain, 56 against 20 layers")
    assert "gap against the shortcut at 8 layers" in line(text, "no norm, 6n + 2 kind")
    assert "Diverged" not in text
    for row in rows:
        row["diverged"] = int(row["study"] == "no-norm" and row["arm"] == "plain")
    assert line(comparison.conclusion(rows), "Diverged") == (
        "Diverged at a best rate: plain, no norm, at 8 layers (5 of 5).")


def test_best_rates_at_the_end_of_their_grid_are_named():
    inside = comparison.conclusion(made_up(GAPS))
    assert "end of their grid" not in inside
    at_end = comparison.conclusion(made_up(GAPS, rates=(0.003, 0.01)))
    assert ("residual at 8, 20, 32, 56, 18 and 34 layers (0.01, the highest)"
            in line(at_end, "end of their grid"))


def test_the_recorded_full_study_has_no_grid_and_therefore_no_end():
    rows = made_up({20: 0.1, 56: 0.1}, "full", rates=(0.03,))
    assert comparison.paired(rows, "full", 20).first.edge == ""


@pytest.mark.parametrize(("value", "words"), [(0.1234, "+0.123"), (-0.1, "−0.100"), (0, "+0.000")])
def test_differences_are_written_with_their_sign(value, words):
    assert comparison.signed(value) == words


@pytest.mark.parametrize(("items", "words"), [([], ""), ([8], "8"), ([8, 20], "8 and 20"),
                                              ([8, 20, 32], "8, 20 and 32")])
def test_lists_in_words(items, words):
    assert comparison.listed(items) == words


def test_metrics_and_kinds_cover_the_sweep():
    assert set(METRICS.values()) <= set(comparison.Result._fields)
    assert sorted(sum(comparison.KINDS.values(), ())) == sorted(sweep.DEPTHS)
    assert set(comparison.KINDS["ImageNet"]) == set(sweep.IMAGENET_DEPTHS)
    assert {lr for side in comparison.PUBLISHED.values() for lr in [side["lr"]]} == set(
        sweep.STUDIES["digits"].rates)
