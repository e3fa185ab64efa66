"""``Exercise``: a task's check, its hints and its solution, and the ``Verdict`` it gives."""

import inspect
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import torch


class Verdict:
    """The answer of a check: ``right`` (a bool) and ``words``, which is also its ``repr``."""

    def __init__(self, right, words):
        self.right, self.words = right, words

    def __bool__(self):
        """Return whether the answer was right."""
        return self.right

    def __repr__(self):
        """Return the words, wrapped for a notebook."""
        return textwrap.fill(f"{'✓' if self.right else '✗'} {self.words}", 96)


@dataclass(repr=False)
class Exercise:
    """One task of a notebook.

    Args:
        judge: takes the reader's answer, returns ``None`` if it is right, else a sentence: what
            was expected, what came, which idea to revisit. It compares with torch on random
            inputs, never with stored numbers. It may use torch's global random numbers: they
            are the same at every check, and the reader's own go on undisturbed after it.
        solve: the solution, a real function or class; ``solution()`` shows its source.
        hints: one step more each, told in turn by ``hint()``.
        remark: something worth knowing, told with a right answer.
    """

    judge: Callable
    solve: Callable
    hints: tuple
    remark: str
    _told: int = field(default=0, repr=False)

    def check(self, answer):
        """Return a ``Verdict`` on the answer. Never raises, whatever the answer is or does."""
        if answer is ... or answer is None:
            return Verdict(False, "Not solved yet: replace the ... by your answer.")
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                complaint = self.judge(answer)
        except Exception as error:
            return Verdict(False, f"Your answer raised {type(error).__name__}"
                                  f"{_line(error, answer)}: {str(error).rstrip('.')}. "
                                  "Try it on a small input in a cell of its own first.")
        if complaint:
            return Verdict(False, complaint)
        return Verdict(True, f"Right. {self.remark}")

    def hint(self):
        """Print the next hint; after the last one, start again."""
        number = self._told % len(self.hints)
        self._told += 1
        print(textwrap.fill(f"Hint {number + 1} of {len(self.hints)}: {self.hints[number]}", 96))

    def solution(self):
        """Print the source of the solution, which is the code that the tests run."""
        print(textwrap.dedent(inspect.getsource(self.solve)).rstrip())

    def __repr__(self):
        """Return what to do with an exercise."""
        return "An exercise: .check(your_answer), .hint() or .solution()"


def _line(error, answer):
    """Return in which line of the reader's function an error arose, in words, if known."""
    code = getattr(answer, "__code__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if code and (frame.filename, frame.name) == (code.co_filename, code.co_name)]
    return f" in line {lines[-1] - code.co_firstlineno + 1} of {code.co_name}" if lines else ""


def unsolved(*values):
    """Return whether any value is what a stub gives back (``...`` or ``None``)."""
    return any(value is ... or value is None for value in values)


NOT_SOLVED = "Not solved yet: the function still returns nothing. Replace the ... in its body."
