"""Exercises with a check that explains; one module for each notebook that has some."""

from resnet_lesson.exercises.base import Exercise, Mistake, Verdict

__all__ = ["Exercise", "Mistake", "Verdict"]
