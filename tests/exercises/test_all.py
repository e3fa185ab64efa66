"""What holds for every exercise; what only one of them says is tested in a file of its own."""

import importlib
import inspect
import pkgutil

import pytest
import torch

from resnet_lesson import exercises
from resnet_lesson.exercises import Exercise

MODULES = [importlib.import_module(f"{exercises.__name__}.{module.name}")
           for module in pkgutil.iter_modules(exercises.__path__) if module.name != "base"]
EXERCISES = {f"{module.__name__.rpartition('.')[2]}.{name}": value
             for module in MODULES for name, value in vars(module).items()
             if isinstance(value, Exercise)}


@pytest.fixture(params=EXERCISES, ids=str)
def exercise(request):
    return EXERCISES[request.param]


def test_every_module_has_an_exercise():
    assert {name.partition(".")[0] for name in EXERCISES} == {
        module.__name__.rpartition(".")[2] for module in MODULES}


def test_the_solution_is_right_and_earns_the_remark(exercise):
    for _ in range(2):  # the first check leaves nothing behind
        verdict = exercise.check(exercise.solve)
        assert verdict.right, verdict
    assert exercise.remark[:20] in repr(verdict).replace("\n", " ")


@pytest.mark.parametrize("stub", [..., None, lambda *_: None, lambda *_: ...],
                         ids=["...", "None", "returns None", "returns ..."])
def test_a_stub_is_not_solved_yet(exercise, stub):
    verdict = exercise.check(stub)
    words = ("class" if inspect.isclass(exercise.solve) and callable(stub)
             else "Not solved yet")
    assert not verdict.right and words in verdict.words


@pytest.mark.parametrize("nonsense", [3, "text", lambda: None, lambda *_: 1 / 0, int, dict])
def test_nonsense_is_wrong_and_never_raises(exercise, nonsense):
    assert not exercise.check(nonsense).right


def test_hints_come_one_by_one_and_the_solution_is_code(exercise, capsys):
    for number in (*range(1, len(exercise.hints) + 1), 1):
        exercise.hint()
        assert f"Hint {number} of {len(exercise.hints)}" in capsys.readouterr().out
    exercise.solution()
    assert exercise.solve.__name__ in capsys.readouterr().out


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(exercise):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    exercise.check(exercise.solve)
    assert torch.equal(torch.rand(3), expected)
