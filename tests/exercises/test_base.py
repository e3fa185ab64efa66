import inspect

import pytest
import torch

from resnet_lesson.exercises import Exercise, Verdict
from resnet_lesson.exercises.base import NOT_SOLVED, unsolved


def double(x):
    """Return twice x."""
    return 2 * x


def judge(answer):
    x = torch.randn(3)
    given = answer(x)
    if unsolved(given):
        return NOT_SOLVED
    return None if torch.equal(given, 2 * x) else "Expected 2x; think of doubling."


@pytest.fixture
def exercise():
    return Exercise(judge, double, ("Think.", "Double it."), "So 0 stays 0.")


def test_a_right_answer_gets_the_remark(exercise):
    verdict = exercise.check(double)
    assert verdict and isinstance(verdict, Verdict)
    assert repr(verdict) == "✓ Right. So 0 stays 0."


def stub(x):
    ...


def raises(x):
    y = x
    return y.nonsense


@pytest.mark.parametrize("answer, words", [
    (..., "Not solved yet"),
    (None, "Not solved yet"),
    (stub, "Not solved yet"),
    (lambda x: x, "Expected 2x; think of doubling."),
    (lambda: 0, "raised TypeError"),
    (raises, "raised AttributeError in line 3 of raises"),
    (3, "raised TypeError: 'int' object is not callable."),
    (int, "raised"),
    (torch.nn.Linear, "raised"),
])
def test_wrong_answers_never_raise_and_say_what_is_wrong(exercise, answer, words):
    verdict = exercise.check(answer)
    assert not verdict and not verdict.right
    assert words in verdict.words and repr(verdict).startswith("✗ ")


def test_long_words_are_wrapped():
    lines = repr(Verdict(False, "word " * 100)).split("\n")
    assert len(lines) > 3 and max(map(len, lines)) <= 96


def test_checks_repeat_and_leave_the_readers_random_numbers_alone():
    seen = []
    exercise = Exercise(lambda answer: seen.append(torch.rand(1).item()), double, ("h",), "r")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = torch.rand(1)
    exercise.check(double)
    exercise.check(double)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    assert seen[0] == seen[1]


def test_hints_come_one_by_one_and_start_again(exercise, capsys):
    for expected in ("Hint 1 of 2: Think.", "Hint 2 of 2: Double it.", "Hint 1 of 2: Think."):
        exercise.hint()
        assert capsys.readouterr().out.strip() == expected


def test_solution_is_the_source_that_runs(exercise, capsys):
    exercise.solution()
    assert capsys.readouterr().out.strip() == inspect.getsource(double).strip()


def test_an_exercise_says_how_it_is_used(exercise):
    assert repr(exercise) == "An exercise: .check(your_answer), .hint() or .solution()"


def test_unsolved_means_nothing_was_given_back():
    assert unsolved(1, None) and unsolved(...) and not unsolved(0, False, "")
