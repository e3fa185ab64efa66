"""``Exercise``: a task with its solution, its cases and its mistakes, all of them data.

An exercise is declared by its solution, by a function that makes random cases, and by the
mistakes that people make, each a wrong function or class and the words that it earns. A check
runs the answer and the solution on the same cases and compares. Where they differ, the mistake
that gives the very same results tells what to say.
"""

import copy
import inspect
import numbers
import random
import sys
import textwrap
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from resnet_lesson import reader
from resnet_lesson.exercises.guard import guarded, told
from resnet_lesson.exercises.source import imports, source

NOT_SOLVED = "Not solved yet: the function still returns nothing. Replace the ... in its body."
EMPTY = "Not solved yet: replace the ... by your answer."
UNTOUCHED = ("Your answer changes what it is given: += and names that end in _ write into the "
             "caller's tensor. Compute a new one.")
WIDTH, LENGTH = 96, 1000


class Verdict:
    """The answer of a check: ``right`` (a bool) and ``words``, which is also its ``repr``.

    ``mistake`` is the position of the mistake that was recognised, or ``None``.
    """

    def __init__(self, right, words, mistake=None):
        words = " ".join(line.strip() for line in words.splitlines())[:LENGTH]
        self.words = words.encode(errors="backslashreplace").decode()
        self.right, self.mistake = right, mistake

    def __bool__(self):
        """Return whether the answer was right."""
        return self.right

    def __repr__(self):
        """Return the words, wrapped for a notebook."""
        return textwrap.fill(f"{'✓' if self.right else '✗'} {self.words}", WIDTH)


@dataclass(frozen=True)
class Mistake:
    """A wrong answer and what to say to it.

    Args:
        wrong: a function or class with the same arguments as the solution.
        words: which idea to revisit; put behind what was expected and what came.
    """

    wrong: Callable
    words: str


def call(answer, case):
    """Run an answer on a case: call it with the case's values."""
    return answer(*case)


def nothing_to_say(*_):
    """Find nothing wrong."""


@dataclass(repr=False)
class Exercise:
    """One task of a notebook.

    Args:
        solve: the solution, a real function or class; ``solution()`` shows its source.
        cases: takes a seeded ``random.Random`` and returns the cases, tuples of arguments. Torch's,
            numpy's and Python's global generators are seeded too while it runs.
        mistakes: what people get wrong, each a ``Mistake``; the first that fits speaks.
        hints: one step more each, told in turn by ``hint()``.
        remark: something worth knowing, told with a right answer.
        minutes: what it takes a reader, about.
        difficulty: 1 (a line), 2 (an idea) or 3 (several ideas at once).
        run: ``(answer, case)`` to what is compared; by default the answer is called.
        oracle: what torch makes of a case, to compare with in place of the solution's result.
        same: ``(one, other)`` to whether two results are equal, see ``same``.
        look: takes the answer before it is run; returns a complaint or ``None``.
        form: ``(given, case)`` to a complaint about a result's kind or shape, or ``None``.
        where: ``(case, expected, given)`` to the sentence that says what was asked, expected and
            found; ends with a full stop.
        idea: ``(case, expected, given)`` to what is said where no mistake fits.
        changes: the answer is meant to change what it is given.
        untouched: what is said where it is not meant to, and does.
        part: the name of the part of the reader's network that it becomes, or "".
    """

    solve: Callable
    cases: Callable
    mistakes: tuple
    hints: tuple
    remark: str
    minutes: float = 3
    difficulty: int = 1
    run: Callable = call
    oracle: Callable = None
    same: Callable = None
    look: Callable = nothing_to_say
    form: Callable = nothing_to_say
    where: Callable = None
    idea: Callable | str = ""
    changes: bool = False
    untouched: str = UNTOUCHED
    part: str = ""
    _told: int = field(default=0, repr=False)
    _slips: dict = field(default_factory=dict, repr=False)   # what the mistakes give, by case
    _seed: int = None

    def __post_init__(self):
        """Take the usual ways to compare and to say what differs, where none are given."""
        self.same, self.where = self.same or same, self.where or self._where

    @property
    def key(self):
        """Return the notebook's name and the exercise's: ``convolution_sizes.SIZE``."""
        module = sys.modules[self.cases.__module__]
        name = next((name for name, value in vars(module).items() if value is self), "?")
        return f"{module.__name__.rpartition('.')[2]}.{name}"

    def check(self, answer, seed=0):
        """Return a ``Verdict`` on the answer. Never raises, whatever the answer is or does.

        The random cases come from the seed; the reader's own random numbers go on undisturbed.
        What came of it is noted in the reader's record, and an accepted part of the network is
        kept in the reader's file, see ``reader`` and ``mine``.
        """
        from resnet_lesson.exercises import mine  # it knows all exercises, so it comes later
        verdict = self.judge(answer, seed)
        words = verdict.words if verdict.mistake is None else self.mistakes[verdict.mistake].words
        reader.verdict(self.key, verdict.right, textwrap.shorten(words, 60, placeholder=" …"))
        if verdict.right and self.part:
            verdict.words = f"{verdict.words} {mine.keep(self, answer)}".strip()
        return verdict

    def judge(self, answer, seed=0):
        """Return the ``Verdict``, and keep nothing of it."""
        if answer is ... or answer is None:
            return Verdict(False, EMPTY)
        outcome = guarded(lambda: self._judge(answer, seed))
        if outcome.trouble or outcome.error is not None:   # they may have run in a spoiled world
            self._slips.clear()
        if outcome.trouble:
            return Verdict(False, outcome.trouble)
        if outcome.error is not None:
            error = outcome.error
            return Verdict(False, f"Your answer raised {type(error).__name__}"
                                  f"{_line(error, answer)}: {told(error)}. "
                                  "Try it on a small input in a cell of its own first.")
        return outcome.value

    def _judge(self, answer, seed):
        complaint = self.look(answer)
        if complaint:
            return Verdict(False, complaint)
        if seed != self._seed:
            self._slips.clear()
            self._seed = seed
        seeded(seed)
        cases = list(self.cases(random.Random(seed)))
        for place, case in enumerate(cases):
            asked = copy.deepcopy(case)
            given = _run(self.run, answer, asked)
            if unsolved(given):
                return Verdict(False, NOT_SOLVED)
            complaint = self.form(given, case)
            if complaint:
                return Verdict(False, complaint)
            expected = self.expected(case)
            if not self.same(given, expected):
                return self._diagnose(answer, cases, place, expected, given)
            if not self.changes and not same(asked, case):
                return Verdict(False, self.untouched)
        return Verdict(True, f"Right. {self.remark}")

    def expected(self, case):
        """Return the right result of a case: torch's if there is an oracle, or the solution's."""
        if self.oracle:
            return self.oracle(*copy.deepcopy(case))
        return _run(self.run, self.solve, copy.deepcopy(case))

    def _diagnose(self, answer, cases, place, expected, given):
        """Return the verdict on a wrong result: which mistake gives the same?"""
        case = cases[place]
        fits = [number for number in range(len(self.mistakes))
                if self._gives(number, cases, place, given)]
        for other in range(len(cases[:8])):   # of several, those that fit in the other cases too
            if len(fits) < 2:
                break
            theirs = given if other == place else self._result(answer, cases[other])
            fits = [number for number in fits
                    if self._gives(number, cases, other, theirs)] or fits
        words = self.idea
        if fits:
            words = self.mistakes[fits[0]].words
        elif callable(words):
            words = words(case, expected, given)
        where = self.where(case, expected, given)
        return Verdict(False, f"{where} {words}".strip(), fits[0] if fits else None)

    def _gives(self, number, cases, place, given):
        """Return whether a mistake gives that result in a case; for one seed it runs once."""
        if (number, place) not in self._slips:
            self._slips[number, place] = self._result(self.mistakes[number].wrong, cases[place])
        found = self._slips[number, place]
        return not isinstance(found, Exception) and self.same(given, found)

    def _result(self, answer, case):
        try:
            return _run(self.run, answer, copy.deepcopy(case))
        except Exception as error:   # a mistake may fail where the answer did not
            return error

    def _where(self, case, expected, given):
        names = inspect.signature(self.solve).parameters
        asked = ", ".join(f"{name}={shown(value)}"
                          for name, value in zip(names, case, strict=False))
        return f"For {asked}: expected {shown(expected)}, got {shown(given)}."

    def hint(self):
        """Print the next hint; after the last one, start again."""
        number = self._told % len(self.hints)
        self._told += 1
        print(textwrap.fill(f"Hint {number + 1} of {len(self.hints)}: {self.hints[number]}",
                            WIDTH))

    def solution(self):
        """Print the source of the solution, which is the code that the tests run."""
        lines = imports(self.solve)
        print("\n".join(lines) + ("\n\n\n" if lines else "") + source(self.solve).rstrip())

    def __repr__(self):
        """Return what to do with an exercise."""
        return "An exercise: .check(your_answer), .hint() or .solution()"


def seeded(seed):
    """Seed every global generator; in a ``run``, before it draws what no answer may decide."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)   # a thousand times as fast as torch.manual_seed


def _run(run, answer, case):
    """Run an answer on a case; what it draws at random is the same for every answer."""
    seeded(1)
    return run(answer, case)


def _line(error, answer):
    """Return in which line of the reader's function an error arose, in words, if known."""
    code = answer.__code__ if type(answer) is types.FunctionType else None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if code and (frame.filename, frame.name) == (code.co_filename, code.co_name)]
    return f" in line {lines[-1] - code.co_firstlineno + 1} of {code.co_name}" if lines else ""


def unsolved(*values):
    """Return whether any value is what a stub gives back (``...`` or ``None``)."""
    return any(value is ... or value is None for value in values)


def is_number(value):
    """Return whether a value is one real number: Python's, numpy's, or a tensor of one element."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim == 0 and "bool" not in str(value.dtype)
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def same(one, other, rtol=1e-4, atol=1e-5):
    """Return whether two results are equal, in whatever type their numbers came.

    Numbers and tensors are equal within the tolerances, tensors only with equal shapes; lists and
    tuples are equal item by item, dicts key by key, modules by their ``state_dict``.
    """
    if isinstance(other, torch.Tensor | np.ndarray) or isinstance(one, torch.Tensor | np.ndarray):
        try:
            one, other = (torch.as_tensor(value).detach() for value in (one, other))
        except (TypeError, ValueError, RuntimeError):
            return False
        return one.shape == other.shape and torch.allclose(
            one.double(), other.double(), rtol=rtol, atol=atol, equal_nan=True)
    if isinstance(other, list | tuple):
        return isinstance(one, list | tuple) and len(one) == len(other) and all(
            same(a, b, rtol, atol) for a, b in zip(one, other, strict=True))
    if isinstance(other, dict):
        return isinstance(one, dict) and one.keys() == other.keys() and all(
            same(one[key], other[key], rtol, atol) for key in other)
    if isinstance(other, torch.nn.Module):
        return type(one) is type(other) and same(dict(one.state_dict()), dict(other.state_dict()))
    if is_number(one) and is_number(other):
        return abs(float(one) - float(other)) <= atol + rtol * abs(float(other))
    return one is other or bool(one == other)


def shown(value):
    """Return a value in a few words: numbers in four digits, of a tensor its shape."""
    if is_number(value):
        return f"{float(value):.4g}"
    if isinstance(value, torch.Tensor | np.ndarray):
        if value.ndim == 1 and len(value) < 6:
            return f"[{', '.join(f'{number:.4g}' for number in value.tolist())}]"
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(shown, value))})"
    return f"{value!r:.60}"
