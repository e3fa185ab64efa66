"""Sentences about the sweep: invented rows with a known answer give the words for it."""

import math
import re

import pytest

from resnet_lesson.experiments.studies import STUDIES
from resnet_lesson.findings import conclusions
from resnet_lesson.findings.conclusions import conclusion

PLANNED = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
              for study in STUDIES.values() for depth in study.depths)


def line(text, *words):
    found = [line for line in text.split("\n") if all(word in line for word in words)]
    assert len(found) == 1, (words, text)
    return found[0]


@pytest.fixture
def rows(invented):
    return invented.pairs(invented.GAPS)


@pytest.fixture
def full(invented):
    return invented.pairs({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)


def test_the_conclusion_says_where_arms_tie_and_where_a_gap_opens(rows):
    text = conclusion(rows)
    gap, tie = line(text, "6n + 2 kind").split("; ")
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
    assert "end of their grid" not in text and "Diverged" not in text


def test_a_reversed_table_gives_the_reversed_conclusion(invented):
    gaps = {depth: -gap for depth, gap in invented.GAPS.items()}
    text = conclusion(invented.pairs(gaps, base=0.6))
    assert "gap against the shortcut at 20 layers −0.100" in text
    assert "gap for the shortcut" not in text.replace("He et al.", "")
    assert "another pattern: a tie at 18, a gap against it at 34" in text
    assert "the deeper one fits its training pictures better" in line(text, "Plain, 56 against 20")
    assert "plain networks fit" not in text and "own training pictures worse" not in text
    assert "residual networks fit theirs worse at 20, 32, 56 and 34 layers" in text


def test_two_arms_that_only_guess_are_no_tie(invented):
    found = invented.pairs({8: 0.0, 20: 0.0}, "no-norm", base=0.5) + invented.pairs(
        {32: 0.0}, "no-norm", base=0.88) + invented.pairs({56: 0.08}, "no-norm", base=0.82)
    gap, tie, nothing = line(conclusion(found), "no norm, 6n + 2 kind").split("; ")
    assert "a gap for the shortcut at 56 layers" in gap, "one arm that learns is enough"
    assert tie.startswith("a tie at 8 layers") and "20 layers" in tie and "32" not in tie
    assert nothing.startswith("nothing to compare, since both arms only guess, at 32 layers")
    found = [invented.row("no-norm", arm, 56, 0.03, seed, error) for arm, errors in (
        ("plain", (0.9, 0.9, 0.9, 0.75, 0.9)), ("residual", (0.9,) * 5))   # a mean of 0.87 sharp
        for seed, error in enumerate(errors)]
    assert "since both arms only guess, at 56 layers" in conclusion(found)


def test_every_interval_that_is_printed_counts_for_chance(rows, full):
    text = conclusion(rows + full)
    shown = len(re.findall(r"\([+−]\d\.\d+ to [+−]\d\.\d+, \d seeds\)", text))
    assert shown == 6 + 2 + 4 + 2   # depths, and 56 − 20 and 34 − 18 for each arm; full as well
    assert f"of {shown}, about {0.05 * shown:.1f} would miss" in line(text, "Chance")


def test_missing_studies_and_runs_are_named(invented):
    text = conclusion(invented.pairs({20: 0.1}))
    assert "no pair of runs is recorded: no-norm, digits and full" in text
    assert f"Not complete: 30 of {PLANNED} planned runs" in text
    assert "He et al." not in text and "against 20 layers" not in text and "ImageNet" not in text


def test_no_rows_and_single_seeds_still_give_true_words(invented, rows):
    empty = conclusion([])
    assert f"Not complete: 0 of {PLANNED}" in empty and "gap" not in empty
    one = conclusion(invented.pairs(invented.GAPS, seeds=1))
    assert "too few seeds at 8 layers +0.004 (one seed, no interval)" in one
    assert "a gap" not in one and "a tie at" not in one and "He et al." not in one
    assert "nothing can be said from one seed" in line(one, "Plain, 56 against 20")
    assert "gap" not in conclusion([found for found in rows if found["arm"] == "plain"])


def test_full_and_no_norm_get_their_own_lines(invented, rows, full):
    rows = rows + full + invented.pairs({8: -0.2}, "no-norm", base=0.5)
    text = conclusion(rows)
    said = line(text, "55,000 pictures, 1 epoch), batch norm")
    assert "gap for the shortcut at 56 layers +0.300" in said and "a tie at 20" in said
    assert "not searched here" in said and text.count("not searched here") == 1
    assert "worse" in line(text, "Full set, plain, 56 against 20 layers")
    assert "gap against the shortcut at 8 layers" in line(text, "no norm, 6n + 2 kind")
    for one in rows:
        one["diverged"] = int(one["study"] == "no-norm" and one["arm"] == "plain")
    assert line(conclusion(rows), "Diverged") == (
        "Diverged at a best rate: plain, no norm, at 8 layers (5 of 5).")


def test_best_rates_at_the_end_of_their_grid_are_named_if_they_trained(invented, rows):
    at_end = conclusion(invented.pairs(invented.GAPS, rates=(0.003, 0.01)))
    assert ("residual at 8, 20, 32, 56, 18 and 34 layers (0.01, the highest)"
            in line(at_end, "end of their grid"))
    text = conclusion(rows + invented.pairs({18: 0.0, 20: 0.2}, "no-norm", base=0.9,
                                           rates=(0.03, 0.1)))
    assert "residual, no norm, at 20 and 18 layers" in line(text, "No rate that was tried trained")
    assert "end of their grid" not in text


def test_the_table_of_gaps_marks_rates_at_the_end_of_their_grid(invented):
    headings, lines = conclusions.gap_table(invented.pairs({8: 0.1}, rates=(0.01, 0.03)))
    assert len(headings) == len(lines[0])
    assert lines[0][:4] == ["8", "0.400 at 0.03*", "0.300 at 0.03*", "+0.100"]
    assert conclusions.gap_table(invented.pairs({8: 0.1}))[1][0][1] == "0.400 at 0.03"
    assert conclusions.gap_table(invented.pairs({8: 0.1}, seeds=1))[1][0][4] == ""
    assert conclusions.gap_table([])[1] == []


@pytest.mark.parametrize(("plain", "residual", "words"), [
    (4.0, 1.0, "plain ÷ residual 4: no smaller"), (0.5, 1.0, "0.5: smaller"),
    (1e-5, 1.0, "less than 1/100"), (500.0, 1.0, "500: more than 100 times as large"),
    (0.0, 0.0, "no ratio"), (math.nan, 1.0, "no ratio")])
def test_gradients_are_put_into_words(invented, plain, residual, words):
    rows = invented.pairs({56: 0.1})
    for row in rows:
        row["first_gradient_norm"] = plain if row["arm"] == "plain" else residual
    first, second = conclusions.gradient_norms(rows).split("\n")
    assert ("no number, since a run diverged, in plain" in first) == math.isnan(plain)
    at_first, at_last = first.split("; ")
    assert words in at_first and "last epoch 0.5 in plain and 0.5 in residual" in at_last
    assert "no norm: not recorded yet" in second


@pytest.mark.parametrize(("arm", "rate", "answer"), [
    (0, 0, "neither"), (0.1, 0, "the arm alone"), (0, -0.1, "the rate alone"), (0.1, 0.1, "both")])
def test_causes_are_what_was_put_in(invented, arm, rate, answer):
    noise = invented.NOISE
    rows = invented.digits(lambda which, lr, seed: 0.3 + 0.5 * noise[seed % 5] * (lr == 0.01)
                          + 0.3 * noise[-1 - seed % 5] * (which == "plain")
                          - arm * (which == "residual") - rate * (lr == 0.01))
    found, words = conclusions.causes(rows)
    assert found == answer and words.count("10 seeds") == 3
    headings, lines = conclusions.part_table(rows)
    assert len(lines) == 2 and len(lines[0]) == len(headings)


def test_what_too_few_runs_on_digits_leave_open_is_said(invented):
    assert conclusions.causes([])[0] is None and "all four runs" in conclusions.causes([])[1]
    assert conclusions.part_table([])[1] == []
    one_seed = invented.digits(invented.noisy, seeds=1)
    assert conclusions.causes(one_seed)[0] is None
    assert "not recorded yet" in conclusions.scatter(one_seed)


def test_scatter_says_both_kinds(invented):
    words = conclusions.scatter(invented.digits(invented.noisy))
    assert "seed to seed" in words and "binomial, at an error of 0.100" in words
    assert "On the first 200 the mean error is 0.080" in words
