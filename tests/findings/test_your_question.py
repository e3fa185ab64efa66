"""What is said of pairs turns with their numbers."""

import pytest

from resnet_lesson.experiments.your_question import Pairs
from resnet_lesson.findings import your_question as findings


def made(*differences, diverged=0):
    """Return ``Pairs`` whose first arm has so much more validation error, seed by seed."""
    row = {"train_error": 0.1, "steps": 9, "batch_size": 4, "data": "made up", "diverged": diverged}
    return Pairs(("a", "b"), (0.1, 0.3), (0.1, 0.3), {
        seed: (row | {"validation_error": 0.5 + value}, row | {"validation_error": 0.5})
        for seed, value in enumerate(differences, 1)})


@pytest.mark.parametrize(("differences", "decision", "words"), [
    ((-0.02, -0.03, -0.02), "first", "“a” has the lower validation error, by 0.0233 (0.0090 to"),
    ((0.02, 0.03, 0.02), "second", "“b” has the lower validation error, by 0.0233 (0.0090 to"),
    ((0.02, -0.03, 0.02), "not decided", "“a” − “b” of the validation error is +0.0033 (−0.0684"),
    ((0.02, 0.02), "not decided", "+0.0200 (seeds: 2, too few"),
    ((0.02,), "not decided", "seeds: 1, too few for an interval, which needs 3)"),
    ((0, 0, 0), "not decided", "+0.0000 (+0.0000 to +0.0000, 3 seeds)"),
    ((1e-12, 1e-12, 1e-12), "not decided", "3 seeds"),
    ((0.01, 0.01, 0.01), "second", "by 0.0100 (0.0100 to 0.0100, 3 seeds)"),
    ((), "not decided", "No pair is finished yet")])
def test_the_conclusion_comes_out_of_the_interval(differences, decision, words):
    found = made(*differences)
    assert findings.decision(found) == decision and words in findings.conclusion(found)
    assert ("Decided" in findings.conclusion(found)) == (decision != "not decided")


def test_it_says_for_what_it_holds():
    words = findings.conclusion(made(0.1, 0.2, 0.3, diverged=1))
    assert "after 9 steps of 4 pictures; made up." in words and "rates tried: 0.1 and 0.3" in words
    assert "In 6 of 6 runs the loss was no number" in words and "“b” 0.1000 (rate 0.3)" in words
    assert "no number" not in findings.conclusion(made(0.1, 0.2, 0.3))
