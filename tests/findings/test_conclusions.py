"""Sentences about the sweep: invented rows with a known answer give the words for it."""

import math

import pytest

from resnet_lesson.findings import comparison, conclusions


def test_wins_are_counted_at_equal_rates_and_a_tie_is_none(invented):
    rows = invented.pairs({8: 0.1, 20: -0.1}, rates=(0.01, 0.03)) + [
        invented.row("depth", arm, 8, 0.1, seed, 0.3) for arm in ("plain", "residual")
        for seed in range(3)] + [invented.row("depth", "plain", 8, 0.3, 0, 0.5)]
    headings, lines = conclusions.wins_table(rows)
    assert headings == ["layers", "rate 0.01", "rate 0.03", "rate 0.1"]
    assert lines == [[8, "5 of 5", "5 of 5", "0 of 3"], [20, "0 of 5", "0 of 5", ""]]
    assert conclusions.wins_table([]) == (["layers"], [])


def words_of_gaps(rows):
    return conclusions.gap_words([("depth", depth, found) for depth, found in
                                  comparison.all_paired(rows, "depth").items()])


def test_gaps_sort_depths_by_their_verdict_and_say_the_steps(invented):
    words = words_of_gaps(invented.pairs({8: 0.0, 20: -0.2, 56: 0.4}))
    assert words.startswith("Training error after 158 steps, each arm at its best rate.")
    assert "(green, round): 56 +0.400" in words and "(pink, square): 20 −0.200" in words
    assert "not decided (grey, diamond): 8 +0.000" in words and "one seed" not in words
    assert "one seed, no interval (cross): 8" in words_of_gaps(invented.pairs({8: 0.1}, seeds=1))


@pytest.mark.parametrize(("plain", "residual", "words"), [
    (4.0, 1.0, "No: at the first convolution of 56 layers, before the first step, its norm is 4 in "
               "plain and 1 in residual networks, 4 times as much (means of 5 seeds)."),
    (1.0, 1.0, "No: "), (0.5, 1.0, "It is smaller: "), (math.nan, 1.0, ""), (1.0, 0.0, "")])
def test_whether_plain_networks_lack_a_gradient(invented, plain, residual, words):
    rows = invented.pairs({56: 0.1})
    for row in rows:
        row["first_gradient_norm"] = plain if row["arm"] == "plain" else residual
    found = conclusions.lost_gradient(rows)
    assert found.startswith(words) and bool(found) == bool(words)
    assert conclusions.lost_gradient([]) == ""


def test_runs_that_learned_are_counted_where_more_than_half_is_right(invented):
    runs = {(arm, 8): comparison.results([invented.row(
        "no-norm", arm, 8, 0.03, seed, error, diverged=int(error == 0.9))
        for seed, error in enumerate(errors)]) for arm, errors in (
            ("plain", (0.5, 0.9, 0.9)), ("residual", (0.4999, 0.3, 0.9)))}
    words = conclusions.learned_words(runs)
    assert "plain: 0 of 3 at 8 layers; residual: 2 of 3 at 8 layers" in words
    assert "after 158 steps" in words and words.endswith("where they stopped: 3.")
