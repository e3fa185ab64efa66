"""The mechanism of exercises: what a check compares, what it says, what ``solution()`` prints."""

import numpy as np
import pytest
import torch

from resnet_lesson.exercises import Exercise, Mistake, Verdict
from resnet_lesson.exercises.base import is_number, same, shown, unsolved


def double(x):
    """Return twice x."""
    return 2 * x


def stub(x):
    ...


def raises(x):
    y = x
    return y.nonsense


@pytest.fixture
def exercise():
    return Exercise(
        solve=double, cases=lambda draw: [(torch.randn(3),), (torch.randn(2),)],
        mistakes=(Mistake(lambda x: x, "Once is not twice."), Mistake(lambda x: x**2, "Squared."),
                  Mistake(lambda x: -2 * x, "The sign.")),
        hints=("Think.", "Double it."), remark="So 0 stays 0.", idea="Think of doubling.")


def test_a_right_answer_gets_the_remark(exercise):
    verdict = exercise.check(double)
    assert verdict and isinstance(verdict, Verdict) and verdict.mistake is None
    assert repr(verdict) == "✓ Right. So 0 stays 0."


@pytest.mark.parametrize("answer, words", [
    (..., "Not solved yet"), (None, "Not solved yet"), (stub, "Not solved yet"),
    (lambda x: x + 1e-3, "Think of doubling."), (lambda: 0, "raised TypeError"),
    (raises, "raised AttributeError in line 3 of raises"),
    (3, "raised TypeError: 'int' object is not callable."), (int, "raised"),
    (torch.nn.Linear, "raised"), (lambda x: x.mul_(2), "changes what it is given"),
    (lambda x: "text", "got 'text'.")])
def test_wrong_answers_never_raise_and_say_what_is_wrong(exercise, answer, words):
    verdict = exercise.check(answer)
    assert not verdict and not verdict.right
    assert words in verdict.words and repr(verdict).startswith("✗ ")


def test_the_mistake_that_fits_every_case_speaks():
    # in the first case both give 4; only the second tells them apart
    exercise = Exercise(solve=lambda x: x + 1, cases=lambda draw: [(2,), (3,)], hints=("h",),
                        remark="r", mistakes=(Mistake(lambda x: 2 * x, "doubled"),
                                              Mistake(lambda x: x * x, "squared"),
                                              Mistake(lambda x: 4, "constant")))
    for number, (wrong, words) in enumerate([(lambda x: x + x, "doubled"),
                                             (lambda x: x**2, "squared"), (lambda x: 4, "const")]):
        verdict = exercise.check(wrong)
        assert words in verdict.words and verdict.mistake == number


def test_cases_come_from_the_seed_and_from_nothing_else(exercise):
    asked = []

    def answer(x):
        asked.append(x)
        return 2 * x

    for seed in (3, 3, 4):
        torch.rand(1)
        exercise.check(answer, seed)
    assert torch.equal(asked[0], asked[2]) and not torch.equal(asked[0], asked[4])


def test_what_an_answer_draws_is_drawn_by_the_solution_too():
    exercise = Exercise(solve=lambda x: x + torch.rand(2), cases=lambda draw: [(1.0,)],
                        mistakes=(), hints=("h",), remark="r")
    assert exercise.check(lambda x: torch.rand(2) + x)


def test_long_words_are_wrapped():
    lines = repr(Verdict(False, "word " * 100)).split("\n")
    assert len(lines) > 3 and max(map(len, lines)) <= 96


def test_solution_is_the_source_with_the_imports_that_it_needs(capsys):
    from resnet_lesson.exercises.batch_norm import FOLD
    FOLD.solution()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "from torch import nn" and lines[4].startswith("def fold(")


def test_an_exercise_says_how_it_is_used(exercise):
    assert repr(exercise) == "An exercise: .check(your_answer), .hint() or .solution()"


def test_unsolved_means_nothing_was_given_back():
    assert unsolved(1, None) and unsolved(...) and not unsolved(0, False, "")


@pytest.mark.parametrize(("one", "other"), [
    (1, 1.0), (np.int64(2), 2), (torch.tensor(0.5), 0.5), (0.3, np.float32(0.3)),
    ((1, 2), [1, torch.tensor(2)]), (np.array([1.0, 2]), torch.tensor([1.0, 2])),
    ([1.0, 2], torch.tensor([1.0, 2])), ({"a": 1}, {"a": np.float64(1)}), ({"a"}, {"a"})])
def test_equal_numbers_of_every_type_are_the_same(one, other):
    assert same(one, other) and same(other, one)


@pytest.mark.parametrize(("one", "other"), [
    (1, 2), (1, "1"), ((1, 2), (1, 2, 3)), (torch.zeros(2), torch.zeros(3)), ({"a": 1}, {"b": 1}),
    (torch.zeros(2), "text"), ([], torch.zeros(1)), (None, 0), ({"a"}, {"b"}), (3, [3, 4])])
def test_what_differs_is_not_the_same(one, other):
    assert not same(one, other) and not same(other, one)


def test_numbers_are_told_from_what_is_none():
    assert all(map(is_number, (1, 2.5, np.float32(1), torch.tensor(3), np.array(2))))
    assert not any(map(is_number, (True, np.True_, "1", None, torch.zeros(1), torch.tensor(True))))


@pytest.mark.parametrize(("value", "words"), [
    (0.123456, "0.1235"), (torch.zeros(2, 3), "a tensor of shape (2, 3)"),
    (torch.tensor([1.0, 2.5]), "[1, 2.5]"), ((1, 0.5), "(1, 0.5)"), ("x" * 99, "'" + "x" * 59)])
def test_values_are_shown_in_a_few_words(value, words):
    assert shown(value) == words


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Refusing(type):
    def __getattr__(cls, name):
        raise RuntimeError("no attributes")


class Refuses(metaclass=Refusing):
    def __getattribute__(self, name):
        raise RuntimeError("no attributes")


def fails_with(error):
    def answer(x):
        raise error
    return answer


@pytest.mark.parametrize("answer", [
    fails_with(MuteError()), fails_with(ValueError("y" * 10**6)), fails_with(ValueError("\ud800")),
    Refuses, lambda x: Refuses(), lambda x: "\ud800\n" * 9], ids=range(6))
def test_what_refuses_to_be_looked_at_still_gets_one_short_line(exercise, answer):
    verdict = exercise.check(answer)
    assert not verdict.right and len(verdict.words) < 1100 and "\n" not in verdict.words
    verdict.words.encode()


def test_an_object_that_refuses_is_wrong_too(exercise):   # pytest cannot hold it as a parameter
    assert "raised" in exercise.check(Refuses()).words
