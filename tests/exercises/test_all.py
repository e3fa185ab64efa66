"""What holds for every exercise; other right answers stand in ``styles.py``, by exercise."""

import importlib
import inspect
import pkgutil
import random

import numpy as np
import pytest
import torch

from resnet_lesson import exercises
from resnet_lesson.exercises import Exercise, mine
from resnet_lesson.exercises.base import same
from resnet_lesson.tools import copies

MODULES = [importlib.import_module(f"{exercises.__name__}.{module.name}")
           for module in pkgutil.iter_modules(exercises.__path__)
           if module.name not in ("base", "guard", "mine", "source")]
EXERCISES = {value.key: value for module in MODULES for value in vars(module).values()
             if isinstance(value, Exercise)}


@pytest.fixture(params=EXERCISES, ids=str)
def exercise(request):
    return EXERCISES[request.param]


def test_every_module_has_exercises_and_each_is_found_by_its_name():
    assert {key.partition(".")[0] for key in EXERCISES} == {
        module.__name__.rpartition(".")[2] for module in MODULES}
    assert all(key.partition(".")[2].isupper() for key in EXERCISES)


def test_the_catalogue_holds_them_all_in_the_order_of_the_notebooks():
    notebooks = sorted(path.stem for path in copies.shipped().glob("*.ipynb"))
    assert [f"{number}_{name}" for name, number in exercises.SERIES.items()] == notebooks
    assert mine.catalogue() == EXERCISES
    numbers = [exercises.SERIES[key.partition(".")[0]] for key in mine.catalogue()]
    assert numbers == sorted(numbers)


def test_the_solution_is_right_and_earns_the_remark(exercise):
    for seed in range(3):
        verdict = exercise.check(exercise.solve, seed)
        assert verdict.right, verdict
    assert exercise.remark in verdict.words


def test_the_solution_agrees_with_torch(exercise):
    if exercise.oracle is None:   # then the exercise's own test file holds the comparison
        return
    for case in exercise.cases(random.Random(7)):
        assert same(exercise.run(exercise.solve, case), exercise.oracle(*case))


@pytest.mark.parametrize("seed", range(20))
def test_every_mistake_earns_its_words(exercise, seed):
    for number, mistake in enumerate(exercise.mistakes):
        verdict = exercise.check(mistake.wrong, seed)
        assert not verdict.right and mistake.words in verdict.words, (number, verdict.words)
        assert "{" not in verdict.words


def test_there_are_three_mistakes_with_words_of_their_own(exercise):
    assert len({mistake.words for mistake in exercise.mistakes}) >= 3


@pytest.mark.parametrize("stub", [..., None, lambda *_: None, lambda *_: ...],
                         ids=["...", "None", "returns None", "returns ..."])
def test_a_stub_is_not_solved_yet(exercise, stub):
    verdict = exercise.check(stub)
    words = ("class" if inspect.isclass(exercise.solve) and callable(stub)
             else "Not solved yet")
    assert not verdict.right and words in verdict.words


@pytest.mark.parametrize("nonsense", [3, "text", lambda: None, lambda *_: 1 / 0, int, dict,
                                      lambda *_: "text", lambda *_: torch.zeros(3), object()])
def test_nonsense_is_wrong_and_never_raises(exercise, nonsense):
    assert not exercise.check(nonsense).right


def test_hints_come_one_by_one(exercise, capsys):
    for number in (*range(1, len(exercise.hints) + 1), 1):
        exercise.hint()
        assert f"Hint {number} of {len(exercise.hints)}" in capsys.readouterr().out
    assert 1 <= exercise.minutes <= 15 and exercise.difficulty in (1, 2, 3)


def test_what_solution_prints_runs_by_itself_and_is_right(exercise, capsys):
    exercise.solution()
    code = capsys.readouterr().out
    pasted = {"__name__": "__main__"}
    exec(compile(code, "pasted", "exec"), pasted)
    verdict = exercise.check(pasted[exercise.solve.__name__])
    assert verdict.right, verdict


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(exercise):
    def drawn():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(5)
    expected = drawn()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(5)
    exercise.check(exercise.solve)
    assert drawn() == expected
