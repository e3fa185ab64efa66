"""Exercises of notebook 03: right answers pass, wrong ones get their own diagnosis."""

import math

import numpy as np
import pytest

from resnet_lesson.exercises import convolution_sizes as exercises

RIGHT = exercises.simple_cnn_shapes()
ALL = [exercises.SIZE, exercises.SIMPLE_CNN, exercises.COUNTEREXAMPLE, exercises.SAME]


@pytest.mark.parametrize("exercise", ALL)
def test_the_solution_is_right(exercise, capsys):
    verdict = exercise.check(exercise.solve)
    assert verdict, verdict.words
    assert exercise.remark in verdict.words
    exercise.solution()
    assert f"def {exercise.solve.__name__}(" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", ALL)
@pytest.mark.parametrize("answer", [..., None, lambda *values: ..., lambda *values: None])
def test_a_stub_is_not_solved_yet(exercise, answer):
    verdict = exercise.check(answer)
    assert not verdict and "Not solved yet" in verdict.words


@pytest.mark.parametrize("exercise", ALL)
@pytest.mark.parametrize("answer", [
    1, "112", [], {}, object(), float("nan"), lambda *values: float("nan"),
    lambda *values: float("inf"), lambda *values: "three", lambda *values: [1],
    lambda *values: 1 / 0, lambda: 3, lambda *values: True, lambda *values: -(10**400)])
def test_nonsense_is_wrong_and_never_raises(exercise, answer):
    verdict = exercise.check(answer)
    assert not verdict and len(verdict.words) > 20


@pytest.mark.parametrize("answer, idea", [
    (lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s, "add 1"),
    (lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1, "counts twice"),
    (lambda n, k, s, p, d: (n + 2 * p - k) // s + 1, "d·(k − 1) + 1 cells"),
    (lambda n, k, s, p, d: n + 2 * p - d * (k - 1), "divide by s"),
    (lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1, "k − 1 gaps"),
    (lambda n, k, s, p, d: math.ceil((n + 2 * p - d * (k - 1) - 1) / s) + 1, "round down"),
    (lambda n, k, s, p, d: (n - d * (k - 1) - 1) // s + 1, "padding is missing"),
    (lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) / s + 1, "right number but a float"),
    (lambda n, k, s, p, d: n, "How many steps"),
    (lambda n, k, s, p, d: float((n + 2 * p - d * (k - 1) - 1) // s + 1), "float"),
    (lambda n, k, s, p, d: [n], "list"),
])
def test_wrong_formulas_get_their_own_diagnosis(answer, idea):
    verdict = exercises.SIZE.check(answer)
    assert not verdict and idea in verdict.words


def test_half_windows_are_diagnosed():
    def answer(n, k, s, p, d):
        size = (n + 2 * p - d * (k - 1) - 1) / s + 1
        return int(size) if size.is_integer() else size

    assert "half windows" in exercises.SIZE.check(answer).words


def test_another_spelling_of_the_formula_is_right():
    assert exercises.SIZE.check(lambda n, k, s, p, d: math.floor(
        (n + 2 * p - d * (k - 1) - 1) / s + 1))
    assert exercises.SIZE.check(lambda n, k, s, p, d: len(
        range(0, n + 2 * p - d * (k - 1), s)))


def changed(place, shape):
    return [shape if i == place else given for i, given in enumerate(RIGHT)]


@pytest.mark.parametrize("answer, idea", [
    (changed(0, (32, 30, 30)), "gives back the two cells"),
    (changed(0, (3, 32, 32)), "number of kernels"),
    (changed(0, (32, 32, 32, 1)), "size formula"),
    (changed(1, (32, 32, 32)), "halves each side"),
    (changed(1, (16, 16, 16)), "stays"),
    (changed(2, (16, 16, 64)), "channels first"),
    (changed(4, (64,)), "channels times height times width"),
    (changed(4, (1, 4096)), "keeps every number"),
    (changed(5, (4096,)), "linear to 512"),
    (changed(3, ...), "still missing"),
    (RIGHT[:3], "list of 7 shapes"),
])
def test_wrong_shapes_get_their_own_diagnosis(answer, idea):
    verdict = exercises.SIMPLE_CNN.check(answer)
    assert not verdict and idea in verdict.words


def test_single_numbers_lists_and_tuples_of_shapes_are_right():
    assert exercises.SIMPLE_CNN.check(RIGHT)
    assert exercises.SIMPLE_CNN.check(tuple(map(list, RIGHT)))
    assert exercises.SIMPLE_CNN.check([*RIGHT[:4], 4096, 512, 10])


@pytest.mark.parametrize("answer", [(8, 3, 2), (224, 7, 2), (5, 3, 4), (32, 5, 3), [9, 3, 2]])
def test_counterexamples_are_taken(answer):
    assert exercises.COUNTEREXAMPLE.check(answer)


@pytest.mark.parametrize("answer, idea", [
    ((8, 3, 1), "at stride 1 the rule is right"),
    ((8, 2, 1), "no whole number"),
    ((3, 3, 2), "Change n"),
    ((1, 1, 5), "Change n"),
    ((..., ..., ...), "every ..."),
    ((8, ..., 2), "every ..."),
    ((8.0, 3, 2), "whole numbers above 0"),
    ((8, 3, 0), "whole numbers above 0"),
    ((8, 3), "three whole numbers"),
    ((10**9, 3, 2), "below 10,000"),
])
def test_what_is_no_counterexample_is_told_why(answer, idea):
    verdict = exercises.COUNTEREXAMPLE.check(answer)
    assert not verdict and idea in verdict.words


@pytest.mark.parametrize("answer, idea", [
    (lambda n, k, s: ((n - 1) * s + k - n) / 2, "both ends together"),
    (lambda n, k, s: (k - 1) // 2, "both ends together"),
    (lambda n, k, s: (k - 1) * s, "wrong rule again"),
    (lambda n, k, s: k - 1, "stride 1 only"),
    (lambda n, k, s: (n - 1) * s + k - n + 1, "Fewer cells"),
    (lambda n, k, s: (n - 1) * s + k - n + (s > 1), "Fewer cells"),
    (lambda n, k, s: 0, "n windows reach"),
    (lambda n, k, s: -1, "0 or more"),
])
def test_wrong_repairs_get_their_own_diagnosis(answer, idea):
    verdict = exercises.SAME.check(answer)
    assert not verdict and idea in verdict.words


def test_numbers_of_other_libraries_are_right():
    assert exercises.SAME.check(lambda n, k, s: np.int64((n - 1) * s + k - n))
