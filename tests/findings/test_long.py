"""What is said of training to the end: made-up runs with a known answer, and the recorded ones."""

import random
from itertools import product

import pytest

from resnet_lesson.experiments import long as experiment
from resnet_lesson.experiments import table
from resnet_lesson.findings import comparison, long
from resnet_lesson.panels import Prediction

PLAIN = ("plain", 56), ("plain", 20)
ARMS = ("plain", 56), ("residual", 56)


@pytest.fixture
def study(invented):
    """Return a function: rows of a part from the last errors of each side, one for each seed."""
    def make(part="grid", lr=0.01, **ends):
        rows = []
        for name, errors in ends.items():
            arm, depth = name.split("_")
            for seed, error in enumerate(errors):
                rows += invented.curve(part, arm, int(depth), lr, seed, [0.8, 0.5, error])
        return rows
    return make


def test_the_best_rate_is_that_of_the_experiment(invented):
    draw, rows = random.Random(0), []
    for arm, depth, lr, seed in product(experiment.PAIR, experiment.DEPTHS,
                                        experiment.PARTS["grid"].rates, range(5)):
        rows += invented.curve("grid", arm, depth, lr, seed, [0.9, draw.choice((0, 0.1))],
                               validation_error=draw.choice((0.2, 0.3)))
    for arm, depth in product(experiment.PAIR, experiment.DEPTHS):
        found = long.runs(rows, "grid", arm, depth)
        assert list(found) == [0, 1, 2, 3, 4]
        assert found[0][0]["lr"] == experiment.best_rates(arm, depth, rows)[0]


def test_of_equal_rates_validation_decides_and_then_the_lower_one(invented):
    rows = [row for lr, error in ((0.1, 0.2), (0.03, 0.2), (0.01, 0.3)) for row in invented.curve(
        "grid", "plain", 20, lr, 0, [0.9, 0.1], validation_error=error)]
    assert long.runs(rows, "grid", "plain", 20)[0][0]["lr"] == 0.03
    rows += [row for lr in (0.01, 0.03) for row in invented.curve(
        "grid", "plain", 20, lr, 1, [0.9, 0.3 - lr])]
    assert long.runs(rows, "grid", "plain", 20)[0][0]["lr"] == 0.03, "0.1 lacks a seed"
    rows += invented.curve("grid", "plain", 20, 0.1, 1, [0.9, 0.0])
    assert long.runs(rows, "grid", "plain", 20)[0][0]["lr"] == 0.1


@pytest.mark.parametrize(("errors", "steps"), [
    ([0.3, 0.1, 0.05], 158), ([0.3, 0.1001, 0.2], None), ([0.3, 0.09, 0.2], 158), ([0.1], 79)])
def test_an_error_is_reached_where_it_is_equalled_for_the_first_time(invented, errors, steps):
    assert long.steps_to(invented.curve("grid", "plain", 20, 0.1, 0, errors), 0.1) == steps


def curves(invented, plain, residual):
    """Return rows of two arms whose runs reach 0 after so many epochs of ten, 0 for never."""
    return [row for arm, epochs in (("plain", plain), ("residual", residual))
            for seed, there in enumerate(epochs) for row in invented.curve(
                "grid", arm, 56, 0.01, seed,
                [0 if 0 < there <= epoch else 0.5 for epoch in range(1, 11)])]


@pytest.mark.parametrize(("plain", "residual", "reached", "words"), [
    ((8, 6), (4, 3), "553", "2 (2 to 2, 2 seeds)"),
    ((8,), (4,), "632", "2 (one seed, no interval)"),
    ((8, 4, 9), (4, 4, 3), "553", "1.8 (0.46 to 7.2, 3 seeds)"),
    ((0, 6), (4, 3), "reached by 1 of 2", "at least 2.0 in each seed"),
    ((0, 0), (3, 3), "reached by 0 of 2", "at least 3.3 in each seed"),
    ((6, 6), (3, 0), "474", "not known")])
def test_steps_are_compared_by_seed_and_who_never_gets_there_is_counted(
        invented, plain, residual, reached, words):
    found = long.ratio(curves(invented, plain, residual), "grid", *ARMS, 0.01)
    assert (found.reached(0), found.words) == (reached, words)


def test_the_table_of_steps_has_a_line_for_each_depth_and_error(invented, study):
    rows = curves(invented, (8, 6), (4, 3))
    headings, lines = long.steps_table(rows, "grid")
    assert len(headings) == 5 and [line[:2] for line in lines] == [
        [56, f"{error:g}"] for error in long.TARGETS]
    assert lines[2][2:] == ["553", "276", "2 (2 to 2, 2 seeds)"]
    assert long.steps_table(rows, "end")[1] == []


@pytest.mark.parametrize(("deep", "words"), [
    ((0.3, 0.31, 0.32), "the deeper one fits its own training pictures worse"),
    ((0.1, 0.11, 0.12), "the deeper one fits its own training pictures better"),
    ((0.2, 0.22, 0.21), "not decided, since 0 lies inside"),   # equal means: 0 sharp
    ((0.2, 0.21, 0.22), "not decided, since 0 lies inside"),   # equal in every seed
    ((0.3,), "not decided by one seed")])
def test_the_sentence_about_depth_turns_with_the_numbers(study, deep, words):
    for arm in ("plain", "residual"):
        text = long.deeper(study(**{f"{arm}_56": deep, f"{arm}_20": (0.2, 0.21, 0.22)}), arm)
        assert text.startswith(f"{arm.capitalize()}, 56 against 20 layers: on mini after 237 steps")
        assert words in text and sum(other in text for other in long.FITS.values()) == 1


@pytest.mark.parametrize(("after", "share", "answer"), [
    (0.02, 0.1, "some"), (0.0198, 0.099, "little"), (0.1, 0.5, "much"), (-0.02, -0.1, "little")])
def test_what_is_left_of_a_gap_is_a_share_of_the_same_seeds_gap(study, after, share, answer):
    guess = Prediction("How much?", ["little", "some", "much"], limits=[0.1, 0.5])
    rows = study(plain_56=(0.3, 0.3, 0.9), plain_20=(0.1, 0.1, 0.1)) + study(
        "end", plain_56=(0.1 + after, 0.1 + after), plain_20=(0.1, 0.1))
    assert long.left(rows) == share and guess.compare(long.left(rows)).measured == answer
    assert f"Of the gap on mini {100 * share:.0f} % is left" in long.deeper(rows, "plain")
    assert long.left(study(plain_56=(0.1,), plain_20=(0.1,))
                     + study("end", plain_56=(0.1,), plain_20=(0.1,))) is None


def test_what_is_not_recorded_gives_no_sentence(study):
    assert long.deeper([], "plain") == long.faster([]) == ""
    assert long.left([]) is None and long.difference([], "grid", *PLAIN) is None
    assert long.conclusion([]).startswith("How: 0 runs")
    text = long.conclusion(study(residual_20=(0.1, 0.1), residual_56=(0.1, 0.2)))
    assert "Plain" not in text and "full set" not in text and "How: 4 runs" in text
    text = long.conclusion(study("full", plain_20=(0.1, 0.1), plain_56=(0.3, 0.31)))
    assert "on the full set after 237 steps 0.3050 against 0.1000" in text and "mini" not in text


def test_the_conclusion_is_three_sentences_and_what_they_rest_on(study):
    sides = {"plain_20": (0.004, 0.005), "plain_56": (0.2, 0.3), "residual_20": (0.0, 0.0),
             "residual_56": (0.0, 0.001)}
    lines = long.conclusion(study(**sides) + study("end", **sides)).split("\n")
    assert len(lines) == 4 and "How: 16 runs" in lines[3] and "evaluation mode" in lines[3]
    assert "paired by seed" in lines[3] and "on the same seeds" in lines[3]
    assert "at least 1.0 in each seed at 56 layers (plain reached by 0 of 2" in lines[2]
    assert lines[2].endswith("in runs of 237 steps on mini.")


def test_runs_without_norm_are_counted(invented):
    rows = [row for seed, error in enumerate((0.4, 0.5, 0.9)) for row in invented.curve(
        "zero-start", "residual-zero", 56, 0.01, seed, [0.9, error])]
    assert long.without_norm(rows).startswith("residual, zero start, 56 layers: 1 of 3 runs got")
    assert "not recorded yet" in long.without_norm([])


# ---------------------------------------------------------------- the recorded study


def test_the_records_support_what_notebooks_and_readme_say():
    rows, sweep = table.read("long"), table.read("sweep")
    plain, residual = (long.difference(rows, "grid", (arm, 56), (arm, 20))
                       for arm in ("plain", "residual"))
    assert plain.count >= 3 and plain.verdict == "above", "08, its last lines: fit them worse"
    assert residual.high < 0.01 < plain.low, "08, its last lines: residual ones show no such gap"
    assert all(run[-1]["train_error"] < 0.01 for depth in (20, 56)
               for run in long.runs(rows, "grid", "residual", depth).values()), "08: by heart"
    tried = experiment.PARTS["grid"].rates
    assert all(min(tried) < run["lr"] < max(tried) for arm, depth in product(
        experiment.PAIR, experiment.DEPTHS) for run, *_ in long.runs(
            rows, "grid", arm, depth).values()), "08: a best rate is not the end of its grid"
    share = long.left(rows)
    assert share is None or share < 0.5, "08, its last lines: slow is not unable"
    runs = [run for run in comparison.results(sweep) if run.study == "no-norm"]
    best = min(run.train_error for run in runs if (run.arm, run.depth) == ("residual", 56))
    assert best > 0.85, "08: at 56 layers not even the shortcut helps"
    assert {run.steps for run in runs} == {158}, "08: two epochs, 158 steps"
