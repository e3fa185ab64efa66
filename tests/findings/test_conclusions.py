"""Sentences about the sweep: made-up rows with a known answer give the words for it."""

import re

import pytest

from resnet_lesson.experiments.studies import STUDIES
from resnet_lesson.findings import conclusions
from resnet_lesson.words import listed, signed
from tests.findings.test_comparison import GAPS, made_up, row

PLANNED = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
              for study in STUDIES.values() for depth in study.depths)


def line(text, *words):
    found = [line for line in text.split("\n") if all(word in line for word in words)]
    assert len(found) == 1, (words, text)
    return found[0]


def test_the_conclusion_says_where_arms_tie_and_where_a_gap_opens():
    text = conclusions.conclusion(made_up(GAPS))
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
    text = conclusions.conclusion(made_up({depth: -gap for depth, gap in GAPS.items()}, base=0.6))
    assert "gap against the shortcut at 20 layers −0.100" in text
    assert "gap for the shortcut" not in text.replace("He et al.", "")
    assert "another pattern: a tie at 18, a gap against it at 34" in text
    assert "the deeper one fits its training pictures better" in line(text, "Plain, 56 against 20")
    assert "plain networks fit" not in text and "own training pictures worse" not in text
    assert "residual networks fit theirs worse at 20, 32, 56 and 34 layers" in text


def test_all_ties_claim_no_gap():
    text = conclusions.conclusion(made_up(dict.fromkeys(GAPS, 0.0)))
    assert "a tie at 8 layers" in text and "gap for the shortcut at" not in text
    assert "gap against" not in text
    assert "no difference is shown" in line(text, "Plain, 56 against 20 layers")
    assert "another pattern: a tie at 18, a tie at 34" in text


def test_two_arms_that_only_guess_are_no_tie():
    found = made_up({8: 0.0, 20: 0.0}, "no-norm", base=0.5) + made_up(
        {32: 0.0}, "no-norm", base=0.88) + made_up({56: 0.08}, "no-norm", base=0.82)
    said = line(conclusions.conclusion(found), "no norm, 6n + 2 kind")
    gap, tie, nothing = said.split("; ")
    assert "a gap for the shortcut at 56 layers" in gap, "one arm that learns is enough"
    assert tie.startswith("a tie at 8 layers") and "20 layers" in tie and "32" not in tie
    assert nothing.startswith("nothing to compare, since both arms only guess, at 32 layers")


def test_every_interval_that_is_printed_counts_for_chance():
    rows = made_up(GAPS) + made_up({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)
    text = conclusions.conclusion(rows)
    shown = len(re.findall(r"\([+−]\d\.\d+ to [+−]\d\.\d+, \d seeds\)", text))
    assert shown == 6 + 2 + 4 + 2   # depths, and 56 − 20 and 34 − 18 for each arm; full as well
    assert f"of {shown}, about {0.05 * shown:.1f} would miss" in line(text, "Chance")


def test_an_arm_that_learned_in_one_seed_of_five_still_guesses():
    rows = [row("no-norm", arm, 56, 0.03, seed, error) for arm, errors in (
        ("plain", (0.9, 0.9, 0.9, 0.75, 0.9)), ("residual", (0.9,) * 5))   # a mean of 0.87 sharp
        for seed, error in enumerate(errors)]
    assert "since both arms only guess, at 56 layers" in conclusions.conclusion(rows)


def test_missing_studies_and_runs_are_named():
    text = conclusions.conclusion(made_up({20: 0.1}))
    assert "no pair of runs is recorded: no-norm, digits and full" in text
    assert f"Not complete: 30 of {PLANNED} planned runs" in text
    assert "He et al." not in text and "against 20 layers" not in text and "ImageNet" not in text
    assert "full" not in line(conclusions.conclusion(made_up(GAPS)), "Not shown, since").split(
        ":")[0]


def test_no_rows_and_single_seeds_still_give_true_words():
    empty = conclusions.conclusion([])
    assert f"Not complete: 0 of {PLANNED}" in empty and "gap" not in empty
    one = conclusions.conclusion(made_up(GAPS, seeds=1))
    assert "too few seeds at 8 layers +0.004 (one seed, no interval)" in one
    assert "a gap" not in one and "a tie at" not in one and "He et al." not in one
    assert "nothing can be said from one seed" in line(one, "Plain, 56 against 20")
    one_arm = [found for found in made_up(GAPS) if found["arm"] == "plain"]
    assert "gap" not in conclusions.conclusion(one_arm)


def test_full_and_no_norm_get_their_own_lines():
    rows = made_up(GAPS) + made_up({20: 0.0, 56: 0.3}, "full", rates=(0.03,), seeds=3)
    rows += made_up({8: -0.2}, "no-norm", base=0.5)
    text = conclusions.conclusion(rows)
    full = line(text, "55,000 pictures, 1 epoch), batch norm")
    assert "gap for the shortcut at 56 layers +0.300" in full and "a tie at 20" in full
    assert "worse" in line(text, "Full set, plain, 56 against 20 layers")
    assert "gap against the shortcut at 8 layers" in line(text, "no norm, 6n + 2 kind")
    assert "Diverged" not in text
    for one in rows:
        one["diverged"] = int(one["study"] == "no-norm" and one["arm"] == "plain")
    assert line(conclusions.conclusion(rows), "Diverged") == (
        "Diverged at a best rate: plain, no norm, at 8 layers (5 of 5).")


def test_best_rates_at_the_end_of_their_grid_are_named():
    inside = conclusions.conclusion(made_up(GAPS))
    assert "end of their grid" not in inside
    at_end = conclusions.conclusion(made_up(GAPS, rates=(0.003, 0.01)))
    assert ("residual at 8, 20, 32, 56, 18 and 34 layers (0.01, the highest)"
            in line(at_end, "end of their grid"))


def test_a_grid_that_trained_nothing_has_no_best_rate_at_its_end():
    rows = made_up(GAPS) + made_up({18: 0.0, 20: 0.2}, "no-norm", base=0.9, rates=(0.03, 0.1))
    text = conclusions.conclusion(rows)
    assert "No rate that was tried trained: " in text
    assert "residual, no norm, at 20 and 18 layers" in line(text, "No rate that was tried trained")
    assert "end of their grid" not in text


def test_the_full_set_says_that_no_rate_was_searched_there():
    rows = made_up(GAPS) + made_up({20: 0.0}, "full", rates=(0.03,), seeds=3)
    assert "not searched here" in line(conclusions.conclusion(rows), "55,000 pictures")
    assert conclusions.conclusion(rows).count("not searched here") == 1


@pytest.mark.parametrize(("value", "words"), [(0.1234, "+0.123"), (-0.1, "−0.100"), (0, "+0.000")])
def test_differences_are_written_with_their_sign(value, words):
    assert signed(value) == words


@pytest.mark.parametrize(("items", "words"), [([], ""), ([8], "8"), ([8, 20], "8 and 20"),
                                              ([8, 20, 32], "8, 20 and 32")])
def test_lists_in_words(items, words):
    assert listed(items) == words
