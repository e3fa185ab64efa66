"""Notebook 00's exercise tells right from wrong, and each wrong from the others."""

import pytest
import torch

from resnet_lesson.exercises.start_here import accuracy, share_right


def test_the_solution_is_right_and_equals_a_loop():
    assert share_right.check(accuracy)
    answers, labels = torch.randint(3, (50,)), torch.randint(3, (50,))
    by_hand = sum(int(a) == int(b) for a, b in zip(answers, labels, strict=True)) / 50
    assert accuracy(answers, labels) == pytest.approx(by_hand)
    assert share_right.check(lambda a, b: (a == b).float().mean())


@pytest.mark.parametrize(("answer", "words"), [
    (lambda a, b: ..., "Not solved yet"),
    (lambda a, b: None, "Not solved yet"),
    (..., "Not solved yet"),
    (lambda a, b: (a == b).sum(), "number of right answers"),
    (lambda a, b: (a != b).float().mean(), "share of wrong answers"),
    (lambda a, b: 100 * (a == b).float().mean(), "percentage"),
    (lambda a, b: a == b, "one number"),
    (lambda a, b: 0.5, "Not yet"),
    (lambda a, b: (a == b).mean(), "RuntimeError"),
    ("not a function", "TypeError"),
])
def test_each_wrong_answer_is_told_what_is_wrong_with_it(answer, words):
    verdict = share_right.check(answer)
    assert not verdict and words in verdict.words
